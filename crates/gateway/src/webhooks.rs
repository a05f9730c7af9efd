//! `/v1/webhooks`: the secrets that the caller's webhooks are signed with.

use std::time::Duration;

use axum::{Json, extract};
use limekiln_jobs::api::{FormerSecret, RotateQuery, WebhookSecrets};
use limekiln_store::Rotated;

use crate::State;
use crate::auth::Tenant;
use crate::params::Query;
use crate::problem::{Problem, ProblemCode};

/// Hours that a former secret signs when nothing else is asked for, and at most.
const OVERLAP: u32 = 24;
const OVERLAP_MOST: u32 = 7 * 24;

fn view(secrets: limekiln_store::WebhookSecrets) -> WebhookSecrets {
    let text = |secret: limekiln_store::Secret| secret.expose().to_owned();
    WebhookSecrets {
        secret: text(secrets.secret),
        former: secrets.former.map(|(secret, until)| FormerSecret {
            secret: text(secret),
            until,
        }),
    }
}

/// Show the secret of your webhooks
///
/// Every delivery is signed with it, by the Standard Webhooks scheme (standardwebhooks.com).
#[utoipa::path(
    get, path = "/v1/webhooks/secret", operation_id = "getWebhookSecret", tag = "webhooks",
    responses((status = 200, description = "The secret, and the one before while it is being replaced", body = WebhookSecrets)),
)]
pub(crate) async fn secret(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
) -> Result<Json<WebhookSecrets>, Problem> {
    let found = state.services.store.webhook_secrets(caller.tenant).await?;
    found
        .map(|secrets| Json(view(secrets)))
        .ok_or_else(|| Problem::plain(ProblemCode::Unauthorized))
}

/// Replace the secret of your webhooks
///
/// Deliveries are signed with both for a while, so that each receiver can take the new one in its own time. Within that
/// while it is not replaced again, so a request whose answer got lost can be repeated.
#[utoipa::path(
    post, path = "/v1/webhooks/secret/rotate", operation_id = "rotateWebhookSecret", tag = "webhooks",
    params(RotateQuery),
    responses((status = 200, description = "The new secret and the one before", body = WebhookSecrets)),
    extensions(("x-problems" = json!([ProblemCode::SecretRotating]))),
)]
pub(crate) async fn rotate(
    extract::State(state): extract::State<State>,
    Tenant(caller): Tenant,
    Query(query): Query<RotateQuery>,
) -> Result<Json<WebhookSecrets>, Problem> {
    let hours = query.overlap_hours.unwrap_or(OVERLAP);
    if hours > OVERLAP_MOST {
        return Err(Problem::parameter("overlap_hours", "must be from 0 to 168"));
    }
    let overlap = Duration::from_secs(u64::from(hours) * 3600);
    let store = &state.services.store;
    match store.webhook_secret_rotate(caller.tenant, overlap).await? {
        Some(Rotated::Done(secrets)) => Ok(Json(view(secrets))),
        Some(Rotated::Early(_)) => Err(Problem::plain(ProblemCode::SecretRotating)),
        None => Err(Problem::plain(ProblemCode::Unauthorized)),
    }
}
