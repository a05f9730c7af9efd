//! The API's description, made from the code: every status, and every code behind it.

mod schemas;

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::problem::{Code, Document, MEDIA_TYPE};
use crate::{State, openai};

/// What the handlers don't say of themselves.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Limekiln",
        description = "Localized edits of pictures by instruction: upload a picture, say what to change, follow the edit, \
            download the result and how it came about. Errors are problem documents (RFC 9457) with stable codes.",
    ),
    tags(
        (name = "images", description = "Pictures and masks"),
        (name = "edits", description = "Edits, their events and results"),
        (name = "sessions", description = "Turns that build on each other"),
        (name = "openai", description = "OpenAI's image-edit API"),
        (name = "account", description = "The own tenant; models and presets"),
        (name = "admin", description = "For operators: keys of the role admin"),
        (name = "operations", description = "For probes and Prometheus: no key"),
    ),
    components(schemas(limekiln_jobs::EditEvent, SentEvent, Document<'_>, openai::OpenAiError<'_>)),
    modifiers(&Bearer),
)]
pub(crate) struct Api;

struct Bearer;

/// A server-sent event.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "written as text; this describes it")]
pub(crate) struct SentEvent {
    /// The event's number; previews have none.
    id: Option<String>,
    /// The event's kind, or `preview`.
    event: String,
    /// An EditEvent; of a preview `step` and `jpeg`, a JPEG in base64.
    data: String,
}

impl Modify for Bearer {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("A key that `limekiln keys` made"));
        if let Some(components) = &mut api.components {
            components.add_security_scheme("key", SecurityScheme::Http(scheme.build()));
        }
    }
}

/// The whole description, as JSON.
pub(crate) fn document(api: &utoipa::openapi::OpenApi, state: &State) -> Value {
    let mut document = serde_json::to_value(api).unwrap_or_default();
    let server = state
        .settings()
        .public_url
        .as_ref()
        .map_or("/", |url| url.as_str());
    document["servers"] = json!([{ "url": server }]);
    document["security"] = json!([{ "key": [] }]);
    document["x-problem-codes"] = Code::ALL
        .iter()
        .map(|code| {
            json!({
                "code": code.as_str(),
                "status": code.status().as_u16(),
                "title": code.title(),
                "advice": code.advice(),
            })
        })
        .collect();
    schemas::tighten(&mut document, state.settings());
    let paths = document["paths"].as_object_mut().into_iter().flatten();
    for (path, item) in paths {
        for (_, operation) in item.as_object_mut().into_iter().flatten() {
            describe(path, operation);
        }
    }
    document
}

/// Adds the problems of an operation to its responses.
fn describe(path: &str, operation: &mut Value) {
    let tag = operation["tags"][0].as_str().unwrap_or_default().to_owned();
    let open = tag == "operations";
    let Some(operation) = operation.as_object_mut() else {
        return;
    };
    let own = operation.remove("x-problems");
    let own = own.as_ref().and_then(Value::as_array).into_iter().flatten();
    let mut codes: Vec<Code> = own.filter_map(|code| Code::find(code.as_str()?)).collect();
    if open {
        operation.insert("security".to_owned(), json!([]));
    } else {
        codes.extend([
            Code::Unauthorized,
            Code::Internal,
            Code::Unavailable,
            Code::Overloaded,
            Code::Timeout,
        ]);
    }
    if tag == "admin" {
        codes.push(Code::Forbidden);
    }
    if path.contains('{') {
        codes.extend([Code::Malformed, Code::NotFound]);
    }
    let mut by_status = BTreeMap::<u16, Vec<Code>>::new();
    for code in codes {
        by_status
            .entry(code.status().as_u16())
            .or_default()
            .push(code);
    }
    let parameters = operation
        .get_mut("parameters")
        .and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        schemas::without_null(&mut parameter["schema"]);
    }
    if let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    {
        for (status, codes) in by_status {
            responses
                .entry(status.to_string())
                .or_insert_with(|| response(&codes, path == openai::PATH));
        }
    }
}

fn response(codes: &[Code], openai: bool) -> Value {
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
    if codes.contains(&Code::Unauthorized) {
        header("WWW-Authenticate", "string", "`Bearer`");
    }
    if codes
        .iter()
        .any(|code| matches!(code.status().as_u16(), 429 | 503))
    {
        header("Retry-After", "integer", "Seconds to wait");
    }
    json!({
        "description": lines.join("\n\n"),
        "headers": headers,
        "content": { media_type: { "schema": { "$ref": schema } } },
    })
}
