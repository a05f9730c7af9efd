//! The schemas say what serde and the checks do.

#![expect(clippy::unwrap_used, reason = "tests")]

use limekiln_jobs::request::Region;
use limekiln_jobs::{Carry, Digest, EditId, EditRequest, EditView, Finish, ModelName, Reuse};
use serde_json::{Value, json};
use utoipa::PartialSchema;

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap()
}

#[test]
fn a_request_needs_its_instruction_only_and_takes_no_unknown_field() {
    let schema = schema::<EditRequest>();
    assert_eq!(schema["required"], json!(["instruction"]));
    assert_eq!(schema["additionalProperties"], json!(false));
    // What came later than the digest of a request is left out where it is not given.
    let full = serde_json::to_value(EditRequest {
        finish: Some(Finish::None),
        carry: Some(Carry::Auto),
        reuse: Some(Reuse::Object),
        color: Some("teal".to_owned()),
        material: Some("all".to_owned()),
        matte: true,
        region: Some(Region::default()),
        strip_metadata: true,
        ..EditRequest::default()
    })
    .unwrap();
    let mut fields: Vec<_> = full.as_object().unwrap().keys().collect();
    let mut described: Vec<_> = schema["properties"].as_object().unwrap().keys().collect();
    fields.sort();
    described.sort();
    assert_eq!(described, fields);
    for (field, bound, value) in [
        (
            "instruction",
            "maxLength",
            json!(limekiln_jobs::request::INSTRUCTION_CHARS_MAX),
        ),
        ("seed", "maximum", json!(limekiln_jobs::request::SEED_MAX)),
        ("size", "minimum", json!(64)),
        ("max_attempts", "maximum", json!(10)),
    ] {
        assert_eq!(schema["properties"][field][bound], value, "{field}");
    }
}

#[test]
fn the_example_is_a_valid_request() {
    let request: EditRequest =
        serde_json::from_value(schema::<EditRequest>()["example"].clone()).unwrap();
    assert_eq!(request.validate(), Ok(()));
}

#[test]
fn names_are_strings_of_their_form() {
    let id = schema::<EditId>();
    assert_eq!(
        (&id["type"], &id["format"]),
        (&json!("string"), &json!("uuid"))
    );
    let digest = schema::<Digest>();
    assert!(
        digest["example"]
            .as_str()
            .unwrap()
            .parse::<Digest>()
            .is_ok()
    );
    let model = schema::<ModelName>();
    assert!(
        model["example"]
            .as_str()
            .unwrap()
            .parse::<ModelName>()
            .is_ok()
    );
}

#[test]
fn a_view_shows_its_own_link_as_self() {
    let view = schema::<EditView>();
    assert_eq!(
        view["properties"]["state"]["$ref"],
        "#/components/schemas/StateName"
    );
    assert!(
        schema::<limekiln_jobs::EditLinks>()["properties"]
            .get("self")
            .is_some()
    );
}
