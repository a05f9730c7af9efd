//! Text with places for values: `make the {object} {color}`. `{{` and `}}` are braces.

use std::fmt;

/// A template, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(String),
}

/// What is wrong with a template, or with the values that it was to be filled with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace is left open.
    #[error("has an open brace: write {{{{ for a brace that is meant")]
    Open,
    /// A brace closes nothing.
    #[error("has a brace that closes nothing: write }}}} for a brace that is meant")]
    Close,
    /// Nothing stands between the braces.
    #[error("names nothing between braces")]
    Nameless,
    /// There is no such value.
    #[error("asks for {{{0}}}, and there is no such value")]
    Unknown(String),
    /// The value is empty.
    #[error("asks for {{{0}}}, which is empty")]
    Empty(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// Braces that do not pair.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' if rest.peek() == Some(&'{') => {
                    rest.next();
                    plain.push('{');
                }
                '}' if rest.peek() == Some(&'}') => {
                    rest.next();
                    plain.push('}');
                }
                '{' => {
                    let mut name = String::new();
                    loop {
                        match rest.next() {
                            Some('}') => break,
                            Some('{') | None => return Err(TemplateError::Open),
                            Some(c) => name.push(c),
                        }
                    }
                    let name = name.trim().to_owned();
                    if name.is_empty() {
                        return Err(TemplateError::Nameless);
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Value(name));
                }
                '}' => return Err(TemplateError::Close),
                c => plain.push(c),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The names of the values that it asks for, in its order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Value(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text with these values.
    ///
    /// # Errors
    /// A value that is missing or empty.
    pub fn fill<'v>(
        &self,
        value: impl Fn(&str) -> Option<&'v str>,
    ) -> Result<String, TemplateError> {
        let mut filled = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => filled.push_str(text),
                Part::Value(name) => {
                    let value = value(name).ok_or_else(|| TemplateError::Unknown(name.clone()))?;
                    if value.trim().is_empty() {
                        return Err(TemplateError::Empty(name.clone()));
                    }
                    filled.push_str(value.trim());
                }
            }
        }
        Ok(filled)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for part in &self.0 {
            match part {
                Part::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}"))?,
                Part::Value(name) => write!(f, "{{{name}}}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(template: &str) -> Result<String, TemplateError> {
        Template::parse(template)?.fill(|name| match name {
            "object" => Some(" sofa "),
            "color" => Some("{teal}"),
            "empty" => Some(" \t"),
            _ => None,
        })
    }

    #[test]
    fn values_are_filled_in_and_never_read_as_templates() {
        assert_eq!(
            filled("make the {object} { color }"),
            Ok("make the sofa {teal}".to_owned())
        );
        assert_eq!(filled("{{object}}"), Ok("{object}".to_owned()));
        assert_eq!(filled("plain"), Ok("plain".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_named() {
        use TemplateError::*;
        for (template, error) in [
            ("a {b", Open),
            ("a {b{c}}", Open),
            ("a } b", Close),
            ("a {} b", Nameless),
            ("{sku}", Unknown("sku".to_owned())),
            ("{empty}", Empty("empty".to_owned())),
        ] {
            assert_eq!(filled(template), Err(error), "{template}");
        }
    }

    #[test]
    fn a_template_is_written_as_it_is_read() {
        for text in ["make the {object} {color}", "{{}} {a}", ""] {
            assert_eq!(Template::parse(text).unwrap().to_string(), text);
        }
    }
}
