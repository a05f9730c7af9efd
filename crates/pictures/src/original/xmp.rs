//! XMP patched as text: packets are padded for that, and nothing but the values that an edit makes wrong is touched.

use std::ops::Range;

use image::metadata::Orientation;

/// The address of content credentials, which are for the picture before the edit.
const PROVENANCE: &str = "dcterms:provenance";

/// How a picture is stored, by its packet.
pub(super) fn orientation(text: &str) -> Option<Orientation> {
    let value = text.get(value_of(text, "tiff:Orientation")?)?;
    Orientation::from_exif(value.trim().parse().ok()?)
}

/// Whether the packet tells of a gain map for bright screens.
pub(super) fn has_gain_map(text: &str) -> bool {
    let names = ["hdrgm:Version", "HDRGainMap:HDRGainMapVersion"];
    names.iter().any(|name| value_of(text, name).is_some())
}

/// Whether the packet says where content credentials of the picture lie.
pub(super) fn has_credentials(text: &str) -> bool {
    value_of(text, PROVENANCE).is_some()
}

/// The packet of an upright picture without gain map, further pictures or thumbnails.
pub(super) fn reset(text: &str) -> Vec<u8> {
    let mut text = without_others(text);
    if let Some(range) = value_of(&text, "tiff:Orientation") {
        text.replace_range(range, "1");
    }
    text.into_bytes()
}

/// The packet of a picture that lies as it did. One that is no UTF-8 stays as it is.
pub(crate) fn without_pictures(packet: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(packet) {
        Ok(text) => without_others(text).into_bytes(),
        Err(_) => packet.to_vec(),
    }
}

/// The packet without what tells of further pictures or shows one, or vouches for the picture.
fn without_others(text: &str) -> String {
    let mut text = text.to_owned();
    // These lead to pictures behind the first, which the result has not, or show the picture before the edit.
    for name in [
        "Container:Directory",
        "GContainer:Directory",
        "xmp:Thumbnails",
        "xap:Thumbnails",
    ] {
        drop_element(&mut text, name);
    }
    for name in [
        "hdrgm:Version",
        "HDRGainMap:HDRGainMapVersion",
        "xmpNote:HasExtendedXMP",
        PROVENANCE,
    ] {
        drop_attribute(&mut text, name);
        drop_element(&mut text, name);
    }
    text
}

/// Where the value of a property stands, which is an attribute or an element.
fn value_of(text: &str, name: &str) -> Option<Range<usize>> {
    if let Some((_, value)) = attribute(text, name) {
        return Some(value);
    }
    let open = text.find(&format!("<{name}>"))?;
    let start = open + name.len() + 2;
    let end = start + text.get(start..)?.find('<')?;
    Some(start..end)
}

/// Where an attribute and its value stand.
fn attribute(text: &str, name: &str) -> Option<(Range<usize>, Range<usize>)> {
    for (at, _) in text.match_indices(name) {
        let before = text[..at]
            .chars()
            .next_back()
            .is_some_and(char::is_whitespace);
        let rest = text[at + name.len()..].trim_start();
        let Some(rest) = rest
            .strip_prefix('=')
            .map(str::trim_start)
            .filter(|_| before)
        else {
            continue;
        };
        let quote = rest
            .chars()
            .next()
            .filter(|quote| matches!(quote, '"' | '\''))?;
        let start = text.len() - rest.len() + 1;
        let end = start + text.get(start..)?.find(quote)?;
        return Some((at..end + 1, start..end));
    }
    None
}

fn drop_attribute(text: &mut String, name: &str) {
    if let Some((whole, _)) = attribute(text, name) {
        text.replace_range(whole, "");
    }
}

fn drop_element(text: &mut String, name: &str) {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let Some(start) = text.find(&open) else {
        return;
    };
    let after = text[start + open.len()..].chars().next();
    if !after.is_some_and(|next| next == '>' || next == '/' || next.is_whitespace()) {
        return;
    }
    let end = text[start..]
        .find(&close)
        .map(|at| start + at + close.len());
    if let Some(end) = end {
        text.replace_range(start..end, "");
    }
}
