use crate::{Blobs, Result};

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
        todo!()
    }

    /// Writes, reads, lists and deletes a probe.
    pub async fn check(&self) -> Report {
        todo!()
    }
}
