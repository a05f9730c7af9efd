//! The S3 server of `limekiln dev`: s3s and s3s-fs on the loopback interface.

use std::path::Path;

use url::Url;

use crate::{Credentials, Result, Settings};

/// A running server; dropped, it stops.
#[derive(Debug)]
pub struct Embedded {
    endpoint: Url,
    credentials: Credentials,
}

impl Embedded {
    /// Serves `dir` (created) on `127.0.0.1:port`; port 0 takes a free one. Credentials are made once and kept in `dir`.
    pub async fn start(_dir: &Path, _port: u16) -> Result<Self> {
        todo!()
    }

    /// Where it listens.
    pub fn endpoint(&self) -> &Url {
        &self.endpoint
    }

    /// Who may ask it.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Settings of a client of it.
    pub fn settings(&self, bucket: &str) -> Settings {
        let mut settings = Settings::new(Some(self.endpoint.clone()), bucket);
        settings.region = Some("us-east-1".to_owned());
        settings.credentials = Some(self.credentials.clone());
        settings
    }

    /// Stops taking connections, lets requests in progress finish for a second, and ends.
    pub async fn stop(self) {
        todo!()
    }
}
