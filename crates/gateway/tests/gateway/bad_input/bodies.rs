//! Bodies of JSON that are none, or say what cannot be.

use serde_json::json;

use super::{Case, Ground, case};

pub(super) fn unread(ground: &Ground) -> Vec<Case> {
    let post = |body: &[u8]| {
        ground
            .gateway
            .request("POST", "/v1/edits")
            .body("application/json", body)
    };
    let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
    let nested = format!(
        r#"{{"image":"{}","instruction":"x","options":{}1{}}}"#,
        ground.image,
        r#"{"a":"#.repeat(2000),
        "}".repeat(2000)
    );
    vec![
        case("no JSON at all", post(b""), 400, "json_invalid"),
        case(
            "broken JSON",
            post(br#"{"instruction": "#),
            400,
            "json_invalid",
        ),
        case(
            "JSON that is no object",
            post(b"[]"),
            422,
            "request_invalid",
        ),
        case("JSON's null", post(b"null"), 422, "request_invalid"),
        case("two values", post(b"{} {}"), 400, "json_invalid"),
        case(
            "invalid UTF-8",
            post(b"{\"instruction\": \"\xff\xfe\"}"),
            400,
            "json_invalid",
        ),
        case(
            "half a surrogate",
            post(br#"{"instruction": "\ud800"}"#),
            400,
            "json_invalid",
        ),
        case("too deep", post(&deep[..60_000]), 400, "json_invalid"),
        case("deep options", post(nested.as_bytes()), 400, "json_invalid"),
        case(
            "JSON as text",
            ground
                .gateway
                .request("POST", "/v1/edits")
                .body("text/plain", "{}"),
            415,
            "media_type_unsupported",
        ),
        case(
            "JSON as form",
            ground
                .gateway
                .request("POST", "/v1/edits")
                .body("multipart/form-data", "{}"),
            415,
            "media_type_unsupported",
        ),
        case(
            "too much JSON",
            post(&vec![b' '; 65 << 10]),
            413,
            "body_too_large",
        ),
        case(
            "compressed JSON",
            post(b"{}").header("content-encoding", "deflate"),
            415,
            "content_encoding_unsupported",
        ),
        case(
            "JSON that stops",
            post(b"{").length(50).hang_up(),
            400,
            "body_incomplete",
        ),
        case(
            "JSON that never goes on",
            post(b"{").length(50),
            408,
            "body_timeout",
        ),
    ]
}

pub(super) fn requests(ground: &Ground) -> Vec<Case> {
    let with = |change: serde_json::Value| {
        let mut body = json!({"image": ground.image, "instruction": "make the sofa red"});
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        ground.gateway.request("POST", "/v1/edits").json(&body)
    };
    let bad = |name, change| case(name, with(change), 422, "request_invalid");
    let raw = |body: String| {
        ground
            .gateway
            .request("POST", "/v1/edits")
            .body("application/json", body)
    };
    vec![
        bad("an unknown field", json!({"instructions": "x"})),
        bad("an empty instruction", json!({"instruction": ""})),
        bad(
            "an instruction of spaces",
            json!({"instruction": " \n\u{2003} "}),
        ),
        bad("NUL in an instruction", json!({"instruction": "red\u{0}"})),
        bad(
            "a bell in an instruction",
            json!({"instruction": "red\u{7}"}),
        ),
        bad(
            "a long instruction",
            json!({"instruction": "x".repeat(1001)}),
        ),
        bad("an instruction that is a number", json!({"instruction": 7})),
        bad("image and parent", json!({"parent": ground.done})),
        bad("neither image nor parent", json!({"image": null})),
        bad(
            "an image that is no id",
            json!({"image": "../../etc/passwd"}),
        ),
        bad(
            "a seed beyond JSON",
            json!({"seed": 9_007_199_254_740_992_u64}),
        ),
        bad("a negative seed", json!({"seed": -1})),
        bad("a seed with a fraction", json!({"seed": 1.5})),
        bad("a small size", json!({"size": 63})),
        bad("a large size", json!({"size": 2049})),
        bad("a huge size", json!({"size": 99_999_999_999_u64})),
        bad("no attempts", json!({"max_attempts": 0})),
        bad("an unknown class", json!({"class": "urgent"})),
        bad("an unknown preset", json!({"preset": "nonesuch"})),
        bad(
            "a model that is no name",
            json!({"model": "'; drop table edits; --"}),
        ),
        bad("options that are no object", json!({"options": [1]})),
        bad("NUL in options", json!({"options": {"a": "\u{0}"}})),
        bad(
            "a webhook to a file",
            json!({"webhook": "file:///etc/passwd"}),
        ),
        bad(
            "a webhook with a password",
            json!({"webhook": "https://user:secret@example.com/"}),
        ),
        bad(
            "a webhook that is no address",
            json!({"webhook": "example"}),
        ),
        case(
            "a field twice",
            raw(format!(
                r#"{{"image":"{0}","image":"{0}","instruction":"x"}}"#,
                ground.image
            )),
            422,
            "request_invalid",
        ),
        case(
            "a seed of a thousand digits",
            raw(format!(
                r#"{{"image":"{}","instruction":"x","seed":{}}}"#,
                ground.image,
                "9".repeat(1000)
            )),
            400,
            "json_invalid",
        ),
        case(
            "an unknown model",
            with(json!({"model": "nonesuch"})),
            404,
            "model_not_found",
        ),
        case(
            "an unknown image",
            with(json!({"image": limekiln_jobs::ImageId::new()})),
            404,
            "image_not_found",
        ),
        case(
            "an unknown mask",
            with(json!({"mask": limekiln_jobs::ImageId::new()})),
            404,
            "mask_not_found",
        ),
        case(
            "an unknown parent",
            with(json!({"image": null, "parent": limekiln_jobs::EditId::new()})),
            404,
            "parent_not_found",
        ),
        case(
            "an unknown session",
            with(json!({"session": limekiln_jobs::SessionId::new()})),
            404,
            "session_not_found",
        ),
        case(
            "an empty idempotency key",
            with(json!({})).header("idempotency-key", ""),
            400,
            "parameter_invalid",
        ),
        case(
            "a long idempotency key",
            with(json!({})).header("idempotency-key", "k".repeat(256)),
            400,
            "parameter_invalid",
        ),
        case(
            "an idempotency key of bytes",
            with(json!({})).header("idempotency-key", b"\xe9"),
            400,
            "parameter_invalid",
        ),
        case(
            "two idempotency keys",
            with(json!({}))
                .header("idempotency-key", "a")
                .header("idempotency-key", "b"),
            400,
            "parameter_invalid",
        ),
    ]
}
