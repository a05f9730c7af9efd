//! The page at `/`: files that are part of the program, and load nothing from elsewhere.

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::download::unchanged;
use crate::problem::{Problem, ProblemCode};

/// No script and no style but those files; pictures also from memory, where the page makes them.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; \
    base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!("../web/studio/", $name)))),*]
    };
}

/// Every file by its name.
const FILES: &[(&str, &[u8])] = files![
    "index.html",
    "api.js",
    "base.css",
    "color.js",
    "composer.js",
    "dom.js",
    "facts.js",
    "icon.svg",
    "main.js",
    "mask.js",
    "proof.js",
    "region.js",
    "repeat.js",
    "room-1.webp",
    "room-2.webp",
    "room-3.webp",
    "segments.js",
    "session.js",
    "stage.js",
    "start.js",
    "studio.js",
    "turns.js",
    "work.css",
];

/// The page itself.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// A file that the page is made of.
pub(crate) async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let Some((_, bytes)) = FILES.iter().find(|(one, _)| *one == name) else {
        return Problem::plain(ProblemCode::NotFound).into_response();
    };
    let digest = blake3::hash(bytes).to_hex();
    let tag = format!("\"{}\"", &digest[..32]);
    let fresh = unchanged(headers, &tag);
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        (*bytes).into_response()
    };
    let headers = response.headers_mut();
    let fixed = [
        (header::CONTENT_TYPE, media_type(name)),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        // Asked about each time, so that page and API are of one version.
        (header::CACHE_CONTROL, "no-cache"),
        (header::REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, extension)| extension) {
        Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "image/webp",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_small_and_whole() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/web/studio");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        let mut served: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        there.sort_unstable();
        served.sort_unstable();
        assert_eq!(there, served);
        let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= 120 << 10, "{bytes} bytes");
        for (name, bytes) in FILES
            .iter()
            .filter(|(name, _)| media_type(name).contains("utf-8"))
        {
            let text = std::str::from_utf8(bytes).unwrap();
            assert!(text.lines().count() <= 300, "{name}");
            // What the policy forbids would not run: markup from strings, scripts and styles in markup.
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "<style",
                "eval(",
                " style=\"",
                "javascript:",
            ] {
                assert!(!text.contains(forbidden), "{name}: {forbidden}");
            }
        }
    }
}
