//! Requests that are well-formed HTTP and wrong otherwise.

use image::{DynamicImage, ImageFormat};
use serde_json::json;

use super::{Case, Ground, case};
use crate::support::http::Request;
use crate::support::pictures;

pub(super) fn all(ground: &Ground) -> Vec<Case> {
    let mut cases = keys(ground);
    cases.extend(uploads(ground));
    cases.extend(bodies(ground));
    cases.extend(requests(ground));
    cases.extend(ids(ground));
    cases.extend(queries(ground));
    cases
}

fn keys(ground: &Ground) -> Vec<Case> {
    let get = || Request::new("GET", "/v1/me");
    let admin = |method, path| ground.bed.request(method, path);
    vec![
        case("no key", get(), 401, "unauthorized"),
        case(
            "unknown key",
            get().key("lk_00000000000000000000000000000000"),
            401,
            "unauthorized",
        ),
        case(
            "empty key",
            get().header("authorization", "Bearer "),
            401,
            "unauthorized",
        ),
        case(
            "another scheme",
            get().header("authorization", "Basic YTpi"),
            401,
            "unauthorized",
        ),
        case(
            "two keys",
            get().key(&ground.bed.key).key(&ground.bed.other),
            401,
            "unauthorized",
        ),
        case(
            "a key of bytes",
            get().header("authorization", b"Bearer \xff\xfe"),
            401,
            "unauthorized",
        ),
        case(
            "a key with SQL",
            get().key("lk_'or'1'='1"),
            401,
            "unauthorized",
        ),
        case(
            "an endless key",
            get().key(&"k".repeat(5000)),
            401,
            "unauthorized",
        ),
        case(
            "no key for an upload",
            Request::new("POST", "/v1/images").body("image/png", pictures::room()),
            401,
            "unauthorized",
        ),
        case(
            "admin routes with a tenant's key",
            admin("GET", "/v1/admin/workers"),
            403,
            "forbidden",
        ),
        case(
            "pause with a tenant's key",
            admin("POST", "/v1/admin/pause"),
            403,
            "forbidden",
        ),
        case(
            "dead letters with a tenant's key",
            admin("GET", "/v1/admin/dead-letters"),
            403,
            "forbidden",
        ),
        case(
            "nothing there",
            admin("GET", "/v1/nothing"),
            404,
            "not_found",
        ),
        case(
            "path tricks",
            admin("GET", "/v1/../../etc/passwd"),
            404,
            "not_found",
        ),
        case(
            "coded path tricks",
            admin("GET", "/v1/edits/..%2f..%2fetc%2fpasswd"),
            400,
            "parameter_invalid",
        ),
        case(
            "wrong method",
            admin("DELETE", "/v1/edits"),
            405,
            "method_not_allowed",
        ),
        case(
            "a method of one's own",
            admin("BREW", "/v1/images"),
            405,
            "method_not_allowed",
        ),
    ]
}

