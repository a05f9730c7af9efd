//! Tokens equal to transformers'; words, cuts, and files that are not what they say.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use limekiln_diffusion::Error;
use limekiln_diffusion::tokenizer::{Tokenizer, TokenizerFiles};
use proptest::prelude::*;

fn file(path: &str) -> String {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/reference/");
    std::fs::read_to_string(format!("{root}{path}")).unwrap()
}

/// vocab.json + merges.txt, padded with the end token.
fn sd1() -> Tokenizer {
    let [vocab, merges, config, map] = [
        "vocab.json",
        "merges.txt",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ]
    .map(|name| file(&format!("checkpoints/sd1/tokenizer/{name}")));
    let files = TokenizerFiles {
        vocab: Some(&vocab),
        merges: Some(&merges),
        config: Some(&config),
        special_tokens_map: Some(&map),
        ..TokenizerFiles::default()
    };
    Tokenizer::from_files(&files).unwrap()
}

/// tokenizer.json, padded with "!".
fn sd2() -> Tokenizer {
    let [whole, config] = ["tokenizer.json", "tokenizer_config.json"]
        .map(|name| file(&format!("checkpoints/sd2/tokenizer/{name}")));
    let files = TokenizerFiles {
        tokenizer_json: Some(&whole),
        config: Some(&config),
        ..TokenizerFiles::default()
    };
    Tokenizer::from_files(&files).unwrap()
}

fn equals_transformers(tokenizer: &Tokenizer, golden: &str) {
    #[derive(serde::Deserialize)]
    struct Case {
        text: String,
        ids: String,
    }
    let cases: Vec<Case> = serde_json::from_str(&file(golden)).unwrap();
    assert!(cases.len() > 30);
    for case in cases {
        let ids = tokenizer.encode(&case.text).unwrap().ids;
        let ids = ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(ids, case.ids, "{:?}", case.text);
    }
}

#[test]
fn vocabulary_and_merges_equal_transformers() {
    equals_transformers(&sd1(), "golden/sd1-tokens.json");
}

#[test]
fn one_json_equals_transformers() {
    equals_transformers(&sd2(), "golden/sd2-tokens.json");
}

#[test]
fn pieces_join_into_words() {
    let encoding = sd1().encode("Make it's  snowing!").unwrap();
    assert_eq!(encoding.words, ["make", "it", "'s", "snowing", "!"]);
    assert_eq!(encoding.end, encoding.pieces.len() + 1);
    assert_eq!(encoding.cut, None);
    for (i, word) in encoding.words.iter().enumerate() {
        let joined: String = encoding
            .pieces
            .iter()
            .filter(|p| p.word == i)
            .map(|p| p.text.as_str())
            .collect();
        assert_eq!(&joined, word);
    }
    let ids: Vec<_> = encoding.pieces.iter().map(|p| p.id).collect();
    assert_eq!(ids, encoding.ids[1..encoding.end]);
}

#[test]
fn words_are_text_again() {
    let words = sd1().encode("café 日本 ½").unwrap().words;
    assert_eq!(words, ["café", "日本", "½"]);
}

#[test]
fn a_padding_token_in_the_text_is_a_word() {
    let encoding = sd2().encode("wow! red").unwrap();
    assert_eq!(encoding.words, ["wow", "!", "red"]);
    let tail = encoding.ids[encoding.end + 1..].to_vec();
    assert!(tail.iter().all(|&id| id == 0), "SD2 pads with token 0");
}

#[test]
fn an_end_token_in_the_text_ends_it() {
    let encoding = sd1().encode("red <|endoftext|> sofa").unwrap();
    assert_eq!(encoding.words, ["red"]);
    assert_eq!(encoding.end, 2);
}

