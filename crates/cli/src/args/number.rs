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
    }
}