fn uploads(ground: &Ground) -> Vec<Case> {
    let post = |media_type: &str, body: Vec<u8>| {
        ground
            .bed
            .request("POST", "/v1/images")
            .body(media_type, body)
    };
    let room = pictures::room;
    let jpeg = || pictures::written(&pictures::drawn().into(), ImageFormat::Jpeg);
    let cut = |mut bytes: Vec<u8>| {
        bytes.truncate(bytes.len() / 2);
        bytes
    };
    let mut flipped = room();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 0xFF;
    vec![
        case(
            "no type",
            ground.bed.request("POST", "/v1/images").length(0),
            415,
            "media_type_unsupported",
        ),
        case(
            "a type that is not taken",
            post("application/pdf", room()),
            415,
            "media_type_unsupported",
        ),
        case(
            "a form where a picture belongs",
            post("application/x-www-form-urlencoded", room()),
            415,
            "media_type_unsupported",
        ),
        case(
            "a type of bytes",
            ground
                .bed
                .request("POST", "/v1/images")
                .body("image/png", room())
                .header("content-type", b"\xff"),
            415,
            "media_type_unsupported",
        ),
        case(
            "empty picture",
            post("image/png", Vec::new()),
            422,
            "image_empty",
        ),
        case(
            "text as picture",
            post("image/png", b"hello".to_vec()),
            415,
            "image_unsupported",
        ),
        case(
            "a GIF",
            post("image/png", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;".to_vec()),
            415,
            "image_unsupported",
        ),
        case(
            "an SVG",
            post(
                "application/octet-stream",
                b"<svg xmlns='http://www.w3.org/2000/svg'/>".to_vec(),
            ),
            415,
            "image_unsupported",
        ),
        case(
            "a JPEG that claims to be PNG",
            post("image/png", jpeg()),
            415,
            "media_type_mismatch",
        ),
        case(
            "a PNG that claims to be WebP",
            post("image/webp", room()),
            415,
            "media_type_mismatch",
        ),
        case(
            "half a PNG",
            post("image/png", cut(room())),
            422,
            "image_damaged",
        ),
        case(
            "half a JPEG",
            post("image/jpeg", cut(jpeg())),
            422,
            "image_damaged",
        ),
        case(
            "a PNG with a flipped byte",
            post("image/png", flipped),
            422,
            "image_damaged",
        ),
        case(
            "only a PNG's head",
            post("image/png", room()[..33].to_vec()),
            422,
            "image_damaged",
        ),
        case(
            "a PNG of no pixels",
            post("image/png", pictures::png_claiming(0, 4)),
            422,
            "image_damaged",
        ),
        case(
            "a bomb: 10 gigapixels",
            post("image/png", pictures::png_claiming(100_000, 100_000)),
            422,
            "image_pixels_limit",
        ),
        case(
            "a bomb: the largest numbers",
            post(
                "image/png",
                pictures::png_claiming(0x7FFF_FFFF, 0x7FFF_FFFF),
            ),
            422,
            "image_pixels_limit",
        ),
        case(
            "too wide",
            post("image/png", pictures::png_claiming(2049, 1)),
            422,
            "image_pixels_limit",
        ),
        case(
            "too many bytes",
            post("image/png", vec![0; 300 << 10]),
            413,
            "body_too_large",
        ),
        case(
            "more bytes than it takes, as it says",
            post("image/png", room()).length(1 << 40),
            413,
            "body_too_large",
        ),
        case(
            "a compressed body",
            post("image/png", room()).header("content-encoding", "gzip"),
            415,
            "content_encoding_unsupported",
        ),
        case(
            "two codings",
            post("image/png", room()).header("content-encoding", "identity, br"),
            415,
            "content_encoding_unsupported",
        ),
        case(
            "a body that stops",
            post("image/png", room()).length(100_000).hang_up(),
            400,
            "body_incomplete",
        ),
        case(
            "a body that never goes on",
            post("image/png", room()).length(100_000),
            408,
            "body_timeout",
        ),
        case(
            "a solid PNG of too many pixels",
            post("image/png", solid()),
            422,
            "image_pixels_limit",
        ),
    ]
}

/// 1500 x 1500 pixels of one color: few bytes, many pixels.
fn solid() -> Vec<u8> {
    pictures::written(&DynamicImage::new_luma8(1500, 1500), ImageFormat::Png)
}

fn bodies(ground: &Ground) -> Vec<Case> {
    let post = |body: &[u8]| {
        ground
            .bed
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
                .bed
                .request("POST", "/v1/edits")
                .body("text/plain", "{}"),
            415,
            "media_type_unsupported",
        ),
        case(
            "JSON as form",
            ground
                .bed
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

fn requests(ground: &Ground) -> Vec<Case> {
    let with = |change: serde_json::Value| {
        let mut body = json!({"image": ground.image, "instruction": "make the sofa red"});
        for (field, value) in change.as_object().unwrap() {
            body[field] = value.clone();
        }
        ground.bed.request("POST", "/v1/edits").json(&body)
    };
    let bad = |name, change| case(name, with(change), 422, "request_invalid");
    let raw = |body: String| {
        ground
            .bed
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

fn ids(ground: &Ground) -> Vec<Case> {
    let get = |path: &str| ground.bed.request("GET", path);
    let stranger = |method: &str, path: String| Request::new(method, &path).key(&ground.bed.other);
    let (image, done, queued) = (ground.image, ground.done, ground.queued);
    let theirs = json!({"image": image, "instruction": "x"});
    let their_turn = json!({"parent": done, "instruction": "x"});
    vec![
        case(
            "an edit that is no id",
            get("/v1/edits/7"),
            400,
            "parameter_invalid",
        ),
        case(
            "an edit that is SQL",
            get("/v1/edits/1'%20or%20'1'='1"),
            400,
            "parameter_invalid",
        ),
        case(
            "an edit that is NUL",
            get("/v1/edits/%00"),
            400,
            "parameter_invalid",
        ),
        case(
            "an edit of invalid UTF-8",
            get("/v1/edits/%ff%fe"),
            400,
            "malformed",
        ),
        case(
            "an edit without hyphens",
            get(&format!("/v1/edits/{}", done.uuid().simple())),
            400,
            "parameter_invalid",
        ),
        case(
            "an unknown edit",
            get(&format!("/v1/edits/{}", limekiln_jobs::EditId::new())),
            404,
            "edit_not_found",
        ),
        case(
            "an unknown artifact",
            get(&format!("/v1/edits/{done}/secrets")),
            404,
            "not_found",
        ),
        case(
            "an artifact the edit lacks",
            get(&format!("/v1/edits/{done}/roi")),
            404,
            "artifact_not_found",
        ),
        case(
            "the result of a queued edit",
            get(&format!("/v1/edits/{queued}/result")),
            409,
            "edit_unfinished",
        ),
        case(
            "cancelling what has ended",
            ground
                .bed
                .request("POST", &format!("/v1/edits/{done}/cancel")),
            409,
            "edit_ended",
        ),
        case(
            "an unknown image's bytes",
            get(&format!(
                "/v1/images/{}/content",
                limekiln_jobs::ImageId::new()
            )),
            404,
            "image_not_found",
        ),
        case(
            "an unknown session's page",
            get(&format!("/v1/sessions/{}", limekiln_jobs::SessionId::new())),
            404,
            "session_not_found",
        ),
        case(
            "another tenant's edit",
            stranger("GET", format!("/v1/edits/{done}")),
            404,
            "edit_not_found",
        ),
        case(
            "another tenant's events",
            stranger("GET", format!("/v1/edits/{done}/events")),
            404,
            "edit_not_found",
        ),
        case(
            "another tenant's result",
            stranger("GET", format!("/v1/edits/{done}/result")),
            404,
            "edit_not_found",
        ),
        case(
            "cancelling another tenant's edit",
            stranger("POST", format!("/v1/edits/{queued}/cancel")),
            404,
            "edit_not_found",
        ),
        case(
            "another tenant's image",
            stranger("GET", format!("/v1/images/{image}")),
            404,
            "image_not_found",
        ),
        case(
            "another tenant's picture",
            stranger("GET", format!("/v1/images/{image}/content")),
            404,
            "image_not_found",
        ),
        case(
            "editing another tenant's image",
            stranger("POST", "/v1/edits".into()).json(&theirs),
            404,
            "image_not_found",
        ),
        case(
            "building on another tenant's edit",
            stranger("POST", "/v1/edits".into()).json(&their_turn),
            404,
            "parent_not_found",
        ),
    ]
}

fn queries(ground: &Ground) -> Vec<Case> {
    let get = |path: &str| ground.bed.request("GET", path);
    let events = format!("/v1/edits/{}/events", ground.done);
    vec![
        case(
            "limit 0",
            get("/v1/edits?limit=0"),
            400,
            "parameter_invalid",
        ),
        case(
            "limit 101",
            get("/v1/edits?limit=101"),
            400,
            "parameter_invalid",
        ),
        case(
            "a negative limit",
            get("/v1/edits?limit=-1"),
            400,
            "parameter_invalid",
        ),
        case(
            "a huge limit",
            get("/v1/edits?limit=99999999999999999999"),
            400,
            "parameter_invalid",
        ),
        case(
            "a limit that is no number",
            get("/v1/edits?limit=ten"),
            400,
            "parameter_invalid",
        ),
        case(
            "the limit twice",
            get("/v1/edits?limit=1&limit=2"),
            400,
            "parameter_invalid",
        ),
        case(
            "an unknown state",
            get("/v1/edits?state=done"),
            400,
            "parameter_invalid",
        ),
        case(
            "an unknown parameter",
            get("/v1/edits?stat=queued"),
            400,
            "parameter_invalid",
        ),
        case(
            "a cursor of SQL",
            get("/v1/edits?cursor=1%27%3B--"),
            400,
            "parameter_invalid",
        ),
        case(
            "a session that is no id",
            get("/v1/edits?session=x"),
            400,
            "parameter_invalid",
        ),
        case(
            "a model that is no name in the query",
            get("/v1/edits?model=%00"),
            400,
            "parameter_invalid",
        ),
        case(
            "a last event that is no number",
            get(&events).header("last-event-id", "first"),
            400,
            "parameter_invalid",
        ),
        case(
            "a negative last event",
            get(&events).header("last-event-id", "-1"),
            400,
            "parameter_invalid",
        ),
        case(
            "a huge last event",
            get(&events).header("last-event-id", "9".repeat(30)),
            400,
            "parameter_invalid",
        ),
    ]
}
