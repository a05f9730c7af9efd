//! Webhooks: jobs of their own, so that a dead endpoint holds up nothing.

mod address;
mod signature;

pub use address::{Refused, is_public, url_check};
pub use signature::{BadSignature, SIGNATURE_HEADER, sign, verify};
