//! The color that an instruction asks for: `make the red sofa blue` asks for blue, and red names the sofa.

use super::names;
use super::value::Color;
use crate::error::{Error, Result};

/// A color asked for in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// As it was written, in lower case: `dark green`, `#1f6f8b`.
    pub words: String,
    /// What it means.
    pub color: Color,
    /// Whether it is the color of a thing that is brought in, as in `a blue sofa`.
    pub brought: bool,
    /// Whether the words say that a color turns into it: `into blue`, `blue instead of red`.
    pub turned: bool,
}

/// A mention of a color, as words `from..to`.
struct Mention {
    from: usize,
    to: usize,
    asked: Asked,
}

/// Words that stand after a color without being a thing that it describes.
const AFTER: [&str; 32] = [
    "color", "colour", "colored", "coloured", "tone", "shade", "hue", "paint", "one", "ones",
    "please", "now", "instead", "again", "and", "or", "but", "with", "without", "in", "on", "at",
    "of", "from", "to", "into", "as", "so", "while", "keeping", "for", "not",
];
/// Words before a color that point at a thing which is there already.
const THERE: [&str; 14] = [
    "the", "this", "that", "these", "those", "my", "his", "her", "its", "our", "their", "your",
    "same", "like",
];
/// Words after which a color is the one that is asked for.
const TOWARDS: [&str; 6] = ["to", "into", "in", "with", "as", "become"];
/// Words after which a color is the one that is not wanted.
const AWAY: [&str; 5] = ["from", "not", "than", "without", "except"];

/// The one color that the words ask for.
///
/// A color that stands before a thing (`the red sofa`) names it, unless a new thing is brought in (`a blue sofa`); one after
/// `from`, `not`, `instead of` or `rather than` is not wanted; one after `to` or `into` goes before all others.
///
/// # Errors
///
/// [`Error::NoneAsked`] where there is none, [`Error::SeveralAsked`] where there are several; and what a malformed `#RRGGBB`
/// or `lab(...)` among the words gives.
pub fn asked(instruction: &str) -> Result<Asked> {
    one(&wanted(&words(instruction))?)
}

/// All words of an instruction but the color that it asks for, in lower case and without punctuation: they name its object, so
/// `make the red sofa blue` names another than `make the blue sofa red`. `given`: the color is given elsewhere, and the words need
/// not name any. None where it is not understood, or brings in a thing of that color.
pub fn object_words(instruction: &str, given: bool) -> Option<Vec<String>> {
    let words = words(instruction);
    let wanted = wanted(&words).ok()?;
    match one(&wanted) {
        Ok(asked) if !asked.brought => {}
        Err(Error::NoneAsked) if given => {}
        _ => return None,
    }
    let asked = |at: usize| wanted.iter().any(|it| (it.from..it.to).contains(&at));
    let rest = words.iter().enumerate();
    let rest: Vec<String> = rest
        .filter(|(at, word)| !asked(*at) && !matches!(word.as_str(), "," | "."))
        .map(|(_, word)| word.clone())
        .collect();
    (!rest.is_empty()).then_some(rest)
}

/// The mentions of a color that is asked for.
fn wanted(words: &[String]) -> Result<Vec<Mention>> {
    let mentions = mentions(words)?;
    let word = |at: Option<usize>| at.and_then(|at| words.get(at)).map(String::as_str);
    let mut wanted: Vec<(bool, Mention)> = Vec::new();
    for (i, mention) in mentions.iter().enumerate() {
        // `a deep blue`: what matters stands before the whole.
        let before = word(mention.from.checked_sub(1));
        let article = before.is_some_and(|word| matches!(word, "a" | "an" | "some"));
        let ahead = if article {
            word(mention.from.checked_sub(2))
        } else {
            before
        };
        let is = |list: &[&str], word: Option<&str>| word.is_some_and(|word| list.contains(&word));
        let after = word(Some(mention.to));
        let joined = mentions
            .get(i + 1)
            .is_some_and(|next| next.from == mention.to);
        let describes = !joined
            && after.is_some_and(|after| after != "," && after != "." && !is(&AFTER, Some(after)));
        let there = is(&THERE, before);
        let instead = ahead == Some("of")
            && word(mention.from.checked_sub(if article { 3 } else { 2 })) == Some("instead");
        if instead
            || is(&AWAY, ahead)
            || there && after != Some("color")
            || describes && !article && !is(&TOWARDS, before)
        {
            continue;
        }
        let asked = Asked {
            brought: describes && article,
            turned: !describes && is(&["to", "into"], ahead)
                || after == Some("instead") && said_instead(words, mention.to + 1, &mentions),
            ..mention.asked.clone()
        };
        let (from, to) = (mention.from, mention.to);
        wanted.push((is(&TOWARDS, ahead), Mention { from, to, asked }));
    }
    if wanted.iter().any(|(towards, _)| *towards) {
        wanted.retain(|(towards, _)| *towards);
    }
    Ok(wanted.into_iter().map(|(_, mention)| mention).collect())
}

/// The one color of these mentions.
fn one(wanted: &[Mention]) -> Result<Asked> {
    let mut different: Vec<Asked> = Vec::new();
    for Mention { asked, .. } in wanted {
        if different.iter().all(|known| known.color != asked.color) {
            different.push(asked.clone());
        }
    }
    match different.len() {
        0 => Err(Error::NoneAsked),
        1 => Ok(different.remove(0)),
        _ => Err(Error::SeveralAsked(
            different.into_iter().map(|asked| asked.words).collect(),
        )),
    }
}

