use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use bytes::Bytes;
use limekiln_jobs::Digest;
use time::OffsetDateTime;

use crate::{Blobs, Error, Key, Prefix, Result};

/// What `limekiln doctor` says of the bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Server and bucket.
    pub target: String,
    /// Every step tried, in order; the first failure is the last.
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
    /// Creates the bucket unless it is there.
    pub async fn bucket_ensure(&self) -> Result<()> {
        let inner = &*self.inner;
        inner
            .timed("create the bucket", async {
                match inner.bucket_head().await {
                    Err(Error::NoBucket { .. }) => {}
                    done => return done,
                }
                let region = inner
                    .client
                    .config()
                    .region()
                    .map(|region| region.as_ref().to_owned());
                // AWS wants its other regions named; servers elsewhere may not know the word.
                let place = region
                    .filter(|region| inner.settings.endpoint.is_none() && region != "us-east-1")
                    .map(|region| {
                        CreateBucketConfiguration::builder()
                            .location_constraint(BucketLocationConstraint::from(region.as_str()))
                            .build()
                    });
                let made = inner
                    .client
                    .create_bucket()
                    .bucket(&inner.settings.bucket)
                    .set_create_bucket_configuration(place)
                    .send()
                    .await;
                match made {
                    Ok(_) => Ok(()),
                    Err(error) => {
                        let error = inner.fault("create the bucket", None, error);
                        // Another process may have been quicker.
                        match inner.bucket_head().await {
                            Ok(()) => Ok(()),
                            Err(_) => Err(error),
                        }
                    }
                }
            })
            .await
    }

    /// Writes, reads, lists and deletes a probe.
    pub async fn check(&self) -> Report {
        let settings = &self.inner.settings;
        let server = settings
            .endpoint
            .as_ref()
            .map_or("AWS".to_owned(), ToString::to_string);
        let mut report = Report {
            target: format!("bucket `{}` at {server}", settings.bucket),
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

        self.inner
            .bucket_head()
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

impl crate::client::Inner {
    async fn bucket_head(&self) -> Result<()> {
        self.client
            .head_bucket()
            .bucket(&self.settings.bucket)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("find the bucket", None, error))
    }
}
