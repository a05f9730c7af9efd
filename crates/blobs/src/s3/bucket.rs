use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};

use super::client::S3;
use crate::{Error, Result};

impl S3 {
    /// Creates the bucket unless it is there.
    pub(crate) async fn bucket_ensure(&self) -> Result<()> {
        match self.bucket_head().await {
            Err(Error::NoBucket { .. }) => {}
            done => return done,
        }
        let region = self
            .client
            .config()
            .region()
            .map(|region| region.as_ref().to_owned());
        // AWS wants its other regions named; servers elsewhere may not know the word.
        let place = region
            .filter(|region| self.settings.endpoint.is_none() && region != "us-east-1")
            .map(|region| {
                CreateBucketConfiguration::builder()
                    .location_constraint(BucketLocationConstraint::from(region.as_str()))
                    .build()
            });
        let made = self
            .client
            .create_bucket()
            .bucket(&self.settings.bucket)
            .set_create_bucket_configuration(place)
            .send()
            .await;
        let Err(error) = made else {
            return Ok(());
        };
        let error = self.fault("create the bucket", None, error);
        // Another process may have been quicker.
        self.bucket_head().await.map_err(|_| error)
    }

    /// Whether the bucket is there and may be asked.
    pub(crate) async fn bucket_head(&self) -> Result<()> {
        self.client
            .head_bucket()
            .bucket(&self.settings.bucket)
            .send()
            .await
            .map(drop)
            .map_err(|error| self.fault("find the bucket", None, error))
    }
}