#[test]
fn what_does_not_fit_is_told() {
    let tokenizer = sd1();
    let fits = "red ".repeat(75);
    assert_eq!(tokenizer.encode(&fits).unwrap().cut, None);
    let encoding = tokenizer
        .encode(&format!("{fits}and the Café too "))
        .unwrap();
    assert_eq!(encoding.cut.as_deref(), Some("and the Café too"));
    assert_eq!(
        (encoding.ids.len(), encoding.end, encoding.pieces.len()),
        (77, 76, 75)
    );
    let endless = tokenizer.encode(&"lamp, ".repeat(200_000)).unwrap();
    assert_eq!(endless.ids.len(), 77);
}

#[test]
fn empty_text_is_start_and_end() {
    let encoding = sd1().encode(" \n ").unwrap();
    assert_eq!(
        (encoding.end, encoding.pieces.len(), encoding.words.len()),
        (1, 0, 0)
    );
    assert_eq!(encoding.ids, sd1().encode("").unwrap().ids);
}

#[test]
fn missing_files_are_named() {
    let reason = |files: &TokenizerFiles| match Tokenizer::from_files(files).map(drop) {
        Err(Error::Tokenizer(reason)) => reason,
        other => panic!("{other:?}"),
    };
    assert!(reason(&TokenizerFiles::default()).contains("vocab.json"));
    assert!(
        reason(&TokenizerFiles {
            vocab: Some("{}"),
            ..Default::default()
        })
        .contains("merges.txt")
    );
    let (vocab, merges) = (
        Some(r#"{"a": 0, "b": 1, "<|startoftext|>": 2, "<|endoftext|>": 3}"#),
        Some("a b"),
    );
    assert!(
        reason(&TokenizerFiles {
            vocab,
            merges,
            ..Default::default()
        })
        .contains("\"ab\"")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_gives_77_ids(text in "\\PC{0,120}|[\\x00-\\xff]{0,40}|(red |!|'s|<\\|endoftext\\|>|\u{130}|\u{301}){0,90}") {
        for tokenizer in [&*SD1, &*SD2] {
            let encoding = tokenizer.encode(&text).unwrap();
            prop_assert_eq!(encoding.ids.len(), 77);
            prop_assert!(encoding.end <= 76);
            prop_assert_eq!(encoding.pieces.len(), encoding.end - 1);
            prop_assert!(encoding.pieces.iter().all(|p| p.word < encoding.words.len()));
            prop_assert!(encoding.cut.is_none_or(|cut| text.contains(&cut)));
        }
    }

    #[test]
    fn damaged_files_never_panic(which in 0..5usize, at in any::<prop::sample::Index>(), with in "\\PC{0,3}", rest in any::<bool>()) {
        let mut texts = [file("checkpoints/sd2/tokenizer/tokenizer.json"), file("checkpoints/sd2/tokenizer/tokenizer_config.json"),
            file("checkpoints/sd1/tokenizer/vocab.json"), file("checkpoints/sd1/tokenizer/merges.txt"), file("checkpoints/sd1/tokenizer/special_tokens_map.json")];
        let text = &mut texts[which];
        let places: Vec<_> = text.char_indices().map(|(i, _)| i).collect();
        let from = places[at.index(places.len())];
        let to = if rest { text.len() } else { text[from..].char_indices().nth(1).map_or(text.len(), |(i, _)| from + i) };
        text.replace_range(from..to, &with);
        let [whole, config, vocab, merges, map] = &texts;
        let files = if which < 2 {
            TokenizerFiles { tokenizer_json: Some(whole), config: Some(config), ..Default::default() }
        } else {
            TokenizerFiles { vocab: Some(vocab), merges: Some(merges), special_tokens_map: Some(map), ..Default::default() }
        };
        if let Ok(tokenizer) = Tokenizer::from_files(&files) {
            drop(tokenizer.encode("make the sofa red!"));
        }
    }
}

static SD1: std::sync::LazyLock<Tokenizer> = std::sync::LazyLock::new(sd1);
static SD2: std::sync::LazyLock<Tokenizer> = std::sync::LazyLock::new(sd2);
