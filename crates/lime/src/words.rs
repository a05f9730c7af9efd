//! Which tokens of an instruction are read to find the region, and which are penalised in it (sections 4.1 and 4.2).

use std::{collections::HashSet, sync::LazyLock};

use limekiln_diffusion::tokenizer::Encoding;
use limekiln_finish::color::Asked;

use crate::preset::Tokens;

/// Positions of one encoded instruction, each in `0..77`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Positions whose attention makes the map. Empty when the instruction names nothing: the end token never stands alone.
    pub read: Vec<usize>,
    /// S: positions penalised in the region. Empty when no word is left to take their place.
    pub penalised: Vec<usize>,
}

#[derive(Default)]
struct Lists {
    stop: HashSet<&'static str>,
    verbs: HashSet<&'static str>,
    removing: HashSet<&'static str>,
    turning: HashSet<&'static str>,
    adding: HashSet<&'static str>,
}

/// `stop-words.txt`: the usual English list, the edit verbs that `official` skips, words which say that something goes,
/// that it gives way to something else unless that is a color, and that something comes.
static LISTS: LazyLock<Lists> = LazyLock::new(|| {
    let mut lists = Lists::default();
    let mut list = &mut lists.stop;
    for line in include_str!("stop-words.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        match line.trim() {
            "[stop]" => list = &mut lists.stop,
            "[verbs]" => list = &mut lists.verbs,
            "[removing]" => list = &mut lists.removing,
            "[turning]" => list = &mut lists.turning,
            "[adding]" => list = &mut lists.adding,
            words => list.extend(words.split_whitespace()),
        }
    }
    lists
});

/// A word as the lists spell it: lower case, without the apostrophe that CLIP leaves on `'s` and `'t`.
fn plain(word: &str) -> String {
    word.to_lowercase()
        .trim_start_matches(['\'', '’'])
        .to_string()
}

fn is_stop(word: &str) -> bool {
    LISTS.stop.contains(plain(word).as_str())
}

fn is_verb(word: &str) -> bool {
    LISTS.verbs.contains(plain(word).as_str())
}

fn is_punctuation(word: &str) -> bool {
    !word.chars().any(char::is_alphanumeric)
}

fn is_removing(word: &str) -> bool {
    let word = plain(word);
    LISTS.removing.contains(word.as_str()) || LISTS.turning.contains(word.as_str())
}

/// Whether one of the first `words` words says that something goes, or gives way to something else.
pub fn removes(encoding: &Encoding, words: usize) -> bool {
    let mut words = encoding.words.iter().take(words);
    words.any(|word| is_removing(word))
}

/// Whether an instruction says that something goes or comes, and so asks for more than another color. `color` is the one that
/// it asks for: `turn the sofa into blue` is of a color, `turn the sofa into a blue bed` of a thing.
pub fn more_than_color(instruction: &str, color: Option<&Asked>) -> bool {
    if color.is_some_and(|color| color.brought) {
        return true;
    }
    let turned = color.is_some_and(|color| color.turned);
    words(instruction).any(|word| {
        LISTS.removing.contains(word.as_str())
            || LISTS.adding.contains(word.as_str())
            || !turned && LISTS.turning.contains(word.as_str())
    })
}

/// The words that name what an instruction gives another color: all but the color asked for. `given`: the color is given beside
/// the words. None where they are not understood so, or ask for more.
pub fn object(instruction: &str, given: bool) -> Option<Vec<String>> {
    let color = limekiln_finish::color::asked(instruction).ok();
    if more_than_color(instruction, color.as_ref()) {
        return None;
    }
    limekiln_finish::color::object_words(instruction, given)
}

/// Whether an instruction says that something comes, and that nothing goes for it.
pub fn adds(instruction: &str) -> bool {
    words(instruction).any(|word| LISTS.adding.contains(word.as_str()))
        && !words(instruction).any(|word| is_removing(&word))
}