/// Whether what stands at `at`, after `instead`, is `of` another color, or nothing.
fn said_instead(words: &[String], at: usize, mentions: &[Mention]) -> bool {
    match words.get(at).map(String::as_str) {
        None | Some("," | ".") => true,
        Some("of") => mentions
            .iter()
            .any(|mention| (at + 1..at + 3).contains(&mention.from)),
        Some(_) => false,
    }
}

/// Words in lower case; commas, full stops and functions such as `lab(1 2 3)` are words of their own.
fn words(text: &str) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut depth = 0_u32;
    let lower = text.to_lowercase();
    let mut chars = lower.chars().peekable();
    while let Some(c) = chars.next() {
        let inside_number = c == '.' && chars.peek().is_some_and(char::is_ascii_digit);
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        let keeps =
            depth > 0 || c.is_alphanumeric() || matches!(c, '#' | '(' | ')' | '%') || inside_number;
        if keeps {
            word.push(c);
        } else {
            if !word.is_empty() {
                out.push(std::mem::take(&mut word));
            }
            if matches!(c, ',' | '.' | ';' | '!' | '?' | ':') {
                out.push(if c == ',' { "," } else { "." }.into());
            }
        }
    }
    if !word.is_empty() {
        out.push(word);
    }
    out
}

/// Every color of the words, the longest name at each place.
fn mentions(words: &[String]) -> Result<Vec<Mention>> {
    let mut out = Vec::new();
    let mut from = 0;
    while from < words.len() {
        let first = &words[from];
        if first.starts_with('#') || first.starts_with("lab(") || first.starts_with("rgb(") {
            let color = first.parse()?;
            let asked = Asked {
                words: first.clone(),
                color,
                brought: false,
                turned: false,
            };
            out.push(Mention {
                from,
                to: from + 1,
                asked,
            });
            from += 1;
            continue;
        }
        let found = (1..=3)
            .rev()
            .filter(|n| from + n <= words.len())
            .find_map(|n| {
                let name = words[from..from + n].join(" ");
                names::find(&name).map(|color| {
                    let (brought, turned) = (false, false);
                    (
                        n,
                        Asked {
                            words: name,
                            color,
                            brought,
                            turned,
                        },
                    )
                })
            });
        match found {
            Some((n, asked)) => {
                out.push(Mention {
                    from,
                    to: from + n,
                    asked,
                });
                from += n;
            }
            None => from += 1,
        }
    }
    // `light, warm grey` and the like: shades that stand apart from their name say nothing here.
    out.retain(|mention| !names::is_shade(&mention.asked.words));
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> String {
        match asked(text) {
            Ok(asked) => asked.words,
            Err(Error::NoneAsked) => "none".into(),
            Err(Error::SeveralAsked(all)) => all.join("+"),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_color_asked_for() {
        for (text, is) in [
            ("make the red sofa blue", "blue"),
            ("Make the red sofa dark green.", "dark green"),
            ("change the color of the red sofa to blue", "blue"),
            ("change the sofa from red to blue", "blue"),
            ("replace the red sofa with a blue sofa", "blue"),
            ("make it a blue sofa", "blue"),
            ("paint the orange on the table green", "green"),
            ("turn the red sofa teal instead of blue", "teal"),
            ("make the sofa blue, not red", "blue"),
            ("recolor the chair in #1F6F8B please", "#1f6f8b"),
            ("recolor the chair to lab(52.5 -10 8)", "lab(52.5 -10 8)"),
            (
                "make the sofa light blue and keep the red pillow",
                "light blue",
            ),
            ("paint the chair in a shade of blue", "blue"),
            ("blue", "blue"),
            ("recolor the red sofa", "none"),
            ("recolor the sofa", "none"),
            ("make the sofa nicer", "none"),
            ("make the sofa blue and white", "blue+white"),
            ("make the white wall the color mustard", "mustard"),
            ("paint the wall a deep royal blue color", "deep royal blue"),
            ("give the curtain an off-white tone", "off white"),
            ("", "none"),
        ] {
            assert_eq!(name(text), is, "{text}");
        }
        assert!(name("make it #12345").contains("#RRGGBB"));
    }

    #[test]
    fn an_object_is_all_but_the_color_asked_for() {
        let object = |text: &str| object_words(text, false).map(|words| words.join(" "));
        let red = object("make the red sofa blue");
        assert_eq!(red.as_deref(), Some("make the red sofa"));
        for same in [
            "Make the red sofa dark green.",
            "make the red sofa #1F6F8B",
            "make the red sofa, blue",
        ] {
            assert_eq!(object(same), red, "{same}");
        }
        for other in [
            "make the blue sofa red",
            "make the sofa blue",
            "make the red chair blue",
            "make the red sofa lighter blue",
        ] {
            let object = object(other);
            assert!(object.is_some() && object != red, "{other}");
        }
        assert_eq!(
            object("change the sofa from red to blue"),
            object("change the sofa from red to teal")
        );
        // Not understood, or more than a color.
        for none in [
            "make the sofa nicer",
            "make the sofa blue and white",
            "replace the red sofa with a blue sofa",
            "make it #12345",
            "blue",
            "",
        ] {
            assert_eq!(object(none), None, "{none}");
        }
        let given = |text: &str| object_words(text, true).map(|words| words.join(" "));
        assert_eq!(
            given("recolor the sofa").as_deref(),
            Some("recolor the sofa")
        );
        assert_eq!(
            given("make the sofa teal").as_deref(),
            Some("make the sofa")
        );
        assert_eq!(given("make the sofa red and blue"), None);
    }
}
