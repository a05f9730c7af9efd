//! Webhooks: what is posted when an edit or a catalog ended, and the secrets that sign it.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use utoipa::{IntoParams, ToSchema};

use super::{CatalogView, EditView};
use crate::ids::WebhookId;

/// The body of a delivery.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct WebhookDelivery {
    /// Id of the delivery, the same in every attempt: what came before can be dropped by it. As the header `webhook-id`.
    pub id: WebhookId,
    /// What happened: `edit.succeeded`, `edit.failed` or `edit.cancelled`; to a catalog `catalog.ended` or `catalog.cancelled`.
    #[serde(rename = "type")]
    #[schema(example = "edit.succeeded")]
    pub event: String,
    /// Number of the attempt, from 1.
    #[schema(example = 1, minimum = 1)]
    pub attempt: u32,
    /// The edit as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditView>,
    /// The catalog as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<CatalogView>,
}

/// The secrets that your webhooks are signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WebhookSecrets {
    /// The secret: `whsec_` and the key in base64, as the libraries for Standard Webhooks take it.
    #[schema(example = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDC2FVsBQIhrs=")]
    pub secret: String,
    /// The one before, while deliveries are signed with both.
    pub former: Option<FormerSecret>,
}

/// A secret that was replaced, and that deliveries are still signed with.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FormerSecret {
    /// The secret.
    pub secret: String,
    /// Until when deliveries are signed with it too.
    #[serde(with = "time::serde::rfc3339")]
    pub until: OffsetDateTime,
}

/// How to replace the secret.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RotateQuery {
    /// Hours for which deliveries are signed with the secret before as well. 24 by default. 0 ends all secrets before at
    /// once, for one that became known.
    #[param(minimum = 0, maximum = 168, example = 24)]
    pub overlap_hours: Option<u32>,
}
