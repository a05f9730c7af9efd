//! How an edit is worded.

use crate::color::Color;
use crate::object::Object;
use crate::rng::Rng;

/// An instruction in English, lower case, and the words in it that carry its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// The instruction itself.
    pub text: String,
    /// The object and color words, in order and exactly as written in `text`.
    pub content: Vec<String>,
}

// `{o}` and `{p}` stand for objects, `{c}` and `{d}` for colors, `{a}` for the article of `{c}`.
const RECOLOR: [&str; 14] = [
    "make the {o} {c}",
    "change the {o} to {c}",
    "change the color of the {o} to {c}",
    "turn the {o} {c}",
    "paint the {o} {c}",
    "recolor the {o} in {c}",
    "the {o} should be {c}",
    "make {o} {c}",
    "color the {o} {c}",
    "change the {o} color to {c}",
    "set the color of the {o} to {c}",
    "i want the {o} to be {c}",
    "make the {o} look {c}",
    "give the {o} {a} {c} color",
];
const REMOVE: [&str; 6] = [
    "remove the {o}",
    "take away the {o}",
    "delete the {o}",
    "erase the {o}",
    "get rid of the {o}",
    "take the {o} out of the room",
];
const ADD: [&str; 5] = [
    "add {a} {c} {o}",
    "put {a} {c} {o} in the room",
    "place {a} {c} {o} in the room",
    "add {a} {c} {o} to the room",
    "there should be {a} {c} {o}",
];
const REPLACE: [&str; 5] = [
    "replace the {o} with {a} {c} {p}",
    "swap the {o} for {a} {c} {p}",
    "turn the {o} into {a} {c} {p}",
    "change the {o} into {a} {c} {p}",
    "put {a} {c} {p} in place of the {o}",
];
const TWO_ALIKE: [&str; 5] = [
    "make the {o} and the {p} {c}",
    "change the {o} and the {p} to {c}",
    "paint the {o} and the {p} {c}",
    "turn the {o} and the {p} {c}",
    "make both the {o} and the {p} {c}",
];
const TWO_APART: [&str; 5] = [
    "make the {o} {c} and the {p} {d}",
    "change the {o} to {c} and the {p} to {d}",
    "paint the {o} {c} and the {p} {d}",
    "turn the {o} {c} and the {p} {d}",
    "the {o} should be {c} and the {p} {d}",
];

/// How often a word that has a synonym gives way to it. About half of the instructions have such a word, so about one
/// in ten reads differently.
const SYNONYM: f64 = 0.2;

impl Instruction {
    /// "make the sofa red"
    #[must_use]
    pub fn recolor(rng: &mut Rng, object: Object, color: Color) -> Self {
        let template = rng.pick(&RECOLOR);
        Words::new(rng)
            .object("{o}", object)
            .color("{c}", color)
            .write(template)
    }

    /// "remove the sofa"
    #[must_use]
    pub fn remove(rng: &mut Rng, object: Object) -> Self {
        let template = rng.pick(&REMOVE);
        Words::new(rng).object("{o}", object).write(template)
    }

    /// "add a red vase"
    #[must_use]
    pub fn add(rng: &mut Rng, object: Object, color: Color) -> Self {
        let template = rng.pick(&ADD);
        Words::new(rng)
            .object("{o}", object)
            .color("{c}", color)
            .write(template)
    }

    /// "replace the vase with a blue lamp"
    #[must_use]
    pub fn replace(rng: &mut Rng, old: Object, new: Object, color: Color) -> Self {
        let template = rng.pick(&REPLACE);
        Words::new(rng)
            .object("{o}", old)
            .object("{p}", new)
            .color("{c}", color)
            .write(template)
    }

    /// "make the sofa teal and the lamp red", or "make the sofa and the lamp red".
    #[must_use]
    pub fn two(rng: &mut Rng, first: (Object, Color), second: (Object, Color)) -> Self {
        let template = rng.pick(if first.1 == second.1 {
            &TWO_ALIKE
        } else {
            &TWO_APART
        });
        Words::new(rng)
            .object("{o}", first.0)
            .color("{c}", first.1)
            .object("{p}", second.0)
            .color("{d}", second.1)
            .write(template)
    }
}

/// The words chosen for a template's slots.
struct Words<'a> {
    rng: &'a mut Rng,
    slots: Vec<(&'static str, &'static str)>,
}

impl<'a> Words<'a> {
    fn new(rng: &'a mut Rng) -> Self {
        Self {
            rng,
            slots: Vec::new(),
        }
    }

    fn object(self, slot: &'static str, object: Object) -> Self {
        let synonym = match object {
            Object::Sofa => Some("couch"),
            Object::Carpet => Some("rug"),
            Object::Picture => Some("painting"),
            _ => None,
        };
        self.word(slot, object.name(), synonym)
    }

    fn color(self, slot: &'static str, color: Color) -> Self {
        self.word(slot, color.name(), (color == Color::Gray).then_some("grey"))
    }

    fn word(
        mut self,
        slot: &'static str,
        usual: &'static str,
        synonym: Option<&'static str>,
    ) -> Self {
        let word = synonym
            .filter(|_| self.rng.chance(SYNONYM))
            .unwrap_or(usual);
        self.slots.push((slot, word));
        self
    }

    fn write(self, template: &str) -> Instruction {
        let find = |slot: &str| {
            self.slots
                .iter()
                .find(|(name, _)| *name == slot)
                .map(|&(_, word)| word)
        };
        let mut content = Vec::new();
        let words: Vec<&str> = template
            .split(' ')
            .map(|token| match find(token) {
                Some(word) => {
                    content.push(word.to_owned());
                    word
                }
                None if token == "{a}" => article(find("{c}").unwrap_or_default()),
                None => token,
            })
            .collect();
        Instruction {
            text: words.join(" "),
            content,
        }
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) {
        "an"
    } else {
        "a"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Domain;

    #[test]
    fn every_template_is_filled() {
        let mut rng = Rng::new(Domain::Train, 5, 0);
        for _ in 0..500 {
            let (sofa, lamp) = (Object::Sofa, Object::Lamp);
            for instruction in [
                Instruction::recolor(&mut rng, sofa, Color::Gray),
                Instruction::remove(&mut rng, sofa),
                Instruction::add(&mut rng, lamp, Color::Orange),
                Instruction::replace(&mut rng, sofa, lamp, Color::Orange),
                Instruction::two(&mut rng, (sofa, Color::Red), (lamp, Color::Red)),
                Instruction::two(&mut rng, (sofa, Color::Red), (lamp, Color::Gray)),
            ] {
                let text = &instruction.text;
                assert!(
                    text.chars().all(|c| c.is_ascii_lowercase() || c == ' '),
                    "{text}"
                );
                assert!(!text.contains("a orange"), "{text}");
                let mut words = text.split(' ');
                assert!(
                    instruction
                        .content
                        .iter()
                        .all(|word| words.any(|w| w == word)),
                    "{text}"
                );
            }
        }
    }

    #[test]
    fn two_alike_name_their_color_once() {
        let mut rng = Rng::new(Domain::Train, 6, 0);
        let two = Instruction::two(
            &mut rng,
            (Object::Lamp, Color::Red),
            (Object::Vase, Color::Red),
        );
        assert_eq!(two.content, ["lamp", "vase", "red"]);
    }
}
