//! Checks of an edit request that need nothing but the request.

use super::edit::EditRequest;
use crate::api::Invalid;
use crate::finish::Finish;
use crate::spec::ModelName;
use serde_json::Value;
use url::Url;

/// Characters of an instruction, at most.
pub const INSTRUCTION_CHARS_MAX: usize = 1000;
/// The largest integer that every JSON reader keeps exactly.
pub const SEED_MAX: u64 = (1 << 53) - 1;
const OPTIONS_BYTES_MAX: usize = 16 * 1024;
const OPTIONS_DEPTH_MAX: usize = 8;
/// Characters of a color or a material, at most.
const VALUE_CHARS_MAX: usize = 100;
const WEBHOOK_BYTES_MAX: usize = 2048;

impl EditRequest {
    /// Checks every field.
    ///
    /// # Errors
    /// One entry per wrong field, all of them at once.
    pub fn validate(&self) -> Result<(), Vec<Invalid>> {
        self.validate_from(self.source())
    }

    /// The same of a turn, which builds on its session's head where it names nothing.
    ///
    /// # Errors
    /// One entry per wrong field, all of them at once.
    pub fn validate_turn(&self) -> Result<(), Vec<Invalid>> {
        let named = self.image.is_some() || self.parent.is_some();
        self.validate_from(if named { self.source() } else { Ok(()) })
    }

