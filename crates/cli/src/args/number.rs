//! Numbers with bounds, and messages that name them.

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
    fn bytes_have_units() {
        assert_eq!(bytes("10GiB"), Ok(Bytes(Some(10 << 30))));
        assert_eq!(bytes("0"), Ok(Bytes(Some(0))));
        assert_eq!(bytes("unlimited"), Ok(Bytes(None)));
        for bad in ["", "GiB", "10GB", "-1", "1.5GiB", "99999999TiB"] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
    }
}
