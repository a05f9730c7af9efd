//! The same weights, however they are stored.

use std::collections::{BTreeMap, HashMap};
use std::fs;

use candle_core::{DType, Device, Tensor};
use limekiln_diffusion::checkpoint::{Checkpoint, Component, EmbeddedFiles, OpenOptions, Source};
use limekiln_diffusion::control::Untouched;
use limekiln_diffusion::model::Model;
use limekiln_diffusion::scheduler;

use super::{copy, copy_into, open, reference};

/// Every tensor of a component, as bits.
fn bits<C>(component: &Component<C>) -> BTreeMap<String, (Vec<usize>, Vec<u32>)> {
    let vb = component.var_builder(DType::F32, &Device::Cpu);
    let bits = |name: &str| {
        let tensor = vb.get_unchecked(name).unwrap();
        let values = tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        (
            tensor.dims().to_vec(),
            values.into_iter().map(f32::to_bits).collect(),
        )
    };
    component
        .names()
        .map(|name| (name.to_owned(), bits(name)))
        .collect()
}

#[test]
fn every_layout_holds_the_same_tensors() {
    let whole = open(&reference("checkpoints/sd1"), &OpenOptions::default()).unwrap();
    for layout in [
        "sd1-fp16",
        "sd1-sharded",
        "sd1-bin",
        "sd1-legacy-vae",
        "sd1-legacy-vae-conv",
    ] {
        let other = open(
            &reference("checkpoints").join(layout),
            &OpenOptions::default(),
        )
        .unwrap();
        assert_eq!(other.name, layout);
        assert!(bits(&whole.unet) == bits(&other.unet), "{layout}: unet");
        assert!(bits(&whole.vae) == bits(&other.vae), "{layout}: vae");
        assert!(bits(&whole.text) == bits(&other.text), "{layout}: text");
        Model::load(other, &Device::Cpu, DType::F32).unwrap();
    }
}

#[test]
fn sd2_opens_with_its_own_prefix() {
    let checkpoint = open(&reference("checkpoints/sd2"), &OpenOptions::default()).unwrap();
    assert!(
        checkpoint
            .text
            .names()
            .all(|name| name.starts_with("text_model."))
    );
    Model::load(checkpoint, &Device::Cpu, DType::F32).unwrap();
}

/// Text states, U-Net and VAE of a single file against what diffusers computed from the pipeline it was written from.
fn equals_diffusers(name: &str, file: &str, ema: bool) {
    let options = OpenOptions {
        ema,
        ..OpenOptions::default()
    };
    let checkpoint = open(&reference("checkpoints").join(name).join(file), &options).unwrap();
    let model = Model::load(checkpoint, &Device::Cpu, DType::F32).unwrap();
    let golden = candle_core::safetensors::load(
        reference("golden").join(format!("{name}.safetensors")),
        &Device::Cpu,
    )
    .unwrap();
    let near = |found: &Tensor, key: &str| {
        let wanted = &golden[key];
        let scale = wanted
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        let off = (found - wanted)
            .unwrap()
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        // The averages were rounded to f16 when they were stored, and not in the golden values.
        let tolerance = if key.ends_with("ema") { 1e-3 } else { 1e-5 };
        assert!(off <= tolerance * scale, "{name} {key}: {off} of {scale}");
    };
    let states = model
        .text
        .encode(&golden["text.ids"].to_dtype(DType::U32).unwrap())
        .unwrap();
    near(&states, "text.states");
    let context = model.unet.text(&states).unwrap();
    let timesteps: Vec<f64> = golden["unet.timesteps"]
        .to_dtype(DType::F64)
        .unwrap()
        .to_vec1()
        .unwrap();
    let output = model
        .unet
        .forward(
            &golden["unet.square.sample"],
            &timesteps,
            &context,
            &mut Untouched,
        )
        .unwrap();
    near(
        &output,
        if ema {
            "unet.square.ema"
        } else {
            "unet.square.output"
        },
    );
    near(
        &model.vae.encode_mode(&golden["vae.pixels"]).unwrap(),
        "vae.mode",
    );
    near(
        &model.vae.decode(&golden["vae.latents"]).unwrap(),
        "vae.decoded",
    );
}

#[test]
fn lightning_file_equals_diffusers() {
    equals_diffusers("sd1-ldm", "model.ckpt", false);
}

/// Programs that merge checkpoints leave `text_model.` out.
#[test]
fn a_text_encoder_without_its_prefix_is_the_same() {
    let folder = copy("sd1-ldm");
    let (whole, bare) = (
        folder.path().join("model.ckpt"),
        folder.path().join("bare.safetensors"),
    );
    let read = candle_core::pickle::read_all_with_key(&whole, Some("state_dict")).unwrap();
    let named = read.into_iter().map(|(name, tensor)| {
        (
            name.replace("transformer.text_model.", "transformer."),
            tensor,
        )
    });
    let tensors: HashMap<String, Tensor> = named.collect();
    assert!(tensors.contains_key("cond_stage_model.transformer.final_layer_norm.weight"));
    candle_core::safetensors::save(&tensors, &bare).unwrap();
    let (whole, bare) = [whole, bare]
        .map(|path| open(&path, &OpenOptions::default()).unwrap())
        .into();
    assert_eq!(bits(&whole.text), bits(&bare.text));
    assert_eq!(bare.warnings, Vec::<String>::new());
    Model::load(bare, &Device::Cpu, DType::F32).unwrap();
}

