//! What a line of a batch's file must be: an object with a name of its own, where it would go, and the request itself.

use std::collections::HashSet;

use limekiln_jobs::api::OpenAiBatchError;
use serde_json::Value;

use super::super::PATH;
use crate::strict_json::StrictJson;

/// Characters of a request's name, at most.
pub(super) const NAME_CHARS_MAX: usize = 200;

/// A request as its line has it.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) custom_id: String,
    pub(super) body: Value,
}

/// Names of requests that came before, as what their texts hash to: fifty thousand of any length take little room.
#[derive(Default)]
pub(super) struct Names(HashSet<[u8; 16]>);

impl Names {
    /// Whether it is new.
    pub(super) fn add(&mut self, name: &str) -> bool {
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(name.as_bytes()).as_bytes()[..16]);
        self.0.insert(short)
    }
}

/// What is wrong with a line.
pub(super) fn wrong(
    line: Option<u64>,
    code: &'static str,
    param: Option<&str>,
    message: impl Into<String>,
) -> OpenAiBatchError {
    OpenAiBatchError {
        code: code.into(),
        message: message.into(),
        param: param.map(str::to_owned),
        line,
    }
}

/// Reads a line.
pub(super) fn read(
    number: u64,
    bytes: &[u8],
    names: &mut Names,
) -> Result<Request, OpenAiBatchError> {
    let line = Some(number);
    let invalid = |message: String| wrong(line, "invalid_json_line", None, message);
    let StrictJson(value) = serde_json::from_slice(bytes)
        .map_err(|error| invalid(format!("This line is not parseable as JSON: {error}")))?;
    let Value::Object(mut fields) = value else {
        return Err(invalid("This line is not a JSON object.".to_owned()));
    };
    let mut take = |name: &'static str| {
        fields.remove(name).ok_or_else(|| {
            let says = format!("Missing required parameter: '{name}'.");
            wrong(line, "missing_required_parameter", Some(name), says)
        })
    };
    let (name, method, url, body) = (
        take("custom_id")?,
        take("method")?,
        take("url")?,
        take("body")?,
    );
    if let Some(other) = fields.keys().next() {
        let other: String = other.chars().filter(|c| !c.is_control()).take(40).collect();
        let says = format!("Unknown parameter: '{other}'.");
        return Err(wrong(line, "unknown_parameter", Some(&other), says));
    }
    let named = name.as_str().filter(|name| {
        (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.chars().any(char::is_control)
    });
    let Some(custom_id) = named else {
        let says = format!("'custom_id' must be a text of 1 to {NAME_CHARS_MAX} characters.");
        return Err(wrong(line, "invalid_custom_id", Some("custom_id"), says));
    };
    if method != "POST" {
        let says = "'method' must be POST.";
        return Err(wrong(line, "invalid_method", Some("method"), says));
    }
    if url != PATH {
        let says = format!("'url' must be the endpoint of the batch, {PATH}.");
        return Err(wrong(line, "mismatched_endpoint", Some("url"), says));
    }
    if !body.is_object() {
        let says = "'body' must be an object.";
        return Err(wrong(line, "invalid_body", Some("body"), says));
    }
    if !names.add(custom_id) {
        let says = "The 'custom_id' of this line came before: each must be another.";
        return Err(wrong(line, "duplicate_custom_id", Some("custom_id"), says));
    }
    Ok(Request {
        custom_id: custom_id.to_owned(),
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line() -> Value {
        json!({"custom_id": "a", "method": "POST", "url": PATH, "body": {"prompt": "x"}})
    }

    #[test]
    fn a_line_is_a_request() {
        let mut names = Names::default();
        let read = read(3, line().to_string().as_bytes(), &mut names).unwrap();
        assert_eq!(read.custom_id, "a");
        assert_eq!(read.body, json!({"prompt": "x"}));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let with = |name: &str, value: Value| {
            let mut line = line();
            line[name] = value;
            line.to_string()
        };
        let without = |name: &str| {
            let mut line = line();
            line.as_object_mut().unwrap().remove(name);
            line.to_string()
        };
        for (bad, code, param) in [
            (String::from("{"), "invalid_json_line", None),
            (String::from("[]"), "invalid_json_line", None),
            (
                String::from("{\"a\": 1, \"a\": 1}"),
                "invalid_json_line",
                None,
            ),
            (
                without("custom_id"),
                "missing_required_parameter",
                Some("custom_id"),
            ),
            (without("body"), "missing_required_parameter", Some("body")),
            (
                with("custom_id", json!(7)),
                "invalid_custom_id",
                Some("custom_id"),
            ),
            (
                with("custom_id", json!("")),
                "invalid_custom_id",
                Some("custom_id"),
            ),
            (
                with("custom_id", json!("x".repeat(201))),
                "invalid_custom_id",
                Some("custom_id"),
            ),
            (
                with("custom_id", json!("a\u{7}")),
                "invalid_custom_id",
                Some("custom_id"),
            ),
            (
                with("method", json!("GET")),
                "invalid_method",
                Some("method"),
            ),
            (
                with("url", json!("/v1/chat/completions")),
                "mismatched_endpoint",
                Some("url"),
            ),
            (with("body", json!("x")), "invalid_body", Some("body")),
            (with("extra", json!(1)), "unknown_parameter", Some("extra")),
        ] {
            let error = read(9, bad.as_bytes(), &mut Names::default()).unwrap_err();
            let told = (&*error.code, error.param.as_deref(), error.line);
            assert_eq!(told, (code, param, Some(9)), "{bad}");
        }
        let mut names = Names::default();
        read(1, line().to_string().as_bytes(), &mut names).unwrap();
        let again = read(2, line().to_string().as_bytes(), &mut names).unwrap_err();
        assert_eq!((&*again.code, again.line), ("duplicate_custom_id", Some(2)));
    }
}
