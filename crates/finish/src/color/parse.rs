//! Values: hex, CSS names, `rgb(...)` and `lab(...)`.

use std::str::FromStr;

use super::names;
use super::value::Color;
use crate::error::{Error, Result};

impl FromStr for Color {
    type Err = Error;

    /// `#RGB`, `#RRGGBB`, a name (see [`names`]), `rgb(31 111 139)` or `lab(52.5 -10 8)`. Functions take commas or spaces
    /// between their numbers.
    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        if let Some(digits) = trimmed.strip_prefix('#') {
            return hex(trimmed, digits);
        }
        let lower = trimmed.to_lowercase();
        if let Some((name, rest)) = lower.split_once('(') {
            let inner = rest
                .strip_suffix(')')
                .ok_or_else(|| Error::UnknownColor(trimmed.into()))?;
            return match name.trim() {
                "rgb" | "rgba" => rgb(trimmed, inner),
                "lab" => lab(trimmed, inner),
                _ => Err(Error::UnknownColor(trimmed.into())),
            };
        }
        if lower == "transparent" {
            return Err(Error::Transparent(trimmed.into()));
        }
        if let Some(color) = names::find(&lower) {
            return Ok(color);
        }
        // Shells take `#` for a comment, so that people leave it out.
        if matches!(trimmed.len(), 6 | 8) && trimmed.bytes().all(|b| b.is_ascii_hexdigit()) {
            return hex(trimmed, trimmed);
        }
        Err(Error::UnknownColor(trimmed.into()))
    }
}

fn hex(text: &str, digits: &str) -> Result<Color> {
    let values: Option<Vec<u8>> = digits
        .chars()
        .map(|digit| digit.to_digit(16).map(|value| value as u8))
        .collect();
    match values.as_deref() {
        Some([r, g, b]) => Ok(Color::from_srgb8([r * 17, g * 17, b * 17])),
        Some([r, s, g, h, b, c]) => Ok(Color::from_srgb8([r * 16 + s, g * 16 + h, b * 16 + c])),
        Some([_, _, _, _]) | Some([_, _, _, _, _, _, _, _]) => Err(Error::Transparent(text.into())),
        _ => Err(Error::UnknownColor(text.into())),
    }
}

/// The three numbers of a function, each in its range.
fn numbers(text: &str, inner: &str, ranges: [(&'static str, f64, f64); 3]) -> Result<[f64; 3]> {
    if inner.contains('/') {
        return Err(Error::Transparent(text.into()));
    }
    let parts: Vec<&str> = inner
        .split([',', ' ', '\t'])
        .filter(|part| !part.is_empty())
        .collect();
    if parts.len() == 4 {
        return Err(Error::Transparent(text.into()));
    }
    if parts.len() != 3 {
        return Err(Error::UnknownColor(text.into()));
    }
    let mut out = [0.0; 3];
    for ((out, written), (part, low, high)) in out.iter_mut().zip(&parts).zip(ranges) {
        let (number, scale) = match written.strip_suffix('%') {
            Some(number) => (number, high / 100.0),
            None => (*written, 1.0),
        };
        let value = number
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| Error::UnknownColor(text.into()))?
            * scale;
        if !(low..=high).contains(&value) {
            let color = text.into();
            return Err(Error::OutOfRange {
                color,
                part,
                value,
                low,
                high,
            });
        }
        *out = value;
    }
    Ok(out)
}

fn rgb(text: &str, inner: &str) -> Result<Color> {
    let ranges = [
        ("red", 0.0, 255.0),
        ("green", 0.0, 255.0),
        ("blue", 0.0, 255.0),
    ];
    let value = numbers(text, inner, ranges)?.map(|value| (value / 255.0) as f32);
    Ok(Color::from_linear(
        palette::Srgb::from(value).into_linear::<f32>().into(),
    ))
}

fn lab(text: &str, inner: &str) -> Result<Color> {
    let ranges = [
        ("lightness", 0.0, 100.0),
        ("a", -125.0, 125.0),
        ("b", -125.0, 125.0),
    ];
    let [l, a, b] = numbers(text, inner, ranges)?.map(|value| value as f32);
    Ok(Color::from_lab_d50(l, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<String> {
        text.parse::<Color>().map(Color::hex)
    }

    #[test]
    fn values_and_names() {
        for (text, hex) in [
            ("#1f6f8b", "#1F6F8B"),
            ("1F6F8B", "#1F6F8B"),
            ("#0af", "#00AAFF"),
            (" Teal ", "#008080"),
            ("royal blue", "#4169E1"),
            ("rgb(31, 111, 139)", "#1F6F8B"),
            ("rgb(0 40% 100%)", "#0066FF"),
            // CSS Color 4's own example of what `green` is.
            ("lab(46.2775% -47.5621 48.5837)", "#008000"),
        ] {
            assert_eq!(parsed(text).as_deref(), Ok(hex), "{text}");
        }
    }

    #[test]
    fn wrong_ones_say_what_to_do() {
        for (text, says) in [
            ("#12", "#RRGGBB"),
            ("#1F6F8BFF", "opaque"),
            ("#1f68", "opaque"),
            ("transparent", "opaque"),
            ("blurple", "CSS name"),
            ("", "CSS name"),
            ("lab(120 0 0)", "lightness is 120"),
            ("lab(50 0 -300)", "b is -300"),
            ("lab(50 0)", "lab(L a b)"),
            ("lab(50 0 NaN)", "lab(L a b)"),
            ("lab(50 0 0 / 0.5)", "opaque"),
            ("rgb(256 0 0)", "red is 256"),
            ("rgba(1,2,3,0.5)", "opaque"),
            ("hwb(1 2 3)", "lab(L a b)"),
            ("lab(50 0 0", "lab(L a b)"),
        ] {
            let error = parsed(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
            assert!(!error.contains('\n'));
        }
    }

    #[test]
    fn lab_is_what_css_means() {
        // The white of D50 is white.
        let white: Color = "lab(100 0 0)".parse().expect("white");
        assert!(
            white
                .linear()
                .iter()
                .all(|value| (value - 1.0).abs() < 2e-3)
        );
        // Beyond sRGB, and kept so.
        let vivid: Color = "lab(60 -110 60)".parse().expect("vivid");
        assert!(!vivid.in_srgb());
    }
}
