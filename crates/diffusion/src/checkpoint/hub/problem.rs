//! Why something did not come from the hub.

use std::error::Error;
use std::fmt;

/// Why a download failed, in words.
pub(super) struct Problem(pub(super) String);

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<E: Error> From<E> for Problem {
    fn from(error: E) -> Self {
        Self(chain(&error))
    }
}

/// The error with what caused it: an HTTP client's own message rarely says more than which request failed.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let says = error.to_string();
        if !text.contains(&says) {
            text = format!("{text}: {says}");
        }
        cause = error.source();
    }
    text
}