fn words(instruction: &str) -> impl Iterator<Item = String> {
    instruction.split(|c: char| !c.is_alphanumeric()).map(plain)
}

/// The tokens that `rule` selects. Only the first `words` words belong to the user; what follows (a suffix that the model
/// asks for) is never read, and counts as related only in that its words are not penalised. Matched per word, so all pieces of a word go the same way.
pub fn select(encoding: &Encoding, words: usize, rule: Tokens) -> Selection {
    let padding = match rule {
        Tokens::Paper => encoding.end,
        Tokens::Official => encoding.end + 1,
    };
    let mut read = Vec::new();
    let mut penalised = vec![0];
    let mut related = false;
    for (index, piece) in encoding.pieces.iter().enumerate() {
        // The start token is position 0.
        let position = index + 1;
        let word = encoding.words.get(piece.word).map_or("", String::as_str);
        if is_stop(word) {
            penalised.push(position);
            continue;
        }
        if piece.word >= words {
            continue;
        }
        related = true;
        let skipped = rule == Tokens::Official && (is_punctuation(word) || is_verb(word));
        if !skipped {
            read.push(position);
        }
    }
    penalised.extend(padding..encoding.ids.len());
    if rule == Tokens::Official && !read.is_empty() {
        read.push(encoding.end);
    }
    if !related {
        penalised.clear();
    }
    Selection { read, penalised }
}

impl Selection {
    /// Reads only the pieces of these words, whatever their case; all where there is none.
    #[must_use]
    pub fn of_words(mut self, encoding: &Encoding, words: &[String]) -> Self {
        if words.is_empty() {
            return self;
        }
        let wanted: HashSet<String> = words.iter().map(|word| plain(word)).collect();
        let word_at = |position: usize| {
            let piece = encoding.pieces.get(position.checked_sub(1)?)?;
            encoding.words.get(piece.word)
        };
        self.read.retain(|position| {
            word_at(*position).is_some_and(|word| wanted.contains(&plain(word)))
        });
        self
    }
}

/// The text at some positions, for a report: words' pieces as they are, and what surrounds them by name.
pub fn text_at(encoding: &Encoding, positions: &[usize]) -> Vec<String> {
    let mut texts = Vec::new();
    let mut padding = false;
    for &position in positions {
        match position.checked_sub(1) {
            None => texts.push("<start>".to_string()),
            Some(index) => match encoding.pieces.get(index) {
                Some(piece) => texts.push(piece.text.clone()),
                None if position == encoding.end => texts.push("<end>".to_string()),
                None if !padding => {
                    padding = true;
                    texts.push("<padding>".to_string());
                }
                None => {}
            },
        }
    }
    texts
}

/// The whole words that hold some positions, in order, each once.
pub fn words_at(encoding: &Encoding, positions: &[usize]) -> Vec<String> {
    let mut indices: Vec<usize> = positions
        .iter()
        .filter_map(|position| encoding.pieces.get(position.checked_sub(1)?))
        .map(|piece| piece.word)
        .collect();
    indices.dedup();
    indices
        .into_iter()
        .filter_map(|index| encoding.words.get(index).cloned())
        .collect()
}

#[cfg(test)]
mod tests {
    use limekiln_diffusion::tokenizer::Piece;
    use limekiln_finish::color::asked;

    use super::*;

    /// Each word of `text` is cut in pieces at `-`.
    fn encode(text: &str) -> Encoding {
        let mut pieces = Vec::new();
        let mut words = Vec::new();
        for (word, parts) in text.split_whitespace().enumerate() {
            words.push(parts.replace('-', ""));
            pieces.extend(parts.split('-').map(|part| Piece {
                id: 5,
                text: part.to_string(),
                word,
            }));
        }
        Encoding {
            ids: vec![7; 77],
            end: pieces.len() + 1,
            pieces,
            words,
            cut: None,
        }
    }

