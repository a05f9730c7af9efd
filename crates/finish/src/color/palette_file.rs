//! A palette: a file that gives colors names, such as a collection's.

use super::value::Color;
use crate::error::{Error, Result};

/// Colors by name, in the order of their file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Palette {
    colors: Vec<(String, Color)>,
}

impl Palette {
    /// A palette's text: a name and a color a line, with `,`, `;`, `=`, `:` or a tab between them (or a space before a
    /// color that is a hex value). Empty lines and those that begin with `//` or `# ` are left out.
    ///
    /// # Errors
    ///
    /// [`Error::PaletteLine`] for a line that is not so, a name that comes twice, or a palette of no color.
    pub fn parse(text: &str) -> Result<Self> {
        let mut palette = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with("//") || line.starts_with("# ") {
                continue;
            }
            let wrong = |reason: String| Error::PaletteLine {
                line: index + 1,
                reason,
            };
            let (name, color) = split(line).ok_or_else(|| {
                wrong(format!(
                    "`{line}` is not a name and a color: write `navy, #1F2A44`"
                ))
            })?;
            let color = color
                .parse()
                .map_err(|error: Error| wrong(error.to_string()))?;
            if palette.get(name).is_ok() {
                return Err(wrong(format!("`{name}` is there already")));
            }
            palette.colors.push((name.to_owned(), color));
        }
        if palette.colors.is_empty() {
            let reason =
                "there is no color: write a name and a color a line, as in `navy, #1F2A44`".into();
            return Err(Error::PaletteLine { line: 1, reason });
        }
        Ok(palette)
    }

    /// The color of a name, whatever its case.
    ///
    /// # Errors
    ///
    /// [`Error::NotInPalette`].
    pub fn get(&self, name: &str) -> Result<Color> {
        let wanted = name.trim().to_lowercase();
        self.colors
            .iter()
            .find(|(known, _)| known.to_lowercase() == wanted)
            .map(|(_, color)| *color)
            .ok_or_else(|| Error::NotInPalette {
                name: name.trim().into(),
                known: self
                    .colors
                    .iter()
                    .take(20)
                    .map(|(name, _)| name.clone())
                    .collect(),
            })
    }

    /// Names and colors, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Color)> {
        self.colors
            .iter()
            .map(|(name, color)| (name.as_str(), *color))
    }
}

/// A name and a color: apart at the first separator, or at the last space before a hex value.
fn split(line: &str) -> Option<(&str, &str)> {
    let (name, color) = line.split_once([',', ';', '=', ':', '\t']).or_else(|| {
        line.rsplit_once(' ')
            .filter(|(_, color)| color.starts_with('#'))
    })?;
    let (name, color) = (unquoted(name), unquoted(color));
    (!name.is_empty() && !color.is_empty()).then_some((name, color))
}

/// Without what stands around it in a table saved by an office program.
fn unquoted(text: &str) -> &str {
    text.trim().trim_matches('"').trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_colors() {
        let text = "\u{feff}// spring\n# of the collection\n\nBrand Blue, #1F6F8B\nsoft = lab(90 2 5)\n\"leaf\";\"dark green\"\nrose wood #884455\n";
        let palette = Palette::parse(text).expect("a palette");
        assert_eq!(palette.iter().count(), 4);
        assert_eq!(
            palette.get("brand blue").map(Color::hex),
            Ok("#1F6F8B".into())
        );
        assert_eq!(
            palette.get("rose wood").map(Color::hex),
            Ok("#884455".into())
        );
        assert_eq!(palette.get("leaf").map(Color::hex), Ok("#006400".into()));
        let error = palette.get("navy").expect_err("not in it").to_string();
        assert!(
            error.contains("Brand Blue, soft, leaf, rose wood"),
            "{error}"
        );
    }

    #[test]
    fn wrong_lines_are_named() {
        for (text, says) in [
            ("a, #123456\nb", "line 2"),
            ("a, #12345678", "opaque"),
            ("a, blurple", "CSS name"),
            ("a, red\nA, blue", "already"),
            ("", "no color"),
            (", red", "line 1"),
        ] {
            let error = Palette::parse(text).expect_err(text).to_string();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
