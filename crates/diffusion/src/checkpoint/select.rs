//! Which of a repository's files are needed: one set of weights per network, and no other.

use std::collections::BTreeSet;

use crate::Error;

/// A network's folder, its configuration, and how weight files are called there.
pub(super) struct Part {
    pub(super) folder: &'static str,
    stems: &'static [&'static str],
}

pub(super) const UNET: Part = Part {
    folder: "unet",
    stems: &["diffusion_pytorch_model"],
};
pub(super) const VAE: Part = Part {
    folder: "vae",
    stems: &["diffusion_pytorch_model"],
};
pub(super) const TEXT: Part = Part {
    folder: "text_encoder",
    stems: &["model", "pytorch_model"],
};

pub(super) const SCHEDULER: &str = "scheduler/scheduler_config.json";
/// Files of a tokenizer; those that exist are read.
pub(super) const TOKENIZER: [&str; 6] = [
    "tokenizer.json",
    "vocab.json",
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
];

/// A network's weight files.
pub(super) enum Weights {
    Single(String),
    Sharded { index: String, shards: Vec<String> },
}

impl Part {
    pub(super) fn config(&self) -> String {
        format!("{}/config.json", self.folder)
    }

    /// Plain safetensors, sharded safetensors, then pickles. Without a wish the plain files come first, and half
    /// precision stands in where there is nothing else.
    pub(super) fn weights(
        &self,
        names: &BTreeSet<String>,
        variant: Option<&str>,
    ) -> Option<Weights> {
        let variants = match variant {
            Some(variant) => [format!(".{variant}"), String::new()],
            None => [String::new(), ".fp16".to_owned()],
        };
        variants
            .iter()
            .find_map(|variant| self.of_variant(names, variant))
    }

    /// Whether there are weights of this very variant.
    fn has_variant(&self, names: &BTreeSet<String>, variant: &str) -> bool {
        self.of_variant(names, &format!(".{variant}")).is_some()
    }

    fn of_variant(&self, names: &BTreeSet<String>, variant: &str) -> Option<Weights> {
        let forms = ["safetensors", "bin"]
            .into_iter()
            .flat_map(|kind| self.stems.iter().map(move |stem| (kind, stem)));
        forms.into_iter().find_map(|(kind, stem)| {
            let stem = format!("{}/{stem}", self.folder);
            let single = format!("{stem}{variant}.{kind}");
            if names.contains(&single) {
                return Some(Weights::Single(single));
            }
            // diffusers has written both spellings.
            let spellings = [
                format!("{stem}.{kind}.index{variant}.json"),
                format!("{stem}{variant}.{kind}.index.json"),
            ];
            let index = spellings.into_iter().find(|name| names.contains(name))?;
            let shard = |name: &&String| {
                let number = name
                    .strip_prefix(&format!("{stem}{variant}-"))
                    .and_then(|rest| rest.strip_suffix(&format!(".{kind}")));
                number.is_some_and(numbered)
            };
            Some(Weights::Sharded {
                shards: names.iter().filter(shard).cloned().collect(),
                index,
            })
        })
    }
}

/// Whether it reads like `00001-of-00003`.
fn numbered(number: &str) -> bool {
    number.split_once("-of-").is_some_and(|(i, n)| {
        [i, n]
            .iter()
            .all(|x| !x.is_empty() && x.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// Whether `...-00001-of-00003.safetensors` names this many shards.
fn ends_with_count(shard: &str, count: usize) -> bool {
    let stem = shard.rsplit_once('.').map_or(shard, |(stem, _)| stem);
    stem.rsplit_once("-of-")
        .is_some_and(|(_, n)| n.parse() == Ok(count))
}

/// Fails when a variant is wished for that no network has.
pub(super) fn check_variant(
    names: &BTreeSet<String>,
    variant: Option<&str>,
    place: &str,
) -> Result<(), Error> {
    match variant {
        Some(wish)
            if ![&UNET, &VAE, &TEXT]
                .iter()
                .any(|part| part.has_variant(names, wish)) =>
        {
            Err(Error::Missing {
                path: format!("variant {wish} in {place}"),
                hint: format!("no weight file there is called *.{wish}.*"),
            })
        }
        _ => Ok(()),
    }
}

/// The files of a diffusers repository that an edit needs, out of all its `names`: configurations, tokenizer, and one set of
/// weights per network. What a mirror must hold, and what is downloaded.
///
/// # Errors
/// When the repository lacks a file; it is named.
pub fn needed_files<'a>(
    names: impl IntoIterator<Item = &'a str>,
    variant: Option<&str>,
) -> Result<Vec<String>, Error> {
    let names: BTreeSet<String> = names.into_iter().map(str::to_owned).collect();
    check_variant(&names, variant, "the repository")?;
    let missing = |path: String, hint: &str| Error::Missing {
        path,
        hint: hint.into(),
    };
    let mut needed = Vec::new();
    for part in [&UNET, &VAE, &TEXT] {
        let config = part.config();
        if !names.contains(&config) {
            return Err(missing(config, "the repository is not in diffusers layout"));
        }
        needed.push(config);
        match part.weights(&names, variant) {
            Some(Weights::Single(name)) => needed.push(name),
            Some(Weights::Sharded { index, shards }) => {
                if shards.is_empty()
                    || shards
                        .iter()
                        .any(|shard| !ends_with_count(shard, shards.len()))
                {
                    return Err(missing(
                        format!("a shard of {index}"),
                        "the repository is not whole",
                    ));
                }
                needed.push(index);
                needed.extend(shards);
            }
            None => {
                return Err(missing(
                    format!("{}/*.safetensors", part.folder),
                    "the repository has no weights there",
                ));
            }
        }
    }
    let tokenizer: Vec<_> = TOKENIZER
        .iter()
        .map(|file| format!("tokenizer/{file}"))
        .filter(|file| names.contains(file))
        .collect();
    if !["tokenizer/tokenizer.json", "tokenizer/vocab.json"]
        .iter()
        .any(|file| names.contains(*file))
    {
        return Err(missing(
            "tokenizer/vocab.json".into(),
            "the repository has no tokenizer",
        ));
    }
    needed.extend(tokenizer);
    if !names.contains(SCHEDULER) {
        return Err(missing(
            SCHEDULER.into(),
            "the repository has no scheduler configuration",
        ));
    }
    needed.push(SCHEDULER.into());
    needed.extend(names.get("model_index.json").cloned());
    Ok(needed)
}
