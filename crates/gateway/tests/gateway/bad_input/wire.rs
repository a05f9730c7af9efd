//! Exchanges that are broken below the API: hyper answers, or nobody does.

use super::Ground;
use crate::support::pictures;

pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) bytes: Vec<u8>,
    /// Whether nothing more comes.
    pub(super) hang_up: bool,
    /// Which may be answered; 0 is no answer at all.
    pub(super) statuses: &'static [u16],
}

pub(super) fn all(ground: &Ground) -> Vec<Case> {
    let key = &ground.gateway.key;
    let head = |line: &str, more: &str| {
        format!("{line} HTTP/1.1\r\nhost: limekiln\r\nauthorization: Bearer {key}\r\n{more}\r\n")
            .into_bytes()
    };
    let png = "content-type: image/png\r\n";
    let post = |more: &str, body: &[u8]| {
        [
            head("POST /v1/images", &format!("{png}{more}")),
            body.to_vec(),
        ]
        .concat()
    };
    let room = pictures::room();
    let half = &room[..room.len() / 2];
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    let case = |name, bytes, hang_up, statuses| Case {
        name,
        bytes,
        hang_up,
        statuses,
    };
    vec![
        case("nothing", Vec::new(), true, &[0]),
        case("silence", Vec::new(), false, &[0, 408]),
        case("noise", vec![0xAB; 512], false, &[0, 400]),
        case(
            "TLS on a plain port",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
            true,
            &[0, 400],
        ),
        case(
            "HTTP/2 without asking",
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
            true,
            &[0, 400, 505],
        ),
        case(
            "half a request line",
            b"GET /v1/m".to_vec(),
            true,
            &[0, 400],
        ),
        case(
            "a request line that never ends",
            b"GET /v1/m".to_vec(),
            false,
            &[0, 408],
        ),
        case(
            "headers that never end",
            head("GET /v1/me", "x: y\r\n")[..80].to_vec(),
            false,
            &[0, 408],
        ),
        case(
            "a header too many bytes",
            head("GET /v1/me", &format!("x: {}\r\n", "y".repeat(64 << 10))),
            false,
            &[0, 431, 400],
        ),
        case(
            "too many headers",
            head("GET /v1/me", &"x: y\r\n".repeat(500)),
            false,
            &[0, 431, 400],
        ),
        case(
            "an address too long",
            head(&format!("GET /v1/edits/{}", "x".repeat(64 << 10)), ""),
            false,
            &[0, 400, 414, 431],
        ),
        case(
            "a header without a name",
            head("GET /v1/me", ": x\r\n"),
            false,
            &[0, 400],
        ),
        case(
            "NUL in a header",
            head("GET /v1/me", "x: \0\r\n"),
            false,
            &[0, 400],
        ),
        case(
            "two lengths",
            post("content-length: 5\r\ncontent-length: 6\r\n", b"hello"),
            true,
            &[0, 400],
        ),
        case(
            "a length that is no number",
            post("content-length: five\r\n", b"hello"),
            true,
            &[0, 400],
        ),
        case(
            "a negative length",
            post("content-length: -5\r\n", b"hello"),
            true,
            &[0, 400],
        ),
        case(
            "a chunk without a size",
            post("transfer-encoding: chunked\r\n", b"zz\r\n"),
            true,
            &[0, 400],
        ),
        case(
            "a chunk of too many bytes",
            post("transfer-encoding: chunked\r\n", b"ffffffffffffffffff\r\n"),
            true,
            &[0, 400],
        ),
        case(
            "chunks that stop",
            post("transfer-encoding: chunked\r\n", &chunk(half)),
            true,
            &[0, 400],
        ),
        case(
            "chunks that never go on",
            post("transfer-encoding: chunked\r\n", &chunk(half)),
            false,
            &[408],
        ),
        case(
            "chunks without an end of too many bytes",
            post("transfer-encoding: chunked\r\n", &chunk(&[0; 512 << 10])),
            false,
            &[413],
        ),
        case(
            "a picture that stops",
            post(&format!("content-length: {}\r\n", room.len()), half),
            true,
            &[0, 400],
        ),
        case(
            "an unknown coding of transfer",
            post("transfer-encoding: gzip\r\n", half),
            true,
            &[0, 400, 501],
        ),
    ]
}
