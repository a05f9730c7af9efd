//! What is refused, and in which words.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use limekiln_diffusion::checkpoint::{Hub, OpenOptions};
use limekiln_diffusion::model::Model;

use super::{copy, open, reference, refusal};

const UNET: &str = "unet/diffusion_pytorch_model.safetensors";

/// Options that find nothing outside the folder.
fn alone() -> OpenOptions {
    let hub = Hub {
        cache: "/nonexistent".into(),
        endpoint: "http://127.0.0.1:9".into(),
        offline: true,
        ..Hub::default()
    };
    OpenOptions {
        hub: Some(hub),
        ..OpenOptions::default()
    }
}

/// Changes the tensors of a safetensors file.
fn rewrite(path: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let mut tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn load_error(folder: &Path) -> String {
    let checkpoint = open(folder, &alone()).unwrap();
    let line = Model::load(checkpoint, &Device::Cpu, DType::F32)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(!line.contains('\n'), "{line}");
    line
}

#[test]
fn each_missing_piece_is_named() {
    for piece in [
        "unet/config.json",
        "vae/config.json",
        "text_encoder/config.json",
        "scheduler/scheduler_config.json",
        UNET,
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
    ] {
        let folder = copy("sd1");
        fs::remove_file(folder.path().join(piece)).unwrap();
        let line = refusal(folder.path(), &alone());
        let named = piece
            .replace("diffusion_pytorch_model.", "*.")
            .replace("/model.", "/*.");
        let named = if piece.ends_with("merges.txt") {
            "merges.txt"
        } else {
            &named
        };
        assert!(
            line.contains(named) && line.contains("missing"),
            "{piece}: {line}"
        );
    }
}

#[test]
fn whole_folders_may_be_missing_or_many() {
    let folder = copy("sd1");
    fs::remove_dir_all(folder.path().join("tokenizer")).unwrap();
    assert!(refusal(folder.path(), &alone()).contains("tokenizer/vocab.json is missing"));
    let folder = copy("sd1");
    for extra in ["safety_checker", "feature_extractor"] {
        fs::create_dir(folder.path().join(extra)).unwrap();
        fs::write(folder.path().join(extra).join("config.json"), "rubbish").unwrap();
    }
    open(folder.path(), &alone()).unwrap();
}

#[test]
fn what_is_no_checkpoint_says_so() {
    let nowhere = Path::new("/nonexistent/checkpoint");
    assert!(
        refusal(nowhere, &alone())
            .contains("/nonexistent/checkpoint is missing: there is no such file or folder")
    );
    let folder = tempfile::tempdir().unwrap();
    assert!(refusal(folder.path(), &alone()).contains("model_index.json is missing"));
    let file = folder.path().join("model.ckpt");
    let cases: [(&[u8], &str); 6] = [
        (b"", "not a whole safetensors file"),
        (
            b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.",
            "convert it with torch",
        ),
        (
            b"version https://git-lfs.github.com/spec/v1",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html>", "web page"),
        (b"PK\x03\x04 and then nothing", "not a whole torch file"),
        (&[0xff; 64], "not a whole safetensors file"),
    ];
    for (bytes, reason) in cases {
        fs::write(&file, bytes).unwrap();
        let line = refusal(&file, &alone());
        assert!(
            line.contains(reason) && line.contains("model.ckpt"),
            "{line}"
        );
    }
    // The same in place of any of a folder's files: all of them lie in the same repository.
    let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";
    for (name, text, reason) in [
        ("unet/config.json", pointer, "git lfs pull"),
        ("tokenizer/vocab.json", pointer, "git lfs pull"),
        (
            "scheduler/scheduler_config.json",
            "<!DOCTYPE html>",
            "web page",
        ),
        ("vae/config.json", "<html>", "web page"),
        (UNET, pointer, "git lfs pull"),
    ] {
        let folder = copy("sd1");
        fs::write(folder.path().join(name), text).unwrap();
        let line = refusal(folder.path(), &alone());
        assert!(line.contains(reason) && line.contains(name), "{line}");
    }
    let component = reference("checkpoints/sd1").join(UNET);
    assert!(refusal(&component, &alone()).contains("give the folder with model_index.json"));
}

#[test]
fn plain_stable_diffusion_is_refused() {
    let folder = copy("sd1");
    let config = folder.path().join("unet/config.json");
    let text = fs::read_to_string(&config)
        .unwrap()
        .replace("\"in_channels\": 8", "\"in_channels\": 4");
    fs::write(&config, text).unwrap();
    let line = refusal(folder.path(), &alone());
    assert!(
        line.contains("InstructPix2Pix needs 8") && line.contains("plain Stable Diffusion"),
        "{line}"
    );

    let folder = copy("sd2-ldm");
    let file = folder.path().join("model.safetensors");
    rewrite(&file, |tensors| {
        let weight = tensors
            .get_mut("model.diffusion_model.input_blocks.0.0.weight")
            .unwrap();
        *weight = weight.narrow(1, 0, 4).unwrap();
    });
    let line = refusal(&file, &alone());
    assert!(line.contains("InstructPix2Pix needs 8"), "{line}");
}

#[test]
fn tensors_are_named_with_shapes_and_file() {
    let weight = "mid_block.resnets.0.conv1.weight";
    let folder = copy("sd1");
    let file = folder.path().join(UNET);
    rewrite(&file, |tensors| drop(tensors.remove(weight)));
    let line = load_error(folder.path());
    assert!(
        line.contains(&format!("tensor {weight} is missing")) && line.contains(UNET),
        "{line}"
    );

    let folder = copy("sd1");
    let file = folder.path().join(UNET);
    rewrite(&file, |tensors| {
        drop(tensors.insert(
            weight.into(),
            Tensor::zeros((16, 16, 1, 1), DType::F32, &Device::Cpu).unwrap(),
        ))
    });
    let line = load_error(folder.path());
    for part in [weight, "[16, 16, 1, 1]", "[16, 16, 3, 3]", UNET] {
        assert!(line.contains(part), "{line}");
    }
}

/// Adds tensors that no network reads, and gives the warnings of the model.
fn with_spare(folder: &Path, file: &Path, names: &[&str]) -> Vec<String> {
    rewrite(file, |tensors| {
        for name in names {
            let tensor = Tensor::zeros(1, DType::F32, &Device::Cpu).unwrap();
            tensors.insert((*name).into(), tensor);
        }
    });
    let checkpoint = open(folder, &alone()).unwrap();
    Model::load(checkpoint, &Device::Cpu, DType::F32)
        .unwrap()
        .warnings
}

#[test]
fn tensors_too_many_are_named_and_left_out() {
    let folder = copy("sd1");
    let file = folder.path().join(UNET);
    let warnings = with_spare(folder.path(), &file, &["add_embedding.weight"]);
    let [line] = &warnings[..] else {
        panic!("{warnings:?}")
    };
    assert!(
        line.contains("unet has no place for add_embedding.weight") && line.contains(UNET),
        "{line}"
    );

    let folder = copy("sd2-ldm");
    let file = folder.path().join("model.safetensors");
    let spare = [
        "control_model.weight",
        "lora_te_text_model.alpha",
        "model.diffusion_model.label_emb.0.0.weight",
        "first_stage_model.quantize.embedding",
        "cond_stage_model.model.visual.proj",
    ];
    let warnings = with_spare(&file, &file, &spare);
    // The other one is that the file does not say what it predicts.
    let line = warnings
        .iter()
        .find(|line| line.contains("no place"))
        .unwrap();
    assert!(
        line.contains("control_model.weight") && line.contains("and 1 more"),
        "{line}"
    );
    let clean = open(
        &reference("checkpoints/sd2-ldm/model.safetensors"),
        &alone(),
    )
    .unwrap();
    assert!(
        !clean.warnings.iter().any(|line| line.contains("no place")),
        "{:?}",
        clean.warnings
    );
}

#[test]
fn eight_bits_are_named_before_anything_is_read() {
    let folder = copy("sd1");
    let file = folder.path().join(UNET);
    let mut tensors = candle_core::safetensors::load(&file, &Device::Cpu).unwrap();
    let name = "mid_block.resnets.0.conv1.weight";
    let eight = tensors[name].to_dtype(DType::F8E4M3).unwrap();
    tensors.insert(name.into(), eight);
    candle_core::safetensors::save(&tensors, &file).unwrap();
    let line = refusal(folder.path(), &alone());
    for part in [name, "fp8", "F8_E4M3", "fp16", UNET] {
        assert!(line.contains(part), "{line}");
    }
}

#[test]
fn parts_must_fit_each_other() {
    for (file, from, to, reason) in [
        (
            "unet/config.json",
            "\"cross_attention_dim\": 16",
            "\"cross_attention_dim\": 32",
            "text states 32 wide",
        ),
        (
            "text_encoder/config.json",
            "\"vocab_size\": 600",
            "\"vocab_size\": 500",
            "ids up to 599",
        ),
        (
            "text_encoder/config.json",
            "\"max_position_embeddings\": 77",
            "\"max_position_embeddings\": 64",
            "takes 64",
        ),
        (
            "vae/config.json",
            "\"latent_channels\": 4",
            "\"latent_channels\": 16",
            "needs 32",
        ),
    ] {
        let folder = copy("sd1");
        let path = folder.path().join(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file} has no {from}");
        fs::write(&path, text.replace(from, to)).unwrap();
        let line = refusal(folder.path(), &alone());
        assert!(line.contains(reason), "{line}");
    }
}

#[test]
fn wishes_that_cannot_be_met() {
    let variant = OpenOptions {
        variant: Some("fp16".into()),
        ..alone()
    };
    assert!(refusal(&reference("checkpoints/sd1"), &variant).contains("variant fp16"));
    open(&reference("checkpoints/sd1-fp16"), &variant).unwrap();
    let ema = OpenOptions {
        ema: true,
        ..alone()
    };
    assert!(
        refusal(&reference("checkpoints/sd2-ldm/model.safetensors"), &ema)
            .contains("no EMA weights")
    );
    let folder = copy("sd1-ldm");
    fs::remove_dir_all(folder.path().join("tokenizer")).unwrap();
    let line = refusal(&folder.path().join("model.ckpt"), &alone());
    assert!(
        line.contains("tokenizer/vocab.json is missing")
            && line.contains("openai/clip-vit-large-patch14"),
        "{line}"
    );
}

#[test]
fn a_lost_shard_is_named() {
    let folder = copy("sd1-sharded");
    let shard = "diffusion_pytorch_model-00002-of-00003.safetensors";
    fs::remove_file(folder.path().join("unet").join(shard)).unwrap();
    assert!(refusal(folder.path(), &alone()).contains(shard));
}

#[test]
fn a_damaged_configuration_names_its_file() {
    let folder = copy("sd1");
    fs::write(
        folder.path().join("vae/config.json"),
        "{\"latent_channels\": ",
    )
    .unwrap();
    assert!(refusal(folder.path(), &alone()).contains("vae/config.json"));
}