    #[test]
    fn paper_reads_all_but_stop_words_and_penalises_the_rest() {
        let encoding = encode("make the ot-toman red .");
        let Selection { read, penalised } = select(&encoding, 5, Tokens::Paper);
        assert_eq!(read, [1, 3, 4, 5, 6]);
        assert_eq!(penalised[..3], [0, 2, 7]);
        assert_eq!(penalised[2..], (7..77).collect::<Vec<_>>());
        assert_eq!(
            text_at(&encoding, &penalised),
            ["<start>", "the", "<end>", "<padding>"]
        );
        assert_eq!(words_at(&encoding, &read), ["make", "ottoman", "red", "."]);
    }

    #[test]
    fn official_skips_verbs_and_punctuation_and_keeps_the_end() {
        let encoding = encode("Make the ot-toman red .");
        let Selection { read, penalised } = select(&encoding, 5, Tokens::Official);
        assert_eq!(read, [3, 4, 5, 7]);
        assert_eq!(
            penalised,
            [0, 2].into_iter().chain(8..77).collect::<Vec<_>>()
        );
    }

    #[test]
    fn the_objects_words_alone_can_be_read() {
        let encoding = encode("make the ot-toman red .");
        let all = select(&encoding, 5, Tokens::Official);
        let object = |words: &[&str]| {
            let words: Vec<_> = words.iter().map(ToString::to_string).collect();
            all.clone().of_words(&encoding, &words)
        };
        assert_eq!(object(&["Ottoman"]).read, [3, 4]);
        assert_eq!(object(&["Ottoman"]).penalised, all.penalised);
        assert_eq!(object(&[]), all);
        assert!(object(&["sofa"]).read.is_empty());
    }

    #[test]
    fn a_color_that_a_thing_is_turned_into_is_a_color() {
        let thing = |text: &str| more_than_color(text, asked(text).ok().as_ref());
        for text in [
            "convert the sofa to blue",
            "transform the red sofa into dark green.",
            "turn the sofa into a deep blue",
            "make the sofa blue instead of red",
            "Paint the wall teal instead",
            "convert the color of the chair from red to #1F6F8B",
            "make the sofa red",
        ] {
            assert!(!thing(text), "{text}");
        }
        for text in [
            "turn the sofa into a red bed",
            "turn the sofa into a bed in blue",
            "transform the chair into red leather",
            "convert the sofa to a blue bed",
            "replace the sofa with a bed",
            "make the table blue with flowers instead of books",
            "remove the sofa",
            "add a blue vase",
        ] {
            assert!(thing(text), "{text}");
        }
    }

    #[test]
    fn what_goes_is_known_by_a_word() {
        let goes = |text: &str| removes(&encode(text), text.split(' ').count());
        for text in [
            "Remove the sofa",
            "get rid of the lamp",
            "turn the sofa into a red bed",
            "take the sofa out of the room",
        ] {
            assert!(goes(text), "{text}");
        }
        for text in [
            "make the sofa red",
            "turn the lamp green",
            "place a red vase in the room",
            "change the color of the sofa to red",
        ] {
            assert!(!goes(text), "{text}");
        }
        // What the model asks to add is not the user's.
        assert!(!removes(&encode("red sofa , no swap"), 2));
    }

    #[test]
    fn an_instruction_that_names_nothing_selects_nothing() {
        assert_eq!(
            select(&encode("do it 's"), 3, Tokens::Paper),
            Selection::default()
        );
        let official = select(&encode("remove it"), 2, Tokens::Official);
        assert!(official.read.is_empty());
        assert!(
            !official.penalised.is_empty(),
            "remove is still a related token"
        );
    }

    #[test]
    fn a_suffix_is_neither_read_nor_related() {
        let encoding = encode("red sofa , image quality is five");
        let Selection { read, penalised } = select(&encoding, 2, Tokens::Paper);
        assert_eq!(read, [1, 2]);
        assert_eq!(penalised[..2], [0, 6]);
        assert_eq!(
            select(&encode("it , image"), 1, Tokens::Paper),
            Selection::default()
        );
    }
}
