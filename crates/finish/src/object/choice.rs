//! Which materials are meant.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Which materials of an object are recolored.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Choice {
    /// The main one.
    #[default]
    Main,
    /// All of them; each ends at the color.
    All,
    /// These, counted from 1.
    Numbers(Vec<usize>),
}

impl Choice {
    /// Indices into `count` materials.
    pub(super) fn of(&self, count: usize) -> Result<Vec<usize>> {
        match self {
            Self::Main => Ok(vec![0]),
            Self::All => Ok((0..count).collect()),
            Self::Numbers(numbers) => {
                let mut out = Vec::new();
                for number in numbers {
                    let index = number.checked_sub(1).filter(|index| *index < count).ok_or(
                        Error::NoSuchMaterial {
                            asked: *number,
                            count,
                        },
                    )?;
                    if !out.contains(&index) {
                        out.push(index);
                    }
                }
                if out.is_empty() {
                    Err(Error::BadChoice(String::new()))
                } else {
                    Ok(out)
                }
            }
        }
    }
}

impl FromStr for Choice {
    type Err = Error;

    /// `main`, `all`, `2` or `1,3`.
    fn from_str(text: &str) -> Result<Self> {
        match text.trim().to_lowercase().as_str() {
            "main" => Ok(Self::Main),
            "all" => Ok(Self::All),
            numbers => numbers
                .split(',')
                .map(|number| number.trim().parse().ok().filter(|number| *number > 0))
                .collect::<Option<Vec<usize>>>()
                .map(Self::Numbers)
                .ok_or_else(|| Error::BadChoice(text.trim().into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices() {
        assert_eq!("main".parse::<Choice>(), Ok(Choice::Main));
        assert_eq!(" All ".parse::<Choice>(), Ok(Choice::All));
        assert_eq!(
            "1, 3".parse::<Choice>().and_then(|choice| choice.of(3)),
            Ok(vec![0, 2])
        );
        assert_eq!(
            "2".parse::<Choice>().and_then(|choice| choice.of(1)),
            Err(Error::NoSuchMaterial { asked: 2, count: 1 })
        );
        for wrong in ["", "0", "second", "1,,2", "-1"] {
            assert_eq!(wrong.parse::<Choice>(), Err(Error::BadChoice(wrong.into())));
        }
    }
}
