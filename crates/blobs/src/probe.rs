use bytes::Bytes;
use limekiln_jobs::Digest;
use time::OffsetDateTime;

use crate::{Blobs, Error, Key, Prefix, Result};

/// What `limekiln doctor` prints about the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The store and the bucket, in words.
    pub target: String,
    /// The steps tried, in order; those after the first failure are not.
    pub checks: Vec<Check>,
}

/// One step of a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// Such as "write a blob".
    pub name: &'static str,
    /// What went wrong and what to do about it; none when nothing.
    pub problem: Option<String>,
}

impl Report {
    /// Whether everything worked.
    pub fn is_ok(&self) -> bool {
        self.checks.iter().all(|check| check.problem.is_none())
    }
}

impl Blobs {
    /// Writes, reads, lists and deletes a probe.
    pub async fn check(&self) -> Report {
        let mut report = Report {
            target: self.target(),
            checks: Vec::new(),
        };
        if let Err((name, error)) = self.check_all(&mut report.checks).await {
            report.checks.push(Check {
                name,
                problem: Some(error.to_string()),
            });
        }
        report
    }

    async fn check_all(&self, checks: &mut Vec<Check>) -> Result<(), (&'static str, Error)> {
        let mut done = |name| {
            checks.push(Check {
                name,
                problem: None,
            })
        };
        let body = Bytes::from(format!("limekiln doctor, {}", OffsetDateTime::now_utc()));
        let digest = Digest::of(&body);
        let folder: Key = "probe".parse().map_err(|error| ("name a blob", error))?;
        let key: Key = format!("{folder}/{digest}")
            .parse()
            .map_err(|error| ("name a blob", error))?;

        self.bucket_head()
            .await
            .map_err(|error| ("find the bucket", error))?;
        done("find the bucket");
        self.put_digested(&key, body, digest, "text/plain")
            .await
            .map_err(|error| ("write a blob", error))?;
        done("write a blob");
        self.get(&key, Some(&digest), 1 << 10)
            .await
            .map_err(|error| ("read it", error))?;
        done("read it");
        let page = self
            .list(&Prefix::folder(&folder), None, 1_000)
            .await
            .map_err(|error| ("list it", error))?;
        if page.next.is_none() && !page.blobs.iter().any(|listed| listed.key == key) {
            let key = key.to_string();
            return Err(("list it", Error::NotFound { key }));
        }
        done("list it");
        self.delete(std::slice::from_ref(&key))
            .await
            .map_err(|error| ("delete it", error))?;
        if self
            .exists(&key)
            .await
            .map_err(|error| ("delete it", error))?
        {
            return Err((
                "delete it",
                Error::Other {
                    operation: "delete a blob",
                    message: "it is still there".to_owned(),
                },
            ));
        }
        done("delete it");
        Ok(())
    }
}
