//! The page at `/`, who is signed in to it, and that it asks for nothing which the API's description lacks.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use limekiln_fixture::PATIENCE;
use limekiln_testbed::until;
use serde_json::Value;

use crate::support::Gateway;
use crate::support::http::{self, Reply, Request};

/// A request as the gateway's own page sends it.
fn page(method: &str, path: &str, cookie: &str) -> Request {
    Request::new(method, path)
        .header("cookie", cookie)
        .header("sec-fetch-site", "same-origin")
}

async fn signed_in(gateway: &Gateway, secret: &str) -> String {
    let reply = gateway
        .send(Request::new("POST", "/v1/sign-in").key(secret))
        .await;
    assert_eq!(reply.status, 204, "{}", reply.text());
    cookie(&reply)
}

fn cookie(reply: &Reply) -> String {
    let set = reply.header("set-cookie").unwrap();
    for said in ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age="] {
        assert!(set.contains(said), "{set}");
    }
    set.split(';').next().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_is_served_under_a_strict_policy() {
    let gateway = Gateway::start().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/studio/main.js", "text/javascript"),
        ("/studio/base.css", "text/css"),
    ] {
        let reply = gateway.send(Request::new("GET", path)).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-type").unwrap().starts_with(kind));
        let policy = reply.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        let tag = reply.header("etag").unwrap().to_owned();
        let again = Request::new("GET", path).header("if-none-match", tag);
        assert_eq!(gateway.send(again).await.status, 304, "{path}");
    }
    for path in ["/studio/nonesuch.js", "/studio/..%2fdocs.html"] {
        assert_eq!(gateway.send(Request::new("GET", path)).await.status, 404);
    }
    // Operators find their page on their port, and tenants theirs on the tenants'.
    for (path, status) in [
        ("/fleet", 200),
        ("/studio/fleet.js", 200),
        ("/studio/base.css", 200),
        ("/studio/main.js", 404),
        ("/studio/room-1.webp", 404),
    ] {
        let reply = gateway.send_status(Request::new("GET", path)).await;
        assert_eq!(reply.status, status, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_fleet_is_shown_to_operators_alone() {
    let gateway = Gateway::with(|settings| settings.admin_public = false).await;
    let public = gateway.send(Request::new("GET", "/fleet")).await;
    assert_eq!(public.status, 404);
    let page = gateway.send_status(Request::new("GET", "/fleet")).await;
    assert!(page.text().contains("/studio/fleet.js"));
    assert!(!page.text().contains("/studio/main.js"));
    for (key, status) in [(&gateway.admin, 200), (&gateway.key, 403)] {
        let reply = gateway
            .send_status(Request::new("POST", "/v1/sign-in").key(key))
            .await;
        assert_eq!(reply.status, 204, "{}", reply.text());
        let asked = self::page("GET", "/v1/admin/queues", &cookie(&reply));
        assert_eq!(gateway.send_status(asked).await.status, status);
        let paused = self::page("POST", "/v1/admin/pause", &cookie(&reply));
        assert_eq!(gateway.send_status(paused).await.status, status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_stands_for_its_key_until_either_ends() {
    let gateway =
        Gateway::with(|settings| settings.timeouts.key_cache = Duration::from_millis(50)).await;
    let store = &gateway.context.store;
    let key = store
        .key_create(gateway.tenant, limekiln_jobs::api::Role::Tenant, "page")
        .await
        .unwrap();
    let cookie = signed_in(&gateway, key.secret.expose()).await;
    let me = gateway.send(page("GET", "/v1/me", &cookie)).await;
    assert_eq!((me.status, &me.json()["name"]), (200, &"acme".into()));
    // Pictures and streams, which carry no header of the page's.
    let edit = gateway.edit().await;
    let request = page("GET", &format!("/v1/edits/{edit}/events"), &cookie);
    let (head, mut stream) = http::open(gateway.address, request).await;
    assert_eq!(head.status, 200);
    assert!(stream.event().await.is_some());

    let out = gateway.send(page("POST", "/v1/sign-out", &cookie)).await;
    assert_eq!(out.status, 204);
    assert!(out.header("set-cookie").unwrap().contains("Max-Age=0"));
    let gone = gateway.send(page("GET", "/v1/me", &cookie)).await;
    assert_eq!(gone.status, 401);

    let cookie = signed_in(&gateway, key.secret.expose()).await;
    assert!(store.key_revoke(key.id).await.unwrap());
    until("the cookie ends with its key", PATIENCE, async || {
        gateway.send(page("GET", "/v1/me", &cookie)).await.status == 401
    })
    .await;
    for made_up in [
        "limekiln=",
        "limekiln=ls_1",
        &format!("limekiln={}", gateway.key),
        &format!("limekiln=ls_{}", "0".repeat(64)),
    ] {
        let reply = gateway.send(page("GET", "/v1/me", made_up)).await;
        assert_eq!(reply.status, 401, "{made_up}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cookie_counts_from_the_gateways_own_page_alone() {
    let gateway = Gateway::with(|settings| {
        settings.origins = vec!["https://shop.example".parse().unwrap()];
    })
    .await;
    let cookie = signed_in(&gateway, &gateway.key).await;
    let with = |method: &str, headers: &[(&str, &str)]| {
        let path = match method {
            "GET" => "/v1/me",
            _ => "/v1/sessions",
        };
        let request = Request::new(method, path).header("cookie", &cookie);
        headers.iter().fold(request, |request, (name, value)| {
            request.header(name, value)
        })
    };
    for (method, headers, status) in [
        ("GET", &[("sec-fetch-site", "same-origin")][..], 200),
        ("POST", &[("origin", "http://limekiln")], 201),
        ("POST", &[("sec-fetch-site", "same-origin")], 201),
        ("POST", &[], 401),
        ("POST", &[("sec-fetch-site", "none")], 401),
        ("POST", &[("origin", "https://shop.example")], 401),
        ("POST", &[("origin", "http://limekiln:3000")], 401),
        (
            "POST",
            &[
                ("origin", "http://limekiln:3000"),
                ("sec-fetch-site", "same-site"),
            ],
            401,
        ),
        ("GET", &[("origin", "https://shop.example")], 401),
        ("GET", &[("sec-fetch-site", "cross-site")], 401),
    ] {
        let reply = gateway.send(with(method, headers)).await;
        assert_eq!(reply.status, status, "{method} {headers:?}");
        assert_eq!(reply.header("access-control-allow-credentials"), None);
    }
    // A key counts from wherever it is sent, whatever cookie comes along.
    let keyed = with("POST", &[("origin", "https://shop.example")]).key(&gateway.other);
    assert_eq!(gateway.send(keyed).await.status, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_signs_in_once() {
    let gateway = Gateway::start().await;
    let store = &gateway.context.store;
    let caller = store.key_find(&gateway.key).await.unwrap().unwrap();
    let link = async |lifetime| store.sign_in_link(caller.key, lifetime).await.unwrap();
    let first = link(Duration::from_secs(60)).await;
    let cookie = signed_in(&gateway, first.expose()).await;
    let me = gateway.send(page("GET", "/v1/me", &cookie)).await;
    assert_eq!((me.status, &me.json()["name"]), (200, &"acme".into()));
    let over = link(Duration::ZERO).await;
    for spent in [first.expose(), over.expose()] {
        let again = Request::new("POST", "/v1/sign-in").key(spent);
        assert_eq!(gateway.send(again).await.status, 401);
    }
    // Nor is a cookie's secret a key, nor a link a cookie.
    let (_, secret) = cookie.split_once('=').unwrap();
    let as_key = Request::new("GET", "/v1/me").key(secret);
    assert_eq!(gateway.send(as_key).await.status, 401);
    let unused = link(Duration::from_secs(60)).await;
    let as_cookie = page("GET", "/v1/me", &format!("limekiln={}", unused.expose()));
    assert_eq!(gateway.send(as_cookie).await.status, 401);
}

/// What the page reads and writes of what the API has, by schema. A field that is used and not listed here is found by looking.
const FIELDS: &[(&str, &[&str])] = &[
    ("Models", &["data", "presets"]),
    ("Model", &["id", "default"]),
    ("ImageView", &["id"]),
    ("SessionPage", &["sessions", "next"]),
    (
        "SessionView",
        &["id", "title", "image", "head", "turns", "used_at"],
    ),
    ("SessionRequest", &["image", "title"]),
    ("SessionChange", &["title"]),
    (
        "TurnView",
        &[
            "id",
            "number",
            "parent",
            "state",
            "instruction",
            "created_at",
            "finished_at",
            "error",
        ],
    ),
    ("Branch", &["name", "turn"]),
    ("BranchRequest", &["name", "turn"]),
    ("HeadRequest", &["move", "turn"]),
    ("HeadMoved", &["version"]),
    ("SessionEvent", &["turn", "head"]),
    ("EditEvent", &["edit", "data"]),
    ("AcceptedEdit", &["id"]),
    (
        "EditRequest",
        &[
            "instruction",
            "image",
            "parent",
            "preset",
            "finish",
            "seed",
            "options",
            "color",
            "material",
            "mask",
            "matte",
            "size",
            "carry",
            "model",
            "reuse",
            "region",
            "strip_metadata",
        ],
    ),
    (
        "EditView",
        &[
            "instruction",
            "preset",
            "model",
            "seed",
            "error",
            "report",
            "links",
            "queue_position",
            "options",
            "size",
            "mask",
            "matte",
            "finish",
            "carry",
            "color",
            "material",
            "region",
            "reuse",
            "strip_metadata",
        ],
    ),
    ("EditLinks", &["roi", "matte", "segments", "overlay"]),
    ("Problem", &["title", "detail", "code", "errors"]),
    ("Invalid", &["field", "message"]),
    ("Failure", &["message"]),
    ("CatalogPage", &["catalogs", "next"]),
    ("CatalogRequest", &["name", "defaults"]),
    (
        "CatalogView",
        &[
            "id",
            "name",
            "state",
            "rows",
            "passed",
            "review",
            "rejected",
            "failed",
            "cancelled",
            "live",
            "waiting",
            "rate_per_hour",
            "left_s",
            "created_at",
        ],
    ),
    ("CatalogRow", &["row", "values"]),
    ("RowPage", &["rows", "next"]),
    (
        "RowView",
        &[
            "row",
            "state",
            "reasons",
            "error",
            "values",
            "image",
            "instruction",
            "color",
            "edit",
            "measures",
        ],
    ),
    ("Measures", &["sure", "share", "delta_e"]),
    (
        "DecisionRequest",
        &["rows", "verdict", "picture", "changes"],
    ),
    ("RowsChanged", &["rows"]),
    ("Queues", &["paused", "queues"]),
    (
        "QueueCount",
        &[
            "model",
            "class",
            "waiting",
            "queued",
            "unable",
            "unable_needs",
            "announced",
            "running",
            "oldest_queued_s",
        ],
    ),
    ("Workers", &["workers"]),
    (
        "Worker",
        &[
            "id", "name", "models", "slots", "busy", "device", "version", "draining", "alive",
            "seen_at",
        ],
    ),
    ("DeadLetterPage", &["dead_letters"]),
    (
        "DeadLetter",
        &[
            "edit",
            "tenant",
            "model",
            "error",
            "attempts",
            "finished_at",
        ],
    ),
    ("TenantPage", &["tenants"]),
    ("TenantView", &["id", "name", "limits", "used", "keys"]),
    ("TenantLimits", &["in_flight", "rate_per_second"]),
    ("TenantUse", &["in_flight", "stored_bytes"]),
    (
        "KeyView",
        &["role", "label", "expires_at", "revoked_at", "used_at"],
    ),
];

/// What the page does to a catalog by its last name.
const OF_CATALOGS: [&str; 4] = ["pause", "resume", "cancel", "retry-failed"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_asks_for_nothing_that_the_description_lacks() {
    let gateway = Gateway::with(|settings| settings.admin_public = true).await;
    let api = limekiln_gateway::openapi(&gateway.state);
    let source = source().replace("${this.path}", "/v1/catalogs/{}");
    let mut asked = 0;
    let mut paths = paths(&source);
    assert!(paths.remove("/v1/catalogs/{}/{}"));
    for name in OF_CATALOGS {
        assert!(source.contains(&format!("act(\"{name}\")")), "{name}");
        paths.insert(format!("/v1/catalogs/{{}}/{name}"));
    }
    for path in paths {
        asked += 1;
        let (path, query) = path.split_once('?').unwrap_or((&path, ""));
        let found = described(&api, path).unwrap_or_else(|| panic!("{path} is in no description"));
        for name in query.split('&').filter_map(|pair| pair.split_once('=')) {
            let known = found["get"]["parameters"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["name"] == name.0);
            assert!(known, "{path}: {}", name.0);
        }
    }
    assert!(asked > 15, "{asked} paths were found");
    let schemas = &api["components"]["schemas"];
    for (schema, fields) in FIELDS {
        for field in *fields {
            let described = schemas[schema]["properties"][field].is_object();
            assert!(described, "{schema} has no {field}");
            assert!(source.contains(field), "the page does not use {field}");
        }
    }
    let list = source
        .split("const KINDS = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .unwrap();
    let heard: BTreeSet<&str> = list
        .split(", ")
        .map(|kind| kind.trim_matches('"'))
        .collect();
    let kind = &schemas["EventKind"];
    let known = kind["enum"]
        .as_array()
        .or(kind["x-extensible-enum"].as_array());
    let sent: BTreeSet<&str> = known
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .chain(["head", "preview"])
        .collect();
    assert_eq!(heard, sent);
}

/// All modules of the page.
fn source() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/studio");
    let mut text = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "js") {
            text.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
    text
}

/// Every path of the API that the modules write, with `{}` where something is put in.
fn paths(source: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in source.match_indices("/v1/") {
        let mut path = String::new();
        let mut depth = 0;
        for c in source[at..].chars() {
            match c {
                '$' => {}
                '{' => {
                    depth += 1;
                    if depth == 1 {
                        path.push_str("{}");
                    }
                }
                '}' => depth -= 1,
                _ if depth > 0 => {}
                '`' | '"' | ' ' | '\\' => break,
                c => path.push(c),
            }
        }
        found.insert(path);
    }
    found
}

/// The item that describes a path.
fn described<'a>(api: &'a Value, path: &str) -> Option<&'a Value> {
    // What is put in behind a name is a query.
    let query = path.strip_suffix("{}").filter(|path| !path.ends_with('/'));
    let path = query.unwrap_or(path).trim_end_matches('/');
    let fits = |known: &str| {
        let (known, asked): (Vec<&str>, Vec<&str>) =
            (known.split('/').collect(), path.split('/').collect());
        known.len() == asked.len()
            && known
                .iter()
                .zip(&asked)
                .all(|(known, asked)| known == asked || (known.starts_with('{') && *asked == "{}"))
    };
    let paths = api["paths"].as_object()?;
    paths
        .iter()
        .find(|(known, _)| fits(known))
        .map(|(_, item)| item)
}
