//! Damaged files: an error or a checkpoint, never a panic.

use std::fs;
use std::path::Path;

use candle_core::{DType, Device};
use limekiln_diffusion::checkpoint::OpenOptions;
use limekiln_diffusion::model::Model;
use proptest::prelude::*;
use proptest::sample::Index;

use super::{copy, open};

#[derive(Clone, Debug)]
enum Damage {
    /// The file ends early.
    Cut(Index),
    /// Bits of one byte change.
    Flip(Index, u8),
    /// A stretch is overwritten.
    Overwrite(Index, Vec<u8>),
    /// The file is something else.
    Replace(Vec<u8>),
    /// A decimal digit in a text becomes another.
    Digit(Index, u8),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>, header: usize) {
        // Most of a weight file is weights: aim at what describes them.
        let place = |at: &Index, len: usize| at.index(len.min(header).max(1));
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Flip(at, bits) => {
                let at = place(at, bytes.len());
                bytes[at] ^= bits;
            }
            Self::Overwrite(at, with) => {
                let at = place(at, bytes.len());
                let end = (at + with.len()).min(bytes.len());
                bytes[at..end].copy_from_slice(&with[..end - at]);
            }
            Self::Replace(with) => bytes.clone_from(with),
            Self::Digit(at, digit) => {
                let digits: Vec<_> = (0..bytes.len().min(header))
                    .filter(|&i| bytes[i].is_ascii_digit())
                    .collect();
                if !digits.is_empty() {
                    bytes[digits[at.index(digits.len())]] = b'0' + digit % 10;
                }
            }
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        (any::<Index>(), prop::collection::vec(any::<u8>(), 1..32))
            .prop_map(|(at, with)| Damage::Overwrite(at, with)),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(Damage::Replace),
        (any::<Index>(), any::<u8>()).prop_map(|(at, digit)| Damage::Digit(at, digit)),
    ]
}

/// Opens and builds; the outcome does not matter.
fn survives(path: &Path, ema: bool) {
    let options = OpenOptions {
        ema,
        ..OpenOptions::default()
    };
    if let Ok(checkpoint) = open(path, &options) {
        drop(Model::load(checkpoint, &Device::Cpu, DType::F32));
    }
}

/// Damages one file of a copy, `cases` times; `header` bytes at its start (or, for a negative number, its end) are aimed at.
fn spoil(name: &str, file: &str, target: &str, cases: u32, from_end: bool, header: usize) {
    let folder = copy(name);
    let path = folder.path().join(file);
    let whole = fs::read(&path).unwrap();
    let config = ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(damage in damage())| {
        let mut bytes = whole.clone();
        if from_end {
            bytes.reverse();
        }
        damage.apply(&mut bytes, header);
        if from_end {
            bytes.reverse();
        }
        // Renamed into place, as the files that are mapped elsewhere must be.
        let fresh = folder.path().join("fresh");
        fs::write(&fresh, &bytes).unwrap();
        fs::rename(&fresh, &path).unwrap();
        survives(&folder.path().join(target), file.ends_with("ckpt"));
    });
}

#[test]
fn safetensors_survive() {
    spoil(
        "sd1",
        "unet/diffusion_pytorch_model.safetensors",
        "",
        200,
        false,
        20_000,
    );
}

#[test]
fn pickles_survive() {
    spoil(
        "sd1-bin",
        "vae/diffusion_pytorch_model.bin",
        "",
        200,
        false,
        8_000,
    );
}

#[test]
fn zip_directories_survive() {
    spoil(
        "sd1-bin",
        "text_encoder/pytorch_model.bin",
        "",
        150,
        true,
        4_000,
    );
}

#[test]
fn single_files_survive() {
    spoil("sd1-ldm", "model.ckpt", "model.ckpt", 100, false, 60_000);
}

#[test]
fn configurations_survive() {
    for file in [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
    ] {
        spoil("sd1", file, "", 100, false, usize::MAX);
    }
}

#[test]
fn tokenizers_survive() {
    for file in [
        "tokenizer/tokenizer.json",
        "tokenizer/tokenizer_config.json",
    ] {
        spoil("sd2", file, "", 60, false, usize::MAX);
    }
}

#[test]
fn shard_indices_survive() {
    spoil(
        "sd1-sharded",
        "unet/diffusion_pytorch_model.safetensors.index.json",
        "",
        60,
        false,
        usize::MAX,
    );
}
