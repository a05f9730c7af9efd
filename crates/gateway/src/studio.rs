//! The pages at `/` and, for operators, at `/fleet`: files that are part of the program, and load nothing from elsewhere.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use limekiln_pictures::{Format, encode};
use limekiln_rooms::{Object, bench_pair, draw};

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
    "catalogs.js",
    "color.js",
    "composer.js",
    "dom.js",
    "facts.js",
    "fleet.css",
    "fleet.js",
    "icon.svg",
    "main.js",
    "mask.js",
    "proof.js",
    "repeat.js",
    "segments.js",
    "session.js",
    "sheet.js",
    "sign.js",
    "stage.js",
    "start.js",
    "studio.js",
    "turns.js",
    "work.css",
];

/// What the operators' page is made of beside the page that has it. The other files are the tenants', and not on the operators' port.
const FLEET: [&str; 7] = [
    "fleet.js",
    "sign.js",
    "api.js",
    "dom.js",
    "base.css",
    "fleet.css",
    "icon.svg",
];

/// Rooms to try things on: `room-1.webp` and so on.
static ROOMS: [OnceLock<Option<Vec<u8>>>; 24] = [const { OnceLock::new() }; 24];
/// Longer side of a room, in pixels, and the seed that all are drawn from.
const ROOM: (u32, u64) = (384, 1);

/// The page itself.
pub(crate) async fn page(headers: HeaderMap) -> Response {
    file("index.html", &headers)
}

/// A file that the page is made of.
pub(crate) async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    file(&name, &headers)
}

/// The operators' page: the same, with another script and style.
pub(crate) async fn fleet(headers: HeaderMap) -> Response {
    let page = include_str!("../web/studio/index.html");
    let page = page.replace("/studio/main.js", "/studio/fleet.js");
    let page = page.replace("/studio/work.css", "/studio/fleet.css");
    answer("index.html", page.into_bytes().into(), &headers)
}

/// A file that the operators' page is made of.
pub(crate) async fn fleet_part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    if !FLEET.contains(&name.as_str()) {
        return Problem::plain(ProblemCode::NotFound).into_response();
    }
    file(&name, &headers)
}

fn file(name: &str, headers: &HeaderMap) -> Response {
    let fixed = FILES.iter().find(|(one, _)| *one == name);
    match fixed.map(|(_, bytes)| *bytes).or_else(|| room(name)) {
        Some(bytes) => answer(name, Bytes::from_static(bytes), headers),
        None => Problem::plain(ProblemCode::NotFound).into_response(),
    }
}

fn answer(name: &str, bytes: Bytes, headers: &HeaderMap) -> Response {
    let digest = blake3::hash(&bytes).to_hex();
    let tag = format!("\"{}\"", &digest[..32]);
    let fresh = unchanged(headers, &tag);
    let mut response = if fresh {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        bytes.into_response()
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

/// A room with a sofa, drawn the first time that somebody asks for it.
fn room(name: &str) -> Option<&'static [u8]> {
    let number = name.strip_prefix("room-")?.strip_suffix(".webp")?;
    let number = number.parse::<usize>().ok()?.checked_sub(1)?;
    let drawn = ROOMS.get(number)?.get_or_init(|| {
        let (side, seed) = ROOM;
        let rooms = (0..).map(|index| bench_pair(seed, index).before);
        let scene = rooms
            .filter(|scene| scene.position(Object::Sofa).is_some())
            .nth(number)?;
        encode(&draw(&scene, side).into(), Format::WebP).ok()
    });
    drawn.as_deref()
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
    fn rooms_are_drawn_one_unlike_the_other() {
        let rooms: Vec<&[u8]> = (1..=ROOMS.len())
            .map(|number| room(&format!("room-{number}.webp")).unwrap())
            .collect();
        assert!(rooms.iter().all(|room| room.starts_with(b"RIFF")));
        let all: std::collections::BTreeSet<&&[u8]> = rooms.iter().collect();
        assert_eq!(all.len(), rooms.len());
        for wrong in ["room-0.webp", "room-25.webp", "room-.webp", "room-1.png"] {
            assert_eq!(room(wrong), None, "{wrong}");
        }
    }

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
        // The page at `/` does not load what is the operators' alone.
        let fleet = FILES.iter().filter(|(name, _)| name.starts_with("fleet."));
        let fleet: usize = fleet.map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes - fleet <= 120 << 10, "{} bytes", bytes - fleet);
        assert!(fleet <= 8 << 10, "{fleet} bytes");
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
