//! How a delivery is signed: by the Standard Webhooks scheme, and once more in the header of earlier versions.
//!
//! The time is signed too, so that a delivery someone recorded can't be played again later.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use limekiln_jobs::WebhookId;
use limekiln_store::Secret;
use sha2::Sha256;
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

/// The header of earlier versions, for receivers that check it. It goes with the next release.
const EARLIER_HEADER: &str = "limekiln-signature";

/// The headers that sign `body`, sent at `unix_s` (seconds since 1970), with each of the secrets.
///
/// # Errors
/// A body that is no UTF-8.
pub(crate) fn headers(
    id: WebhookId,
    unix_s: i64,
    secrets: &[Secret],
    body: &[u8],
) -> Result<[(&'static str, String); 4], WebhookError> {
    let id = id.to_string();
    let mut signatures = Vec::with_capacity(secrets.len());
    for secret in secrets {
        signatures.push(webhook(secret)?.sign(&id, unix_s, body)?);
    }
    Ok([
        (HEADER_WEBHOOK_ID, id),
        (HEADER_WEBHOOK_TIMESTAMP, unix_s.to_string()),
        (HEADER_WEBHOOK_SIGNATURE, signatures.join(" ")),
        (EARLIER_HEADER, earlier(unix_s, secrets, body)),
    ])
}

/// The key is what the secret says in base64 after `whsec_`; the bytes of one that says nothing in base64.
fn webhook(secret: &Secret) -> Result<Webhook, WebhookError> {
    let secret = secret.expose();
    Webhook::new(secret).or_else(|_| Webhook::from_bytes(secret.as_bytes().to_vec()))
}

/// `t=<unix seconds>`, and `v1=<hex of hmac-sha256(secret, "<t>.<body>")>` for each secret, whose whole text is the key.
fn earlier(unix_s: i64, secrets: &[Secret], body: &[u8]) -> String {
    let mut header = format!("t={unix_s}");
    for secret in secrets {
        // HMAC takes a key of any length: longer ones are hashed first.
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
            .expect("a key of any length");
        mac.update(unix_s.to_string().as_bytes());
        mac.update(b".");
        mac.update(body);
        header.push_str(",v1=");
        for byte in mac.finalize().into_bytes() {
            // Writing to a String never fails.
            let _ = write!(header, "{byte:02x}");
        }
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57";
    const BODY: &[u8] = br#"{"id":1}"#;

    fn signed(secrets: &[&str]) -> [(&'static str, String); 4] {
        let secrets: Vec<_> = secrets.iter().map(|secret| Secret::new(*secret)).collect();
        headers(ID.parse().unwrap(), 1_700_000_000, &secrets, BODY).unwrap()
    }

    /// By Python's `hmac.digest(key, f'{ID}.1700000000.{{"id":1}}'.encode(), "sha256")`.
    #[test]
    fn a_known_value_for_each_form_of_a_secret() {
        let [id, at, signature, _] = signed(&[
            "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
            // As tenants of earlier versions have it: 64 hex digits, which are base64 too.
            "whsec_00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
            "by hand!",
        ]);
        assert_eq!(id, ("webhook-id", ID.to_owned()));
        assert_eq!(at, ("webhook-timestamp", "1700000000".to_owned()));
        assert_eq!(
            signature,
            (
                "webhook-signature",
                concat!(
                    "v1,4ANJdoK+/i/47IK91DAeMLq/znsGeteQhh5yEdG+trA= ",
                    "v1,9Cmsyp4/7DNwnkF6Fb04uQH7s+oCpp7/9SyZOOI0DuY= ",
                    "v1,p+p6p2DrH3V8oAFXd876Z7vFZvTOmcRGjx9Qo5TiFww="
                )
                .to_owned()
            )
        );
    }

    #[test]
    fn the_earlier_header_is_what_it_was() {
        // printf '1700000000.{"id":1}' | openssl dgst -sha256 -hmac s3cret
        let tag = "ee0658aa4e37018df69c24227df01e0f680eb3b87c7f1f9bd936e283cfe01d9b";
        assert_eq!(
            signed(&["s3cret"])[3],
            ("limekiln-signature", format!("t=1700000000,v1={tag}"))
        );
        let [.., (_, two)] = signed(&["other", "s3cret"]);
        assert!(two.ends_with(&format!(",v1={tag}")) && two.matches(",v1=").count() == 2);
    }
}
