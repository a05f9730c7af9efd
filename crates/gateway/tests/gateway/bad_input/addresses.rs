//! Keys, paths, ids and queries.

use serde_json::json;

use super::{Case, Ground, case};
use crate::support::http::Request;
use crate::support::pictures;

pub(super) fn keys(ground: &Ground) -> Vec<Case> {
    let get = || Request::new("GET", "/v1/me");
    let admin = |method, path| ground.gateway.request(method, path);
    vec![
        case("no key", get(), 401, "unauthorized"),
        case(
            "unknown key",
            get().key(&format!("lk_{}", "0".repeat(64))),
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
            get().key(&ground.gateway.key).key(&ground.gateway.other),
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
            "tenants with a tenant's key",
            admin("GET", "/v1/admin/tenants"),
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

pub(super) fn ids(ground: &Ground) -> Vec<Case> {
    let get = |path: &str| ground.gateway.request("GET", path);
    let stranger =
        |method: &str, path: String| Request::new(method, &path).key(&ground.gateway.other);
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
                .gateway
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

pub(super) fn queries(ground: &Ground) -> Vec<Case> {
    let get = |path: &str| ground.gateway.request("GET", path);
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
