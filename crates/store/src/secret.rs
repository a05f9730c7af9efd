//! Text that never shows up in a log.

use std::fmt::{self, Write as _};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use crate::Result;

/// A secret; `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// 256 bits that nobody can guess, in hexadecimal after a prefix that says what they are.
pub(crate) fn random(prefix: &str) -> Result<Secret> {
    let mut text = String::with_capacity(prefix.len() + 64);
    text.push_str(prefix);
    for byte in bits()? {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    Ok(Secret(text))
}

/// The same in base64.
pub(crate) fn random_base64(prefix: &str) -> Result<Secret> {
    let mut text = prefix.to_owned();
    BASE64_STANDARD.encode_string(bits()?, &mut text);
    Ok(Secret(text))
}

fn bits() -> Result<[u8; 32]> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| crate::Error::Random(error.to_string()))?;
    Ok(bytes)
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
