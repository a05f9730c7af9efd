//! What is to be recolored, and in what: read of a color, a material and the instruction's words.

use limekiln_finish::color::asked;
use limekiln_finish::{Choice, Color, Error as FinishError};

use super::error::Error;
use crate::found::Paint;
use crate::preset::Preset;
use crate::words;

/// Reads what an edit recolors: in `color`, or in the one that the instruction's words ask for. None where the preset
/// does not recolor; where it edits, too, also when no change of color is asked for. A `color` given to a preset that only edits
/// is the one that its object ends at: [`Finishing::takes`](super::Finishing::takes) says whether its finish can do that.
///
/// # Errors
///
/// Where color or material can't be read or would say nothing, and where a preset that only recolors is asked for no color.
pub fn paint(
    preset: &Preset,
    instruction: &str,
    color: Option<&str>,
    material: Option<&str>,
) -> Result<Option<Paint>, Error> {
    let wrong = |field| move |error| Error::Asked { field, error };
    if let (None, Some(_), Some(color), None) = (&preset.recolor, &preset.edit, color, material) {
        let color = color.parse().map_err(wrong("color"))?;
        return Ok(Some(Paint {
            color,
            words: None,
            materials: Choice::Main,
        }));
    }
    if preset.recolor.is_none() {
        let given = [("color", color), ("material", material)];
        return match given.into_iter().find(|(_, value)| value.is_some()) {
            Some((field, _)) => Err(Error::NotRecolored {
                field,
                preset: preset.name.clone(),
            }),
            None => Ok(None),
        };
    }
    let materials = match material {
        Some(text) => text.parse().map_err(wrong("material"))?,
        None => Choice::Main,
    };
    let paint = |color: Color, words| Paint {
        color,
        words,
        materials,
    };
    if let Some(color) = color {
        let color = color.parse().map_err(wrong("color"))?;
        return Ok(Some(paint(color, None)));
    }
    // Only where a color has to be given is it wrong that the words ask for none.
    let needed = preset.edit.is_none() || material.is_some();
    match asked(instruction) {
        Ok(found) if needed || !words::more_than_color(instruction, Some(&found)) => {
            Ok(Some(paint(found.color, Some(found.words))))
        }
        Ok(_) => Ok(None),
        Err(FinishError::NoneAsked | FinishError::SeveralAsked(_)) if !needed => Ok(None),
        Err(error) => Err(wrong("instruction")(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canvas::{Finish, Finishing};

    fn words(preset: &Preset, instruction: &str) -> Option<String> {
        paint(preset, instruction, None, None).unwrap()?.words
    }

    #[test]
    fn the_color_is_the_one_given_or_the_words() {
        let recolor = Preset::recolor();
        assert_eq!(
            words(&recolor, "make the red sofa blue").as_deref(),
            Some("blue")
        );
        let given = paint(
            &recolor,
            "make the red sofa blue",
            Some("#1F6F8B"),
            Some("2"),
        );
        let given = given.unwrap().unwrap();
        assert_eq!((given.color.hex().as_str(), given.words), ("#1F6F8B", None));
        assert_eq!(given.materials, Choice::Numbers(vec![2]));
        for (color, material, field) in [
            (None, None, "instruction"),
            (Some("blurple"), None, "color"),
            (Some("#1F6F8B80"), None, "color"),
            (Some("lab(120 0 0)"), None, "color"),
            (Some("teal"), Some("0"), "material"),
        ] {
            let error = paint(&recolor, "recolor the sofa", color, material).unwrap_err();
            assert_eq!(error.field(), Some(field), "{error}");
        }
        for color in [Some("teal"), None] {
            let error = paint(&Preset::fast(), "make the sofa red", color, Some("all"));
            let error = error.unwrap_err();
            assert!(error.to_string().contains("does not recolor"), "{error}");
        }
        let given = paint(&Preset::fast(), "make the sofa red", Some("teal"), None).unwrap();
        let mut finishing = Finishing {
            paint: given,
            finish: Finish::Detail,
            ..Finishing::NONE
        };
        assert!(finishing.takes(&Preset::fast()).is_ok());
        finishing.finish = Finish::Paste;
        let error = finishing.takes(&Preset::fast()).unwrap_err();
        assert_eq!(error.field(), Some("color"), "{error}");
        assert!(finishing.takes(&Preset::auto()).is_ok());
        assert_eq!(
            paint(&Preset::fast(), "make the sofa red", None, None).unwrap(),
            None
        );
    }

    #[test]
    fn where_it_can_edit_only_a_change_of_color_is_recolored() {
        let auto = Preset::auto();
        assert_eq!(
            words(&auto, "make the red sofa blue").as_deref(),
            Some("blue")
        );
        for other in [
            "make the sofa nicer",
            "remove the red sofa",
            "replace the red sofa with a blue sofa",
            "add a red vase to the table",
            "give the sofa a blue cushion",
            "make the sofa red and blue",
        ] {
            assert_eq!(paint(&auto, other, None, None).unwrap(), None, "{other}");
        }
        let color = paint(&auto, "make the sofa nicer", Some("teal"), None);
        assert!(color.unwrap().is_some());
        assert!(paint(&auto, "make the sofa nicer", None, Some("all")).is_err());
        assert!(paint(&auto, "make the sofa #12345", None, None).is_err());
    }
}
