//! What attributes can't say of a schema, so that the description allows what the gateway accepts and nothing else.

use limekiln_jobs::api::TurnRequest;
use serde_json::{Value, json};

use crate::openai;
use crate::settings::Settings;

/// The characters that Unicode calls white space, which are trimmed from instructions.
const SPACE: &str =
    r"\t\n\u000b\u000c\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";
/// Control characters that an instruction may not have.
const CONTROL: &str = r"\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f";
/// Addresses of webhooks: a host name or an IPv4 address, perhaps a port and a path.
const WEBHOOK: &str = concat!(
    r"^https?://(([a-z][a-z0-9]*(-[a-z0-9]+)*\.)*[a-z][a-z0-9]*(-[a-z0-9]+)*",
    r"|((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9]))",
    r"(:(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[1-9][0-9]{0,3}))?(/[!-~]*)?$",
);

/// Tightens the schemas of the document.
pub(super) fn tighten(document: &mut Value, settings: &Settings) {
    let schemas = &mut document["components"]["schemas"];
    let instruction = format!("^[^{CONTROL}]*[^{SPACE}{CONTROL}][^{CONTROL}]*$");
    let request = &mut schemas["EditRequest"];
    request["properties"]["instruction"]["pattern"] = json!(instruction);
    request["properties"]["webhook"]["pattern"] = json!(WEBHOOK);
    // The pattern says more than the format, and generators of requests can't follow both.
    if let Some(webhook) = request["properties"]["webhook"].as_object_mut() {
        webhook.remove("format");
    }
    // Exactly one of the two is given.
    request["oneOf"] = json!([
        { "required": ["image"], "properties": { "image": { "type": "string" }, "parent": { "type": "null" } } },
        { "required": ["parent"], "properties": { "parent": { "type": "string" }, "image": { "type": "null" } } },
    ]);
    // A turn is the same request, in the session of its path, and starts from the head where it names nothing.
    let mut turn = schemas["EditRequest"].clone();
    turn["description"] = json!(
        "A turn of a session: an edit that builds on the session's head, on the turn that `parent` names, or, with `image`, on the \
        picture that the session starts from."
    );
    turn["example"] = json!({ "instruction": "make the sofa red" });
    if let Some(turn) = turn.as_object_mut() {
        turn.remove("oneOf");
    }
    // At most one of the two is given.
    turn["not"] = json!({
        "required": ["image", "parent"],
        "properties": { "image": { "type": "string" }, "parent": { "type": "string" } },
    });
    for field in TurnRequest::WITHOUT {
        if let Some(properties) = turn["properties"].as_object_mut() {
            properties.remove(field);
        }
    }
    schemas["TurnRequest"] = turn;
    for name in ["ImageEditForm", "ImageEditJson"] {
        let form = &mut schemas[name];
        form["properties"]["prompt"]["pattern"] = json!(instruction);
        form["additionalProperties"] = json!(false);
    }
    schemas["ImageAddress"]["additionalProperties"] = json!(false);
    // Exactly one of the two is given.
    schemas["ImageAddress"]["oneOf"] = json!([
        { "required": ["image_url"], "properties": { "image_url": { "type": "string" }, "file_id": { "type": "null" } } },
        { "required": ["file_id"], "properties": { "file_id": { "type": "string" }, "image_url": { "type": "null" } } },
    ]);
    if schemas.get("SourceRequest").is_some() {
        source(&mut schemas["SourceRequest"]);
    }
    if !settings.presets.is_empty() {
        for name in [
            "EditRequest",
            "TurnRequest",
            "ImageEditForm",
            "ImageEditJson",
        ] {
            let mut names: Vec<Value> = settings
                .presets
                .iter()
                .map(|preset| json!(preset))
                .collect();
            let preset = &mut schemas[name]["properties"]["preset"];
            if name != "ImageEditForm" {
                names.push(Value::Null);
            }
            if let Some(preset) = preset.as_object_mut() {
                preset.remove("pattern");
                preset.insert("enum".to_owned(), json!(names));
            }
        }
    }
    let form = &mut document["paths"][openai::PATH]["post"]["requestBody"]["content"]["multipart/form-data"];
    form["encoding"] = json!({
        "image": { "contentType": "image/png, image/jpeg, image/webp, image/tiff" },
        "mask": { "contentType": "image/png" },
        "prompt": { "contentType": "text/plain" },
    });
    let file = &mut document["paths"]["/v1/files"]["post"]["requestBody"]["content"]["multipart/form-data"];
    file["encoding"] = json!({ "purpose": { "contentType": "text/plain" } });
    let schemas = &mut document["components"]["schemas"];
    schemas["OpenAiFileForm"]["additionalProperties"] = json!(false);
    let metadata = &mut schemas["OpenAiBatchRequest"]["properties"]["metadata"];
    metadata["maxProperties"] = json!(16);
    metadata["propertyNames"] = json!({ "maxLength": 64 });
    metadata["additionalProperties"]["maxLength"] = json!(512);
    // A form has no null: its fields are there or not.
    for property in form_properties(schemas) {
        without_null(property);
    }
    // An event is text that holds JSON: one of the history, or a preview, which is sent once and not kept.
    schemas["Preview"] = json!({
        "type": "object",
        "description": "A small picture of how far an edit is.",
        "required": ["type", "edit", "epoch", "step", "jpeg"],
        "properties": {
            "type": { "type": "string", "enum": ["preview"] },
            "edit": { "type": "string", "format": "uuid", "description": "The edit that it shows." },
            "session": { "type": "string", "format": "uuid", "description": "The session that the edit is a turn of." },
            "epoch": { "type": "integer", "minimum": 1, "description": "Epoch of the claim that it was made under." },
            "step": { "type": "integer", "minimum": 0, "description": "Number of steps done." },
            "jpeg": { "type": "string", "contentEncoding": "base64", "contentMediaType": "image/jpeg" },
        },
    });
    for (sent, kept) in [
        ("SentEvent", "EditEvent"),
        ("SentSessionEvent", "SessionEvent"),
    ] {
        let sent = &mut schemas[sent]["properties"];
        sent["id"] = json!({ "type": "string", "description": sent["id"]["description"], "pattern": "^[0-9]+$" });
        sent["data"]["contentMediaType"] = json!("application/json");
        let kept = format!("#/components/schemas/{kept}");
        sent["data"]["contentSchema"] = json!({
            "anyOf": [{ "$ref": kept }, { "$ref": "#/components/schemas/Preview" }],
        });
    }
}