    fn validate_from(&self, source: Result<(), String>) -> Result<(), Vec<Invalid>> {
        let mut wrong = Vec::new();
        let mut check = |field: &str, outcome: Result<(), String>| {
            if let Err(message) = outcome {
                wrong.push(Invalid {
                    field: field.to_owned(),
                    message,
                });
            }
        };
        check("image", source);
        check("instruction", instruction(&self.instruction));
        check("preset", self.preset.as_deref().map_or(Ok(()), preset));
        check(
            "options",
            self.options.as_ref().map_or(Ok(()), |options| {
                self::options(&Value::Object(options.clone()))
            }),
        );
        check("seed", between(self.seed, 0, SEED_MAX));
        check("size", between(self.size, 64, 2048));
        check("keep_outside", self.finishes());
        check("carry", self.carries());
        check("color", self.color.as_deref().map_or(Ok(()), value));
        check("material", self.material.as_deref().map_or(Ok(()), value));
        check("matte", self.refines());
        check("region", self.regions());
        check("model", self.model.as_deref().map_or(Ok(()), model));
        check("webhook", self.webhook.as_ref().map_or(Ok(()), webhook));
        check("max_attempts", between(self.max_attempts, 1, 10));
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// The finish that is asked for, by either of its two fields; none where the edit is to have its default.
    pub fn finish(&self) -> Option<Finish> {
        self.finish.or(self.keep_outside.then_some(Finish::Paste))
    }

    fn finishes(&self) -> Result<(), String> {
        match self.finish {
            Some(other) if self.keep_outside && other != Finish::Paste => Err(format!(
                "means finish: paste, and finish asks for {other}: leave one of the two out"
            )),
            _ => Ok(()),
        }
    }

    fn carries(&self) -> Result<(), String> {
        match self.finish() {
            Some(finish) if self.carry.is_some() && finish != Finish::Detail => Err(format!(
                "is a way of the finish detail, and {finish} is asked for: leave one of the two out"
            )),
            _ => Ok(()),
        }
    }

    fn refines(&self) -> Result<(), String> {
        if self.matte && self.mask.is_none() {
            return Err("refines a mask, and no mask is given".to_owned());
        }
        Ok(())
    }

    fn regions(&self) -> Result<(), String> {
        match &self.region {
            Some(_) if self.mask.is_some() => {
                Err("says where to edit, and so does mask: leave one of the two out".to_owned())
            }
            Some(region) => region.check(),
            None => Ok(()),
        }
    }

    fn source(&self) -> Result<(), String> {
        match (self.image, self.parent) {
            (Some(_), None) | (None, Some(_)) => Ok(()),
            (None, None) => {
                Err("name an image, or the parent whose result is to be changed".to_owned())
            }
            (Some(_), Some(_)) => Err("name an image or a parent, not both".to_owned()),
        }
    }
}

fn instruction(text: &str) -> Result<(), String> {
    if !(1..=INSTRUCTION_CHARS_MAX).contains(&text.trim().chars().count()) {
        return Err(format!("must have 1 to {INSTRUCTION_CHARS_MAX} characters"));
    }
    // NUL cannot be stored; the other control characters mean nothing to the tokenizer and lie in logs.
    if !control_free(text) {
        return Err("must have no control characters".to_owned());
    }
    Ok(())
}

/// Text of a few words, which whoever knows what it means reads later.
fn value(text: &str) -> Result<(), String> {
    if !(1..=VALUE_CHARS_MAX).contains(&text.chars().count()) {
        return Err(format!("must have 1 to {VALUE_CHARS_MAX} characters"));
    }
    if text.chars().any(char::is_control) {
        return Err("must have no control characters".to_owned());
    }
    Ok(())
}

/// Whether a text has no control characters but those of lines and tabs.
pub(crate) fn control_free(text: &str) -> bool {
    !text
        .chars()
        .any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'))
}

fn preset(name: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let fits = (1..=63).contains(&name.len())
        && name.bytes().next().is_some_and(plain)
        && name.bytes().all(|b| plain(b) || matches!(b, b'_' | b'-'));
    if fits {
        Ok(())
    } else {
        Err("must be the name of a preset, such as \"fast\" or \"paper\"".to_owned())
    }
}

fn model(name: &str) -> Result<(), String> {
    name.parse::<ModelName>()
        .map(|_| ())
        .map_err(|error| error.to_string())
}

fn options(value: &Value) -> Result<(), String> {
    if depth(value) > OPTIONS_DEPTH_MAX {
        return Err(format!("must be nested at most {OPTIONS_DEPTH_MAX} deep"));
    }
    let bytes = value.to_string().len();
    if bytes > OPTIONS_BYTES_MAX {
        return Err(format!(
            "must have at most {OPTIONS_BYTES_MAX} bytes, not {bytes}"
        ));
    }
    if has_nul(value) {
        Err("must have no NUL characters".to_owned())
    } else {
        Ok(())
    }
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(items) => items.iter().any(has_nul),
        Value::Object(fields) => fields
            .iter()
            .any(|(key, value)| key.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn webhook(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("must be an http or https address".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user name and no password".to_owned());
    }
    if url.as_str().len() > WEBHOOK_BYTES_MAX {
        return Err(format!("must have at most {WEBHOOK_BYTES_MAX} bytes"));
    }
    Ok(())
}

fn between<T: PartialOrd + std::fmt::Display>(
    value: Option<T>,
    low: T,
    high: T,
) -> Result<(), String> {
    match value {
        Some(value) if value < low || value > high => {
            Err(format!("must be from {low} to {high}, not {value}"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EditId, ImageId};
    use serde_json::json;

    fn request(extra: Value) -> Result<EditRequest, serde_json::Error> {
        let mut body = json!({"image": ImageId::new(), "instruction": "make the sofa red"});
        for (key, value) in extra.as_object().unwrap() {
            body[key] = value.clone();
        }
        serde_json::from_value(body)
    }

    /// The fields that are wrong in a request with these fields replaced.
    fn wrong(extra: Value) -> Vec<String> {
        let outcome = request(extra).unwrap().validate();
        outcome
            .err()
            .unwrap_or_default()
            .into_iter()
            .map(|invalid| invalid.field)
            .collect()
    }

    fn nested(depth: usize) -> Value {
        (0..depth).fold(json!(1), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn what_is_good() {
        for extra in [
            json!({}),
            json!({"image": null, "parent": EditId::new()}),
            json!({"instruction": "é".repeat(INSTRUCTION_CHARS_MAX)}),
            json!({"instruction": "two\nlines\tand a tab"}),
            json!({"seed": 0}),
            json!({"seed": SEED_MAX}),
            json!({"size": 64}),
            json!({"size": 2048, "max_attempts": 10, "preset": "fast", "model": "sd1.5_pix2pix"}),
            json!({"webhook": "https://example.com/hook?a=b"}),
            json!({"options": nested(OPTIONS_DEPTH_MAX)}),
            json!({"finish": "none"}),
            json!({"finish": null}),
            json!({"finish": "none", "keep_outside": false}),
            json!({"finish": "paste", "keep_outside": true}),
            json!({"carry": "enlarged"}),
            json!({"reuse": "object"}),
            json!({"finish": "detail", "carry": "color"}),
            json!({"region": {"segmentation": EditId::new(), "segments": [1, 7]}}),
            json!({"region": {"points": [[0, 9]], "add": [{"edit": EditId::new()}], "subtract": [{"points": [[3, 4]]}]}}),
        ] {
            assert_eq!(wrong(extra.clone()), Vec::<String>::new(), "{extra}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let long = format!("https://example.com/{}", "a".repeat(WEBHOOK_BYTES_MAX));
        for (extra, field) in [
            (json!({"image": null}), "image"),
            (json!({"parent": EditId::new()}), "image"),
            (json!({"instruction": ""}), "instruction"),
            (json!({"instruction": " \n\t "}), "instruction"),
            (
                json!({"instruction": "a".repeat(INSTRUCTION_CHARS_MAX + 1)}),
                "instruction",
            ),
            (json!({"instruction": "a\0b"}), "instruction"),
            (json!({"instruction": "a\u{1b}[31mb"}), "instruction"),
            (json!({"preset": ""}), "preset"),
            (json!({"preset": "../fast"}), "preset"),
            (json!({"preset": "fast\0"}), "preset"),
            (json!({"options": nested(OPTIONS_DEPTH_MAX + 1)}), "options"),
            (
                json!({"options": {"a": "b".repeat(OPTIONS_BYTES_MAX)}}),
                "options",
            ),
            (json!({"options": {"a": ["b\0"]}}), "options"),
            (json!({"options": {"a\0": 1}}), "options"),
            (json!({"seed": SEED_MAX + 1}), "seed"),
            (json!({"size": 63}), "size"),
            (json!({"size": 2049}), "size"),
            (json!({"model": "SD 1.5"}), "model"),
            (json!({"webhook": "ftp://example.com/"}), "webhook"),
            (json!({"webhook": "mailto:a@example.com"}), "webhook"),
            (json!({"webhook": "https://user@example.com/"}), "webhook"),
            (
                json!({"webhook": "https://:secret@example.com/"}),
                "webhook",
            ),
            (json!({"webhook": long}), "webhook"),
            (json!({"color": ""}), "color"),
            (json!({"color": "x".repeat(101)}), "color"),
            (json!({"material": "1\n"}), "material"),
            (json!({"finish": "paste", "carry": "color"}), "carry"),
            (json!({"keep_outside": true, "carry": "auto"}), "carry"),
            (json!({"matte": true}), "matte"),
            (
                json!({"mask": ImageId::new(), "region": {"points": [[1, 2]]}}),
                "region",
            ),
            (json!({"region": {}}), "region"),
            (
                json!({"region": {"points": [[1, 2]], "edit": EditId::new()}}),
                "region",
            ),
            (json!({"region": {"segments": [1]}}), "region"),
            (
                json!({"region": {"edit": EditId::new(), "subtract": [{"points": []}]}}),
                "region",
            ),
            (json!({"max_attempts": 0}), "max_attempts"),
            (json!({"max_attempts": 11}), "max_attempts"),
            (
                json!({"finish": "none", "keep_outside": true}),
                "keep_outside",
            ),
        ] {
            assert_eq!(wrong(extra.clone()), [field], "{extra}");
        }
    }

    #[test]
    fn the_older_field_means_paste_and_its_absence_nothing() {
        let finish = |extra| request(extra).unwrap().finish();
        assert_eq!(finish(json!({})), None);
        assert_eq!(finish(json!({"keep_outside": false})), None);
        assert_eq!(finish(json!({"keep_outside": true})), Some(Finish::Paste));
        assert_eq!(finish(json!({"finish": "none"})), Some(Finish::None));
        let error = request(json!({"finish": "better"})).unwrap_err();
        let says = "a finish is one of none, paste, detail";
        assert!(error.to_string().contains(says), "{error}");
    }

    #[test]
    fn everything_wrong_at_once_is_reported_at_once() {
        let fields = wrong(
            json!({"image": null, "instruction": "", "size": 1, "model": "/", "max_attempts": 0}),
        );
        assert_eq!(
            fields,
            ["image", "instruction", "size", "model", "max_attempts"]
        );
    }

    #[test]
    fn bodies_that_are_no_requests() {
        for extra in [
            json!({"colour": "red"}),
            json!({"image": "1"}),
            json!({"instruction": 7}),
            json!({"seed": -1}),
            json!({"seed": 1.5}),
            json!({"size": 4_294_967_296_u64}),
            json!({"class": "Interactive"}),
            json!({"webhook": "example.com"}),
            json!({"options": []}),
            json!({"region": {"points": [[-1, 2]]}}),
            json!({"region": {"points": [[1]]}}),
            json!({"region": {"edit": EditId::new(), "add": {"edit": EditId::new()}}}),
            json!({"keep_outside": null}),
            json!({"finish": "detailed"}),
            json!({"carry": "close"}),
            json!({"reuse": "all"}),
            json!({"finish": 1}),
        ] {
            assert!(request(extra.clone()).is_err(), "{extra}");
        }
    }
}
