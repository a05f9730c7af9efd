//! CLIP's byte-pair tokens, exactly as transformers 5's `CLIPTokenizer` gives them to diffusers.
//!
//! transformers reads only the vocabulary, the merges and the special tokens from a repository, whether they lie in
//! `vocab.json` + `merges.txt` or in `tokenizer.json`; normalisation (NFC, white space, lower case) and splitting are fixed
//! (`models/clip/tokenization_clip.py`). So it is here.

mod special;

use std::collections::HashMap;

use serde_json::Value;
use tokenizers::decoders::byte_level::ByteLevel as ByteDecoder;
use tokenizers::models::bpe::BPE;
use tokenizers::normalizers::{
    Lowercase, NFC, Replace, Sequence as Normalizers, replace::ReplacePattern,
};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as Splitters;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{Decoder, SplitDelimiterBehavior};

use crate::Error;

/// Where one word ends and the next begins (`tokenization_clip.py`).
const WORDS: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";
/// CLIP's own length, where `tokenizer_config.json` gives none.
const LENGTH: usize = 77;

/// The texts of a tokenizer's files; `tokenizer_json`, or else `vocab` and `merges`, must be there.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenizerFiles<'a> {
    /// Text of `tokenizer.json`, which wins over `vocab` and `merges`.
    pub tokenizer_json: Option<&'a str>,
    /// Text of `vocab.json`.
    pub vocab: Option<&'a str>,
    /// Text of `merges.txt`.
    pub merges: Option<&'a str>,
    /// Text of `tokenizer_config.json`.
    pub config: Option<&'a str>,
    /// Text of `special_tokens_map.json`.
    pub special_tokens_map: Option<&'a str>,
    /// Text of `added_tokens.json`.
    pub added_tokens: Option<&'a str>,
}

/// Turns text into token ids.
#[derive(Clone)]
pub struct Tokenizer {
    inner: tokenizers::Tokenizer,
    start: u32,
    end: u32,
    pad: u32,
    length: usize,
    vocab_size: usize,
}

/// One token between start and end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The token's id in the vocabulary.
    pub id: u32,
    /// Its text without the end-of-word mark.
    pub text: String,
    /// Index of its word in [`Encoding::words`].
    pub word: usize,
}

/// A text as the text encoder reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoding {
    /// Start, pieces, end, padding: [`Tokenizer::length`] ids.
    pub ids: Vec<u32>,
    /// The tokens between the start and the first end token: piece `i` stands at position `i + 1`.
    pub pieces: Vec<Piece>,
    /// Pieces joined up to the end-of-word mark, lower case.
    pub words: Vec<String>,
    /// Position of the first end token; padding is everything from here on.
    pub end: usize,
    /// The end of the text that did not fit.
    pub cut: Option<String>,
}

impl Tokenizer {
    /// Builds a tokenizer from its files' contents.
    ///
    /// # Errors
    /// A file that is not what its name says, merges outside the vocabulary, or no vocabulary at all.
    pub fn from_files(files: &TokenizerFiles) -> Result<Self, Error> {
        let json = |text: Option<&str>, name: &str| match text {
            Some(text) => {
                serde_json::from_str::<Value>(text).map_err(|e| bad(format!("{name}: {e}")))
            }
            None => Ok(Value::Null),
        };
        let whole = json(files.tokenizer_json, "tokenizer.json")?;
        let (vocab, merges) = match (files.tokenizer_json, files.vocab, files.merges) {
            (Some(_), ..) => (
                vocabulary(&whole["model"]["vocab"], "tokenizer.json")?,
                merges_of_json(&whole["model"]["merges"])?,
            ),
            (None, Some(vocab), Some(merges)) => (
                vocabulary(&json(Some(vocab), "vocab.json")?, "vocab.json")?,
                merges_of_text(merges)?,
            ),
            (None, Some(_), None) => return Err(bad("merges.txt is missing".into())),
            (None, None, _) => {
                return Err(bad(
                    "vocab.json and tokenizer.json are missing: one must be there".into(),
                ));
            }
        };
        let config = json(files.config, "tokenizer_config.json")?;
        let specials = special::Specials::read(
            &config,
            &json(files.special_tokens_map, "special_tokens_map.json")?,
            &json(files.added_tokens, "added_tokens.json")?,
            &whole["added_tokens"],
        )?;
        let vocab_size = vocab.values().max().map_or(0, |&id| id as usize + 1);
        let mut inner = tokenizers::Tokenizer::new(model(vocab, merges, specials.unknown())?);
        inner.with_normalizer(Some(normalizer()?)).map_err(other)?;
        inner.with_pre_tokenizer(Some(splitter()?));
        inner.add_tokens(specials.added()).map_err(other)?;
        let id = |token: &str| {
            inner
                .token_to_id(token)
                .ok_or_else(|| bad(format!("{token} is not in the vocabulary")))
        };
        Ok(Self {
            start: id(specials.start())?,
            end: id(specials.end())?,
            pad: id(specials.pad())?,
            // A config without a limit, and transformers' own "no limit" of 1e30, both mean CLIP's length here.
            length: config["model_max_length"]
                .as_u64()
                .map_or(LENGTH, |n| (n as usize).clamp(2, LENGTH)),
            vocab_size: vocab_size.max(inner.get_vocab_size(true)),
            inner,
        })
    }