/// A place is on the web, or a bucket with credentials of its own.
fn source(request: &mut Value) {
    let endpoint = &mut request["properties"]["endpoint"];
    endpoint["pattern"] = json!(WEBHOOK);
    if let Some(endpoint) = endpoint.as_object_mut() {
        endpoint.remove("format");
    }
    let folder = r"(/[A-Za-z0-9._~-]{1,60}){0,9}/?$";
    let host = WEBHOOK.trim_end_matches("(/[!-~]*)?$");
    let none = json!({ "type": "null" });
    let text = json!({ "type": "string" });
    request["oneOf"] = json!([
        {
            "properties": {
                "place": { "type": "string", "pattern": format!("{host}{folder}") },
                "endpoint": none, "region": none, "access_key": none, "secret_key": none,
            },
        },
        {
            "required": ["access_key", "secret_key"],
            "properties": {
                "place": { "type": "string", "pattern": format!("^s3://[a-z0-9][a-z0-9.-]{{1,61}}[a-z0-9]{folder}") },
                "access_key": text, "secret_key": text,
            },
        },
    ]);
}

/// Takes null out of a schema: a parameter or a field of a form is there or not.
pub(super) fn without_null(schema: &mut Value) {
    if let Some(kinds) = schema["type"].as_array() {
        schema["type"] = kinds
            .iter()
            .find(|kind| **kind != "null")
            .cloned()
            .unwrap_or_default();
    }
    if let Some(choices) = schema["oneOf"].as_array()
        && let Some(other) = choices.iter().find(|choice| choice["type"] != "null")
    {
        *schema = other.clone();
    }
}

fn form_properties(schemas: &mut Value) -> impl Iterator<Item = &mut Value> {
    let forms = schemas.as_object_mut().into_iter().flatten();
    forms
        .filter(|(name, _)| ["ImageEditForm", "OpenAiFileForm"].contains(&name.as_str()))
        .flat_map(|(_, form)| form["properties"].as_object_mut().into_iter().flatten())
        .map(|(_, property)| property)
}