#[test]
fn averaged_weights_equal_diffusers() {
    equals_diffusers("sd1-ldm", "model.ckpt", true);
}

#[test]
fn open_clip_file_equals_diffusers() {
    equals_diffusers("sd2-ldm", "model.safetensors", false);
}

#[test]
fn a_folder_with_one_single_file_is_that_file() {
    let checkpoint = open(&reference("checkpoints/sd1-ldm"), &OpenOptions::default()).unwrap();
    assert_eq!(checkpoint.name, "model");
    let instruct = open(&reference("checkpoints/sd1"), &OpenOptions::default()).unwrap();
    let [implied, own] =
        [checkpoint, instruct].map(|c| scheduler::build(&c.scheduler, None, 20).unwrap());
    assert_eq!(implied.timesteps(), own.timesteps());
    assert_eq!(implied.init_noise_sigma(), own.init_noise_sigma());
}

#[test]
fn hive_by_its_name() {
    let folder = copy("sd1-ldm");
    for (name, suffix) in [
        ("hive_rw.ckpt", None),
        (
            "hive_rw_condition.ckpt",
            Some(", image quality is five out of five"),
        ),
    ] {
        let file = folder.path().join(name);
        fs::copy(folder.path().join("model.ckpt"), &file).unwrap();
        let checkpoint = open(&file, &OpenOptions::default()).unwrap();
        assert_eq!(checkpoint.instruction_suffix.as_deref(), suffix);
        assert_eq!(format!("{}.ckpt", checkpoint.name), name);
    }
}

#[test]
fn a_companion_folder_overrules_what_shapes_imply() {
    let folder = copy("sd1-ldm");
    let companion = tempfile::tempdir().unwrap();
    copy_into(&reference("checkpoints/sd1-ldm"), companion.path());
    fs::remove_file(companion.path().join("model.ckpt")).unwrap();
    fs::create_dir(companion.path().join("scheduler")).unwrap();
    fs::copy(
        reference("checkpoints/sd1-bin/scheduler/scheduler_config.json"),
        companion.path().join("scheduler/scheduler_config.json"),
    )
    .unwrap();
    fs::create_dir(companion.path().join("vae")).unwrap();
    fs::copy(
        reference("checkpoints/sd1/vae/config.json"),
        companion.path().join("vae/config.json"),
    )
    .unwrap();
    let options = OpenOptions {
        companion: Some(companion.path().into()),
        ..OpenOptions::default()
    };
    let checkpoint = open(&folder.path().join("model.ckpt"), &options).unwrap();
    let pndm = open(&reference("checkpoints/sd1-bin"), &OpenOptions::default())
        .unwrap()
        .scheduler;
    assert_eq!(checkpoint.scheduler, pndm);
    assert_eq!(checkpoint.vae.config.block_out_channels, [8, 16]);
    // ... and then the weights do not fit it.
    let error = Model::load(checkpoint, &Device::Cpu, DType::F32)
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("first_stage_model.") && error.contains("model.ckpt"),
        "{error}"
    );
}

#[test]
fn embedded_files_open_like_a_folder() {
    let root = reference("checkpoints/sd1");
    let mut files: Vec<(&'static str, &'static [u8])> = Vec::new();
    for part in ["unet", "vae", "text_encoder", "tokenizer", "scheduler"] {
        for entry in root.join(part).read_dir().unwrap() {
            let path = entry.unwrap().path();
            let name = format!("{part}/{}", path.file_name().unwrap().to_str().unwrap());
            files.push((name.leak(), fs::read(&path).unwrap().leak()));
        }
    }
    let files: EmbeddedFiles = files.leak();
    let embedded = Checkpoint::open(&Source::Embedded(files), &OpenOptions::default()).unwrap();
    let disk = open(&root, &OpenOptions::default()).unwrap();
    assert!(bits(&embedded.unet) == bits(&disk.unet));
    assert_eq!(embedded.fingerprint(), disk.fingerprint());
}

#[test]
fn a_fingerprint_follows_the_bytes_and_nothing_else() {
    let print = |path: &std::path::Path, ema: bool| {
        let options = OpenOptions {
            ema,
            ..OpenOptions::default()
        };
        open(path, &options).unwrap().fingerprint().to_owned()
    };
    let original = print(&reference("checkpoints/sd1"), false);
    let moved = copy("sd1");
    assert_eq!(print(moved.path(), false), original);
    let weights = moved.path().join("vae/diffusion_pytorch_model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    assert_ne!(print(moved.path(), false), original);
    let single = reference("checkpoints/sd1-ldm/model.ckpt");
    assert_ne!(print(&single, false), print(&single, true));
}

#[test]
fn sources_are_told_apart() {
    assert_eq!(
        Checkpoint::parse_source("hf:a/b"),
        Source::Hub { repo: "a/b".into() }
    );
    assert_eq!(
        Checkpoint::parse_source("a/b.ckpt"),
        Source::Path("a/b.ckpt".into())
    );
    assert_eq!(Checkpoint::parse_source("hf:a/b").to_string(), "hf:a/b");
}
