//! Numbers with bounds, and messages that name them.

use std::fmt;
use std::str::FromStr;

/// Parses a guidance scale: finite, 0 to 100.
pub(crate) fn scale(text: &str) -> Result<f64, String> {
    within(text, 0.0, 100.0)
}

/// Parses an attention strength: finite, 0 to a million.
pub(crate) fn strength(text: &str) -> Result<f64, String> {
    within(text, 0.0, 1e6)
}

/// Parses a rate: edits a second, a thousandth to a million.
pub(crate) fn rate(text: &str) -> Result<f64, String> {
    within(text, 0.001, 1e6)
}

/// Parses a part of a whole: above 0, at most 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    within(text, 0.001, 1.0)
}

/// The number that noise or drawings are made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seed {
    /// This one.
    Given(u64),
    /// One that the command draws.
    Random,
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "random" | "-1" => Ok(Self::Random),
            text => text
                .parse()
                .map(Self::Given)
                .map_err(|_| format!("not a whole number from 0 to {}, or random", u64::MAX)),
        }
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(seed) => seed.fmt(f),
            Self::Random => f.write_str("random"),
        }
    }
}

/// Parses a number of bytes: `500MiB`, `10GiB`; `unlimited` is none.
pub(crate) fn bytes(text: &str) -> Result<Bytes, String> {
    if text == "unlimited" {
        return Ok(Bytes(None));
    }
    let at = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(at);
    let shift = match unit {
        "" | "B" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return Err("write it as 500MiB, 10GiB or unlimited".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write it as 500MiB, 10GiB or unlimited".to_owned())?;
    number
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes < 1 << 53)
        .map(|bytes| Bytes(Some(bytes)))
        .ok_or_else(|| "too many bytes: write unlimited".to_owned())
}

/// A number of bytes, or none where there is no bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes(pub(crate) Option<u64>);

fn within(text: &str, low: f64, high: f64) -> Result<f64, String> {
    match text.trim().parse::<f64>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        Ok(_) => Err(format!("not between {low} and {high}")),
        Err(_) => Err("not a number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_hold_and_nan_is_refused() {
        assert_eq!(scale("7.5"), Ok(7.5));
        assert_eq!(scale("0"), Ok(0.0));
        for bad in ["nan", "inf", "-1", "100.1", "", "seven"] {
            assert!(scale(bad).is_err(), "{bad}");
        }
        assert!(strength("1000001").is_err());
        assert!(share("0").is_err() && share("1").is_ok());
    }

    #[test]
    fn seeds_are_given_or_drawn() {
        assert_eq!("7".parse(), Ok(Seed::Given(7)));
        assert_eq!(u64::MAX.to_string().parse(), Ok(Seed::Given(u64::MAX)));
        for random in ["random", "-1"] {
            assert_eq!(random.parse(), Ok(Seed::Random));
        }
        for bad in ["", "-2", "1.5", "Random", "18446744073709551616"] {
            assert!(bad.parse::<Seed>().is_err(), "{bad}");
        }
    }

    #[test]
    fn bytes_have_units() {
        assert_eq!(bytes("10GiB"), Ok(Bytes(Some(10 << 30))));
        assert_eq!(bytes("0"), Ok(Bytes(Some(0))));
        assert_eq!(bytes("unlimited"), Ok(Bytes(None)));
        for bad in ["", "GiB", "10GB", "-1", "1.5GiB", "99999999TiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
