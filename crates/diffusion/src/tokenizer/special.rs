//! Start, end, unknown and padding tokens, and which of them are cut out of a text before it is split.
//!
//! Follows `PreTrainedTokenizerBase._from_pretrained` and `TokenizersBackend.__init__` of transformers 5, order included:
//! of two tokens with the same content, the later one's flags hold.

use serde_json::Value;
use tokenizers::AddedToken;

use crate::Error;

/// In transformers' order.
const NAMED: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

pub(super) struct Specials {
    decoder: Vec<(u64, AddedToken)>,
    named: [Option<AddedToken>; 7],
    extra: Vec<AddedToken>,
}

impl Specials {
    /// Each argument may be `null`: `tokenizer_config.json`, `special_tokens_map.json`, `added_tokens.json`, and
    /// `added_tokens` of `tokenizer.json`.
    pub(super) fn read(
        config: &Value,
        map: &Value,
        added: &Value,
        listed: &Value,
    ) -> Result<Self, Error> {
        let start_end = ["<|startoftext|>", "<|endoftext|>", "<|endoftext|>"];
        let mut named: [Option<AddedToken>; 7] = Default::default();
        for (i, name) in NAMED.iter().enumerate() {
            named[i] = token(&config[*name], name, false)?;
        }
        let mut decoder = Vec::new();
        if let Some(entries) = config["added_tokens_decoder"].as_object() {
            for (id, entry) in entries {
                let id = id
                    .parse()
                    .map_err(|_| bad(format!("added_tokens_decoder: {id:?} is not an id")))?;
                decoder.extend(token(entry, "added_tokens_decoder", false)?.map(|t| (id, t)));
            }
        } else {
            for (i, name) in NAMED.iter().enumerate() {
                if map.get(*name).is_some() {
                    named[i] = token(&map[*name], name, true)?;
                }
            }
            for (content, id) in added.as_object().into_iter().flatten() {
                let special = named.iter().flatten().any(|t| t.content == *content);
                let id = id.as_u64().ok_or_else(|| {
                    bad(format!(
                        "added_tokens.json: the id of {content:?} is not a number"
                    ))
                })?;
                decoder.push((id, AddedToken::from(content.clone(), special)));
            }
            for entry in listed.as_array().into_iter().flatten() {
                let id = entry["id"].as_u64().ok_or_else(|| {
                    bad("added_tokens of tokenizer.json: an entry has no id".into())
                })?;
                decoder.extend(
                    token(entry, "added_tokens of tokenizer.json", false)?.map(|t| (id, t)),
                );
            }
        }
        let mut extra = Vec::new();
        for key in ["extra_special_tokens", "additional_special_tokens"] {
            for entry in config[key].as_array().into_iter().flatten() {
                extra.extend(token(entry, key, false)?);
            }
        }
        // What CLIPTokenizer's own arguments default to.
        for (i, content) in
            [0, 1, 2, 4]
                .into_iter()
                .zip([start_end[0], start_end[1], start_end[1], start_end[2]])
        {
            named[i].get_or_insert_with(|| AddedToken::from(content, true));
        }
        for slot in named.iter_mut().flatten() {
            if let Some((_, known)) = decoder
                .iter()
                .rev()
                .find(|(_, t)| t.content == slot.content)
            {
                *slot = known.clone();
            }
        }
        decoder.sort_by_key(|(id, _)| *id);
        Ok(Self {
            decoder,
            named,
            extra,
        })
    }

    /// The tokens to cut out of a text, in the order in which transformers adds them.
    pub(super) fn added(&self) -> Vec<AddedToken> {
        let mut tokens: Vec<_> = self.decoder.iter().map(|(_, t)| t.clone()).collect();
        let known: Vec<_> = tokens.iter().map(|t| t.content.clone()).collect();
        for token in self.named.iter().flatten().chain(&self.extra) {
            if !known.contains(&token.content) && !tokens.contains(token) {
                tokens.push(token.clone());
            }
        }
        for token in &mut tokens {
            token.special |= self
                .named
                .iter()
                .flatten()
                .any(|t| t.content == token.content);
        }
        tokens
    }

    pub(super) fn start(&self) -> &str {
        self.content(0)
    }

    pub(super) fn end(&self) -> &str {
        self.content(1)
    }

    pub(super) fn unknown(&self) -> &str {
        self.content(2)
    }

    pub(super) fn pad(&self) -> &str {
        self.content(4)
    }

    fn content(&self, i: usize) -> &str {
        self.named[i].as_ref().map_or("", |t| &t.content)
    }
}

/// A string, or an object with flags, `special` by default as given; `null` is none.
fn token(json: &Value, place: &str, special: bool) -> Result<Option<AddedToken>, Error> {
    let flag = |name: &str| json[name].as_bool();
    match json {
        Value::Null => Ok(None),
        Value::String(content) => Ok(Some(AddedToken::from(content.clone(), true))),
        Value::Object(_) => {
            let content = json["content"]
                .as_str()
                .ok_or_else(|| bad(format!("{place}: a token has no content")))?;
            let special = flag("special").unwrap_or(special);
            let token = AddedToken::from(content, special)
                .single_word(flag("single_word").unwrap_or(false))
                .lstrip(flag("lstrip").unwrap_or(false))
                .rstrip(flag("rstrip").unwrap_or(false));
            Ok(Some(match flag("normalized") {
                Some(normalized) => token.normalized(normalized),
                None => token,
            }))
        }
        _ => Err(bad(format!("{place}: {json} is not a token"))),
    }
}

fn bad(reason: String) -> Error {
    Error::Tokenizer(reason)
}
