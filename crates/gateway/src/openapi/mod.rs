//! The API's description (OpenAPI), made from the code: every status, and every problem code behind it.

mod schemas;
mod webhooks;

use std::collections::BTreeMap;

use limekiln_jobs::EditEvent;
use limekiln_jobs::api::{
    OpenAiError, ProblemDocument, SentCatalogEvent, SentEvent, SentSessionEvent, SessionEvent,
    WebhookDelivery,
};
use serde_json::{Map, Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::openai;
use crate::problem::{MEDIA_TYPE, ProblemCode};
use crate::settings::Settings;

/// What the handlers' own attributes don't say.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Limekiln",
        description = "Edits a part of a picture by instruction: upload a picture, say what to change, follow the edit, \
            download the result and how it was made. Errors are problem documents (RFC 9457) with stable codes.",
    ),
    tags(
        (name = "images", description = "Pictures and masks to edit with"),
        (name = "edits", description = "Edits, their events and their results"),
        (name = "sessions", description = "Edits that build on each other: a tree with a head, undo, redo and branches"),
        (name = "catalogs", description = "Many edits asked for at once: rows, progress, results, and a gate that holds what somebody should look at"),
        (name = "webhooks", description = "What tells you that an edit ended, and the secret that signs it"),
        (name = "openai", description = "OpenAI's API for image edits and batches of them, for its own clients"),
        (name = "account", description = "Your tenant, and the models and presets it may use"),
        (name = "admin", description = "For operators, with keys of the role admin"),
        (name = "operations", description = "For probes and Prometheus, without a key"),
    ),
    components(schemas(EditEvent, SessionEvent, SentEvent, SentSessionEvent, SentCatalogEvent, ProblemDocument, OpenAiError, WebhookDelivery)),
    modifiers(&Bearer),
)]
pub(crate) struct Api;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("An API key, as `limekiln keys create` prints it"));
        if let Some(components) = &mut api.components {
            components.add_security_scheme("key", SecurityScheme::Http(scheme.build()));
        }
    }
}

/// The whole description, as JSON.
pub(crate) fn document(api: &utoipa::openapi::OpenApi, settings: &Settings) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    let server = settings.public_url.as_ref().map_or("/", |url| url.as_str());
    document["servers"] = json!([{ "url": server }]);
    document["security"] = json!([{ "key": [] }]);
    document["x-problem-codes"] = ProblemCode::ALL
        .iter()
        .map(|code| {
            json!({
                "code": code.as_str(),
                "status": code.status(),
                "title": code.title(),
                "advice": code.advice(),
            })
        })
        .collect();
    // A status port has none of what is tightened.
    if document["paths"].get(openai::PATH).is_some() {
        document["webhooks"] = webhooks::ended();
        schemas::tighten(&mut document, settings);
    }
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            describe(path, operation);
        }
    }
    document
}

/// Adds the problems of an operation to its responses: those that its attribute names, and those that every operation of
/// its kind has.
fn describe(path: &str, operation: &mut Value) {
    let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let own = operation.remove("x-problems").unwrap_or(json!([]));
    let mut codes: Vec<ProblemCode> = serde_json::from_value(own).unwrap_or_default();
    if tag == "operations" {
        operation.insert("security".to_owned(), json!([]));
    } else {
        codes.extend([
            ProblemCode::Unauthorized,
            ProblemCode::Internal,
            ProblemCode::Unavailable,
            ProblemCode::Overloaded,
            ProblemCode::Timeout,
            ProblemCode::DiskFull,
            ProblemCode::RequestRateLimit,
        ]);
        if path != openai::PATH {
            codes.push(ProblemCode::ConcurrencyLimit);
        }
    }
    if tag == "admin" {
        codes.push(ProblemCode::Forbidden);
    }
    if path.contains('{') {
        codes.extend([ProblemCode::Malformed, ProblemCode::NotFound]);
    }
    if operation.contains_key("requestBody") {
        codes.extend([
            ProblemCode::BodyIncomplete,
            ProblemCode::BodyTimeout,
            ProblemCode::BodyTooLarge,
            ProblemCode::MediaTypeUnsupported,
            ProblemCode::ContentEncodingUnsupported,
        ]);
    }
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    if let Some(parameters) = parameters {
        codes.push(ProblemCode::ParameterInvalid);
        for parameter in parameters {
            schemas::without_null(&mut parameter["schema"]);
        }
    }
    codes.sort_unstable();
    codes.dedup();
    let mut by_status = BTreeMap::<u16, Vec<ProblemCode>>::new();
    for code in codes {
        by_status.entry(code.status()).or_default().push(code);
    }
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    if let Some(responses) = responses {
        for (status, codes) in by_status {
            responses
                .entry(status.to_string())
                .or_insert_with(|| response(&codes, openai::speaks(path)));
        }
    }
}

fn response(codes: &[ProblemCode], openai: bool) -> Value {
    let lines: Vec<String> = codes
        .iter()
        .map(|code| format!("`{}`: {}.", code.as_str(), code.title()))
        .collect();
    let (media_type, schema) = if openai {
        ("application/json", "#/components/schemas/OpenAiError")
    } else {
        (MEDIA_TYPE, "#/components/schemas/Problem")
    };
    let mut headers = Map::new();
    let mut header = |name: &str, kind: &str, description: &str| {
        headers.insert(
            name.to_owned(),
            json!({ "description": description, "schema": { "type": kind } }),
        );
    };
    if codes.contains(&ProblemCode::Unauthorized) {
        header("WWW-Authenticate", "string", "`Bearer`");
    }
    if codes.iter().any(|code| matches!(code.status(), 429 | 503)) {
        header(
            "Retry-After",
            "integer",
            "Seconds to wait before the next request",
        );
    }
    if codes.iter().any(|code| code.status() == 429) {
        header(
            "RateLimit-Limit",
            "integer",
            "What the limit allows at once",
        );
        header("RateLimit-Remaining", "integer", "What is left of it");
        header(
            "RateLimit-Reset",
            "integer",
            "Seconds until all of it is there again",
        );
    }
    json!({
        "description": lines.join("\n\n"),
        "headers": headers,
        "content": { media_type: { "schema": { "$ref": schema } } },
    })
}
