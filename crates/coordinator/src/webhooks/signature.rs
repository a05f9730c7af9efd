//! The signature of a webhook: `t=<unix seconds>,v1=<hex of hmac-sha256(secret, "<t>.<body>")>`.
//!
//! The time is signed too, so that a delivery someone recorded can't be played again later.

use std::fmt::Write as _;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// The header that carries the signature.
pub const SIGNATURE_HEADER: &str = "limekiln-signature";

/// Why a delivery is not to be believed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BadSignature {
    /// Not of the form `t=...,v1=...`.
    #[error("the signature header is not of the form t=<unix seconds>,v1=<hex>")]
    Malformed,
    /// Older, or further ahead, than tolerated.
    #[error("the signature's time is too far from now")]
    Expired,
    /// Made with another secret, or over another body.
    #[error("the signature does not match the body")]
    Mismatch,
}

fn mac(secret: &[u8], unix_s: i64, body: &[u8]) -> Hmac<Sha256> {
    // HMAC takes a key of any length: longer ones are hashed first.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(unix_s.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

/// The header's value for `body`, signed at `unix_s` (seconds since 1970).
pub fn sign(secret: &[u8], unix_s: i64, body: &[u8]) -> String {
    let mut header = format!("t={unix_s},v1=");
    for byte in mac(secret, unix_s, body).finalize().into_bytes() {
        // Writing to a String never fails.
        let _ = write!(header, "{byte:02x}");
    }
    header
}

/// What a receiver does: checks the header's value against the raw body. `tolerance` bounds the distance between the
/// signed time and `now_unix_s`; five minutes are usual.
pub fn verify(
    secret: &[u8],
    header: &str,
    body: &[u8],
    now_unix_s: i64,
    tolerance: Duration,
) -> Result<(), BadSignature> {
    let mut at = None;
    let mut given = Vec::new();
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", value)) => at = value.parse::<i64>().ok(),
            Some(("v1", value)) => given.push(hex(value).ok_or(BadSignature::Malformed)?),
            _ => {} // a later version's part
        }
    }
    let at = at.ok_or(BadSignature::Malformed)?;
    if given.is_empty() {
        return Err(BadSignature::Malformed);
    }
    if at.abs_diff(now_unix_s) > tolerance.as_secs() {
        return Err(BadSignature::Expired);
    }
    // Several v1 parts are how a secret is rotated; each comparison takes the same time whatever differs.
    if given
        .iter()
        .any(|tag| mac(secret, at, body).verify_slice(tag).is_ok())
    {
        Ok(())
    } else {
        Err(BadSignature::Mismatch)
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Duration = Duration::from_secs(300);

    #[test]
    fn a_known_value() {
        // printf '1700000000.{"id":1}' | openssl dgst -sha256 -hmac s3cret
        assert_eq!(
            sign(b"s3cret", 1_700_000_000, br#"{"id":1}"#),
            "t=1700000000,v1=ee0658aa4e37018df69c24227df01e0f680eb3b87c7f1f9bd936e283cfe01d9b"
        );
    }

    #[test]
    fn only_the_signed_body_the_right_secret_and_a_near_time_pass() {
        let header = sign(b"secret", 1000, b"body");
        let check = |secret: &[u8], header: &str, body: &[u8], now| {
            verify(secret, header, body, now, TOLERANCE)
        };
        assert_eq!(check(b"secret", &header, b"body", 1000), Ok(()));
        assert_eq!(check(b"secret", &header, b"body", 1300), Ok(()));
        assert_eq!(
            check(b"secret", &header, b"body", 1301),
            Err(BadSignature::Expired)
        );
        assert_eq!(
            check(b"secret", &header, b"body", 699),
            Err(BadSignature::Expired)
        );
        assert_eq!(
            check(b"secret", &header, b"bodY", 1000),
            Err(BadSignature::Mismatch)
        );
        assert_eq!(
            check(b"Secret", &header, b"body", 1000),
            Err(BadSignature::Mismatch)
        );
        let moved = header.replace("t=1000", "t=1001");
        assert_eq!(
            check(b"secret", &moved, b"body", 1000),
            Err(BadSignature::Mismatch)
        );
        let both = format!(
            "t=1000,v1={},{}",
            "0".repeat(64),
            header.split_once(',').unwrap().1
        );
        assert_eq!(
            check(b"secret", &both, b"body", 1000),
            Ok(()),
            "a rotated secret's second tag"
        );
        for broken in [
            "",
            "t=1000",
            "v1=00",
            "t=x,v1=00",
            "t=1000,v1=zz",
            "t=1000,v1=é",
            &header[..header.len() - 1],
        ] {
            assert_eq!(
                check(b"secret", broken, b"body", 1000),
                Err(BadSignature::Malformed),
                "{broken}"
            );
        }
    }
}
