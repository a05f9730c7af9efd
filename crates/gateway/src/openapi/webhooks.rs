//! The requests that Limekiln makes: OpenAPI's `webhooks`.

use serde_json::{Value, json};

/// How a receiver verifies a delivery.
const VERIFY: &str = include_str!("../../web/verify.py");

/// What is posted to the webhook of an edit or a catalog that ended.
pub(super) fn ended() -> Value {
    let header = |name: &str, description: &str, example: &str| {
        json!({
            "name": name, "in": "header", "required": true, "description": description,
            "schema": { "type": "string" }, "example": example,
        })
    };
    json!({ "editEnded": { "post": {
        "operationId": "editEnded",
        "summary": "An edit or a catalog ended",
        "description": "Posted to the address that the edit's, or the catalog's, `webhook` names, until it answers 2xx: ten attempts within \
            about three days. An answer of 410 ends them. Which of two deliveries comes first is open, and one may come \
            twice.\n\n\
            Deliveries are signed by the Standard Webhooks scheme: verify them with one of the libraries at \
            standardwebhooks.com, or as below, with the secret that `GET /v1/webhooks/secret` shows. The header \
            `limekiln-signature` of earlier versions comes too, and goes with the next one.",
        "security": [],
        "parameters": [
            header("webhook-id", "Id of the delivery, the same in every attempt", "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57"),
            header("webhook-timestamp", "When this attempt was sent, in seconds since 1970", "1700000000"),
            header(
                "webhook-signature",
                "`v1,` and the base64 of HMAC-SHA256 over id, timestamp and body, joined by dots; one for each secret, \
                separated by spaces",
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
        ],
        "requestBody": {
            "required": true,
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/WebhookDelivery" } } },
        },
        "responses": {
            "2XX": { "description": "Taken" },
            "410": { "description": "The address is gone: nothing more is sent for this delivery" },
            "default": { "description": "Not taken: tried again later" },
        },
        "x-codeSamples": [{ "lang": "Python", "label": "Verify a delivery", "source": VERIFY }],
    } } })
}