    /// Number of ids in every encoding; 77 for CLIP.
    pub fn length(&self) -> usize {
        self.length
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Tokenizes one text: `padding="max_length", truncation=True` in transformers' words.
    ///
    /// # Errors
    /// A character that the vocabulary cannot spell, when it has no unknown token.
    pub fn encode(&self, text: &str) -> Result<Encoding, Error> {
        let encoded = self.inner.encode(text, false).map_err(other)?;
        let room = self.length - 2;
        let kept = encoded.len().min(room);
        let cut = encoded
            .get_offsets()
            .get(kept)
            .map(|&(from, _)| text.get(from..).unwrap_or_default().trim().to_owned());
        let mut ids = Vec::with_capacity(self.length);
        ids.push(self.start);
        ids.extend_from_slice(&encoded.get_ids()[..kept]);
        ids.push(self.end);
        ids.resize(self.length, self.pad);
        // A text may spell the end token itself.
        let end = ids
            .iter()
            .skip(1)
            .position(|&id| id == self.end)
            .map_or(kept + 1, |i| i + 1);
        let (pieces, words) = pieces(&ids[1..end], encoded.get_tokens(), encoded.get_word_ids());
        Ok(Encoding {
            ids,
            pieces,
            words,
            end,
            cut,
        })
    }
}

/// Pieces with the words they belong to. Every split of the text is one word; its last piece bears the end-of-word mark.
fn pieces(ids: &[u32], tokens: &[String], splits: &[Option<u32>]) -> (Vec<Piece>, Vec<String>) {
    let mut pieces = Vec::with_capacity(ids.len());
    let mut spelled: Vec<Vec<String>> = Vec::new();
    let mut last = None;
    for ((&id, token), &split) in ids.iter().zip(tokens).zip(splits) {
        if last != Some(split) {
            spelled.push(Vec::new());
            last = Some(split);
        }
        let bytes = token.strip_suffix("</w>").unwrap_or(token).to_owned();
        pieces.push(Piece {
            id,
            text: readable(vec![bytes.clone()]),
            word: spelled.len() - 1,
        });
        if let Some(word) = spelled.last_mut() {
            word.push(bytes);
        }
    }
    (pieces, spelled.into_iter().map(readable).collect())
}

/// Byte-level spelling to text.
fn readable(tokens: Vec<String>) -> String {
    let fallback = tokens.concat();
    ByteDecoder::default()
        .decode_chain(tokens)
        .map_or(fallback, |parts| parts.concat())
}

fn model(
    vocab: HashMap<String, u32>,
    merges: Vec<(String, String)>,
    unknown: &str,
) -> Result<BPE, Error> {
    // The library would panic on the last of these.
    for (a, b) in &merges {
        for token in [a, b, &format!("{a}{b}")] {
            if !vocab.contains_key(token) {
                return Err(bad(format!(
                    "the merge {a:?} {b:?} needs {token:?}, which is not in the vocabulary"
                )));
            }
        }
    }
    BPE::builder()
        .vocab_and_merges(
            vocab
                .into_iter()
                .collect::<tokenizers::models::bpe::Vocab>(),
            merges,
        )
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".into())
        .unk_token(unknown.into())
        .build()
        .map_err(other)
}

fn normalizer() -> Result<Normalizers, Error> {
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".into()), " ").map_err(other)?;
    Ok(Normalizers::new(vec![
        NFC.into(),
        spaces.into(),
        Lowercase.into(),
    ]))
}

fn splitter() -> Result<Splitters, Error> {
    let words = Split::new(
        SplitPattern::Regex(WORDS.into()),
        SplitDelimiterBehavior::Removed,
        true,
    )
    .map_err(other)?;
    Ok(Splitters::new(vec![
        words.into(),
        ByteLevel::default().add_prefix_space(false).into(),
    ]))
}

fn vocabulary(json: &Value, name: &str) -> Result<HashMap<String, u32>, Error> {
    let entries = json
        .as_object()
        .ok_or_else(|| bad(format!("{name} holds no vocabulary")))?;
    let id = |(token, id): (&String, &Value)| {
        let id = id.as_u64().and_then(|id| u32::try_from(id).ok());
        id.map(|id| (token.clone(), id))
            .ok_or_else(|| bad(format!("{name}: the id of {token:?} is not a number")))
    };
    entries.iter().map(id).collect()
}

fn merges_of_text(text: &str) -> Result<Vec<(String, String)>, Error> {
    let lines = text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    lines
        .map(|(i, line)| {
            pair(line)
                .ok_or_else(|| bad(format!("merges.txt, line {}: not a pair of tokens", i + 1)))
        })
        .collect()
}

fn merges_of_json(json: &Value) -> Result<Vec<(String, String)>, Error> {
    let merges = json
        .as_array()
        .ok_or_else(|| bad("tokenizer.json holds no merges".into()))?;
    let merge = |merge: &Value| match merge {
        Value::String(line) => pair(line),
        Value::Array(two) => match two.as_slice() {
            [Value::String(a), Value::String(b)] => Some((a.clone(), b.clone())),
            _ => None,
        },
        _ => None,
    };
    merges
        .iter()
        .map(|m| merge(m).ok_or_else(|| bad(format!("tokenizer.json: {m} is not a merge"))))
        .collect()
}

fn pair(line: &str) -> Option<(String, String)> {
    let (a, b) = line.split_once(' ')?;
    (!b.contains(' ')).then(|| (a.to_owned(), b.to_owned()))
}

fn bad(reason: String) -> Error {
    Error::Tokenizer(reason)
}

fn other(source: tokenizers::Error) -> Error {
    Error::Tokenizer(source.to_string())
}
