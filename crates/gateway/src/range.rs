//! Parts of files: `Range` and `If-Range` (RFC 9110).

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, header};

/// What a request asks for of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// These bytes, which are in it.
    Bytes(Range<u64>),
    /// Bytes beyond its end.
    Beyond,
}

/// What the headers ask for of a file of `length` bytes with this entity tag. What is no single range of bytes is ignored, as
/// the RFC allows.
pub(crate) fn part(headers: &HeaderMap, length: u64, tag: &str) -> Part {
    let text = |name: HeaderName| {
        let mut values = headers.get_all(name).iter();
        let first = values.next()?.to_str().ok()?;
        values.next().is_none().then_some(first.trim())
    };
    // Of another version than the client has parts of, it gets the whole.
    if headers.contains_key(header::IF_RANGE) && text(header::IF_RANGE) != Some(tag) {
        return Part::Whole;
    }
    let Some((unit, range)) = text(header::RANGE).and_then(|range| range.split_once('=')) else {
        return Part::Whole;
    };
    let Some((first, last)) = range
        .split_once('-')
        .filter(|_| unit.eq_ignore_ascii_case("bytes"))
    else {
        return Part::Whole;
    };
    let number = |text: &str| {
        let text = text.trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        // Longer than any file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    let (start, end) = match (number(first), number(last)) {
        (Some(first), Some(last)) if first <= last => (first, last.saturating_add(1).min(length)),
        (Some(first), None) if last.trim().is_empty() => (first, length),
        (None, Some(count)) if first.trim().is_empty() => {
            if count == 0 {
                return Part::Beyond;
            }
            (length.saturating_sub(count), length)
        }
        _ => return Part::Whole,
    };
    if start < length {
        Part::Bytes(start..end)
    } else {
        Part::Beyond
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    const TAG: &str = "\"a\"";

    fn of(pairs: &[(HeaderName, &'static str)]) -> Part {
        let headers = pairs
            .iter()
            .map(|(name, value)| (name.clone(), HeaderValue::from_static(value)));
        part(&headers.collect(), 100, TAG)
    }

    #[test]
    fn single_ranges_are_taken_and_others_ignored() {
        let asked = |range| of(&[(header::RANGE, range)]);
        for (range, found) in [
            ("bytes=0-0", Part::Bytes(0..1)),
            ("bytes=10-19", Part::Bytes(10..20)),
            ("bytes=90-", Part::Bytes(90..100)),
            ("bytes=-10", Part::Bytes(90..100)),
            ("bytes=-1000", Part::Bytes(0..100)),
            ("Bytes=5-99999999999999999999999", Part::Bytes(5..100)),
            ("bytes=100-", Part::Beyond),
            ("bytes=-0", Part::Beyond),
            ("bytes=20-10", Part::Whole),
            ("bytes=a-b", Part::Whole),
            ("bytes=1-b", Part::Whole),
            ("bytes=-", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes", Part::Whole),
        ] {
            assert_eq!(asked(range), found, "{range}");
        }
        assert_eq!(of(&[]), Part::Whole);
    }

    #[test]
    fn parts_of_another_version_are_not_sent() {
        let range = (header::RANGE, "bytes=1-2");
        let with = |tag| of(&[range.clone(), (header::IF_RANGE, tag)]);
        assert_eq!(with(TAG), Part::Bytes(1..3));
        assert_eq!(with("\"b\""), Part::Whole);
        assert_eq!(with("W/\"a\""), Part::Whole);
        assert_eq!(with("Sat, 28 Nov 2026 21:13:44 GMT"), Part::Whole);
    }
}
