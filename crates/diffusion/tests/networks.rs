//! The networks against diffusers and transformers: golden values that `tests/reference/generate.py` wrote.
#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

use std::collections::HashMap;
use std::path::PathBuf;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions};
use limekiln_diffusion::config::{TextConfig, UnetConfig, VaeConfig};
use limekiln_diffusion::control::{Control, Kind, Part, Site, Tap, Untouched};
use limekiln_diffusion::guidance::{Scales, combine};
use limekiln_diffusion::model::Model;
use limekiln_diffusion::text::TextEncoder;
use limekiln_diffusion::unet::{TextContext, Unet};
use limekiln_diffusion::vae::Vae;

const STYLES: [&str; 2] = ["sd1", "sd2"];
const CASES: [&str; 3] = ["square", "odd", "thin"];

fn reference(path: &str) -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/reference"
    ))
    .join(path)
}

struct Golden(HashMap<String, Tensor>);

impl Golden {
    fn read(name: &str) -> Self {
        let path = reference(&format!("golden/{name}.safetensors"));
        Self(candle_core::safetensors::load(path, &Device::Cpu).unwrap())
    }

    fn get(&self, name: &str) -> &Tensor {
        self.0
            .get(name)
            .unwrap_or_else(|| panic!("no golden {name}"))
    }

    fn timesteps(&self, name: &str) -> Vec<f64> {
        self.get(name)
            .to_vec1::<f32>()
            .unwrap()
            .into_iter()
            .map(f64::from)
            .collect()
    }
}

/// The part of a checkpoint in `folder`: its configuration as text, its weights.
fn part(style: &str, folder: &str, file: &str, dtype: DType) -> (String, VarBuilder<'static>) {
    let folder = reference(&format!("checkpoints/{style}/{folder}"));
    let tensors = candle_core::safetensors::load(folder.join(file), &Device::Cpu).unwrap();
    let config = std::fs::read_to_string(folder.join("config.json")).unwrap();
    (
        config,
        VarBuilder::from_tensors(tensors, dtype, &Device::Cpu),
    )
}

fn unet(style: &str, dtype: DType) -> Unet {
    let (config, vb) = part(style, "unet", "diffusion_pytorch_model.safetensors", dtype);
    Unet::new(vb, &UnetConfig::from_json(&config).unwrap()).unwrap()
}

fn vae(style: &str, dtype: DType) -> Vae {
    let (config, vb) = part(style, "vae", "diffusion_pytorch_model.safetensors", dtype);
    Vae::new(vb, &VaeConfig::from_json(&config).unwrap()).unwrap()
}

fn text(style: &str, dtype: DType) -> TextEncoder {
    let (config, vb) = part(style, "text_encoder", "model.safetensors", dtype);
    TextEncoder::new(vb, &TextConfig::from_json(&config).unwrap()).unwrap()
}

/// Largest difference relative to the largest value.
fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let largest = |x: Tensor| x.abs()?.flatten_all()?.max(0)?.to_scalar::<f32>();
    let a = a.to_dtype(DType::F32).unwrap();
    largest((&a - b).unwrap()).unwrap() / largest(b.clone()).unwrap()
}

#[track_caller]
fn close(a: &Tensor, b: &Tensor, tolerance: f32, what: &str) {
    let difference = difference(a, b);
    assert!(difference < tolerance, "{what}: {difference:.1e}");
}

#[test]
fn text_states() {
    for style in STYLES {
        let golden = Golden::read(style);
        let ids = golden.get("text.ids").to_dtype(DType::U32).unwrap();
        let states = text(style, DType::F32).encode(&ids).unwrap();
        close(&states, golden.get("text.states"), 1e-5, style);
    }
}

#[test]
fn unet_steps() {
    for style in STYLES {
        let golden = Golden::read(style);
        let unet = unet(style, DType::F32);
        let context = unet.text(golden.get("text.states")).unwrap();
        let timesteps = golden.timesteps("unet.timesteps");
        for case in CASES {
            let sample = golden.get(&format!("unet.{case}.sample"));
            let output = unet
                .forward(sample, &timesteps, &context, &mut Untouched)
                .unwrap();
            close(
                &output,
                golden.get(&format!("unet.{case}.output")),
                1e-5,
                case,
            );
        }
    }
}

#[test]
fn a_row_is_the_same_in_any_company() {
    for style in STYLES {
        let golden = Golden::read(style);
        let unet = unet(style, DType::F32);
        let states = golden.get("text.states");
        let timesteps = golden.timesteps("unet.timesteps");
        let sample = golden.get("unet.odd.sample");
        let rows: Vec<TextContext> = (0..3)
            .map(|i| unet.text(&states.narrow(0, i, 1).unwrap()).unwrap())
            .collect();
        let stacked = TextContext::cat(&rows.iter().collect::<Vec<_>>()).unwrap();
        assert_eq!(stacked.rows(), 3);
        let together = unet
            .forward(sample, &timesteps, &stacked, &mut Untouched)
            .unwrap();
        close(&together, golden.get("unet.odd.output"), 1e-5, style);
        for (i, row) in rows.iter().enumerate() {
            let sample = sample.narrow(0, i, 1).unwrap();
            let alone = unet
                .forward(&sample, &timesteps[i..=i], row, &mut Untouched)
                .unwrap();
            let bytes = |x: &Tensor| x.flatten_all().unwrap().to_vec1::<f32>().unwrap();
            assert_eq!(bytes(&alone), bytes(&together.narrow(0, i, 1).unwrap()));
        }
    }
}

#[test]
fn vae_both_ways() {
    for style in STYLES {
        let golden = Golden::read(style);
        let vae = vae(style, DType::F32);
        let mode = vae.encode_mode(golden.get("vae.pixels")).unwrap();
        close(&mode, golden.get("vae.mode"), 1e-5, style);
        let decoded = vae.decode(golden.get("vae.latents")).unwrap();
        close(&decoded, golden.get("vae.decoded"), 2e-5, style);
    }
}

#[test]
fn networks_show_signs_of_life_between_their_parts() {
    use std::cell::Cell;
    use std::rc::Rc;

    let beats = Rc::new(Cell::new(0));
    let heard = Rc::clone(&beats);
    limekiln_diffusion::pulse::listen(move || heard.set(heard.get() + 1));
    let golden = Golden::read(STYLES[0]);
    let vae = vae(STYLES[0], DType::F32);
    let levels = vae.config().block_out_channels.len();
    vae.encode_mode(golden.get("vae.pixels")).unwrap();
    let encoded = beats.replace(0);
    vae.decode(golden.get("vae.latents")).unwrap();
    assert!(
        encoded >= levels && beats.get() >= levels,
        "{encoded} {}",
        beats.get()
    );
}

#[test]
fn half_precision_stays_close() {
    for (dtype, tolerance) in [(DType::F16, 1e-2), (DType::BF16, 8e-2)] {
        for style in STYLES {
            let golden = Golden::read(style);
            let half = |name: &str| golden.get(name).to_dtype(dtype).unwrap();
            let ids = golden.get("text.ids").to_dtype(DType::U32).unwrap();
            let states = text(style, dtype).encode(&ids).unwrap();
            assert_eq!(states.dtype(), dtype);
            close(&states, golden.get("text.states"), tolerance, "text");
            let unet = unet(style, dtype);
            let context = unet.text(&half("text.states")).unwrap();
            let timesteps = golden.timesteps("unet.timesteps");
            let sample = half("unet.odd.sample");
            let output = unet
                .forward(&sample, &timesteps, &context, &mut Untouched)
                .unwrap();
            assert_eq!(output.dtype(), dtype);
            close(&output, golden.get("unet.odd.output"), tolerance, "unet");
            let vae = vae(style, dtype);
            let mode = vae.encode_mode(&half("vae.pixels")).unwrap();
            close(&mode, golden.get("vae.mode"), tolerance, "encode");
            let decoded = vae.decode(&half("vae.latents")).unwrap();
            close(&decoded, golden.get("vae.decoded"), tolerance, "decode");
        }
    }
}

/// Wants everything; biases every cross-attention layer as `taps.py` does.
#[derive(Default)]
struct Observer {
    seen: HashMap<String, Tensor>,
    bias: Option<Bias>,
}

struct Bias {
    mask: Vec<Vec<f32>>,
    tokens: Vec<f32>,
    rows: Vec<f32>,
    strength: f32,
}

fn place(site: &Site) -> String {
    let part = match site.part {
        Part::Down => "down",
        Part::Mid => "mid",
        Part::Up => "up",
    };
    format!("{part}.{}.{}", site.block, site.layer)
}

fn layer(site: &Site) -> String {
    format!("{}.{}.attn{}", place(site), site.depth, site.order + 1)
}

impl Control for Observer {
    fn bias(&mut self, site: &Site) -> Result<Option<Tensor>> {
        assert_eq!(site.kind, Kind::CrossAttention);
        let Some(bias) = &self.bias else {
            return Ok(None);
        };
        let (height, width) = (bias.mask.len(), bias.mask[0].len());
        let mut values = Vec::new();
        for row in &bias.rows {
            for y in 0..site.height {
                for x in 0..site.width {
                    let mask = bias.mask[y * height / site.height][x * width / site.width];
                    values.extend(
                        bias.tokens
                            .iter()
                            .map(|token| -bias.strength * row * mask * token),
                    );
                }
            }
        }
        let shape = (
            bias.rows.len(),
            1,
            site.height * site.width,
            bias.tokens.len(),
        );
        Tensor::from_vec(values, shape, &Device::Cpu).map(Some)
    }

    fn wants_probabilities(&self, _: &Site) -> bool {
        self.bias.is_none()
    }

    fn probabilities(&mut self, site: &Site, probabilities: &Tensor) -> Result<()> {
        self.seen.insert(
            format!("probabilities.{}", layer(site)),
            probabilities.clone(),
        );
        Ok(())
    }

    fn wants_features(&self, _: &Tap) -> bool {
        self.bias.is_none()
    }

    fn features(&mut self, tap: &Tap, features: &Tensor) -> Result<()> {
        let name = match tap {
            Tap::Attention(site) => format!("attention.{}", layer(site)),
            Tap::Transformer(site) => format!("transformer.{}", place(site)),
        };
        assert!(self.seen.insert(name, features.clone()).is_none());
        Ok(())
    }
}

#[test]
fn features_probabilities_and_biases() {
    for style in STYLES {
        let golden = Golden::read(&format!("{style}-taps"));
        let unet = unet(style, DType::F32);
        let context = unet.text(golden.get("states")).unwrap();
        let timesteps = golden.timesteps("timesteps");
        let sample = golden.get("sample");

        let mut observer = Observer::default();
        let output = unet
            .forward(sample, &timesteps, &context, &mut observer)
            .unwrap();
        close(&output, golden.get("output"), 1e-5, style);
        let expected: Vec<&String> = golden
            .0
            .keys()
            .filter(|name| name.split('.').count() > 3)
            .collect();
        assert_eq!(observer.seen.len(), expected.len());
        for name in expected {
            let seen = observer
                .seen
                .get(name)
                .unwrap_or_else(|| panic!("{name} was not seen"));
            close(seen, golden.get(name), 1e-5, name);
        }

        for case in ["hard", "soft"] {
            let get = |name: &str| golden.get(&format!("{case}.{name}"));
            let bias = Bias {
                mask: get("mask").to_vec2().unwrap(),
                tokens: get("tokens").to_vec1().unwrap(),
                rows: get("rows").to_vec1().unwrap(),
                strength: get("strength").to_vec1::<f32>().unwrap()[0],
            };
            let mut observer = Observer {
                bias: Some(bias),
                ..Observer::default()
            };
            let output = unet
                .forward(sample, &timesteps, &context, &mut observer)
                .unwrap();
            close(&output, get("output"), 1e-5, case);
            assert!(observer.seen.is_empty());
        }
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors() {
    let unet = unet("sd1", DType::F32);
    let golden = Golden::read("sd1");
    let context = unet.text(golden.get("text.states")).unwrap();
    let timesteps = golden.timesteps("unet.timesteps");
    let sample = golden.get("unet.square.sample");
    let forward = |sample: &Tensor, timesteps: &[f64], context: &TextContext| {
        unet.forward(sample, timesteps, context, &mut Untouched)
    };
    assert!(forward(sample, &timesteps, &context).is_ok());
    assert!(forward(&sample.narrow(1, 0, 4).unwrap(), &timesteps, &context).is_err());
    assert!(forward(sample, &timesteps[..2], &context).is_err());
    assert!(forward(&sample.narrow(0, 0, 2).unwrap(), &timesteps[..2], &context).is_err());
    let narrow = golden.get("text.states").narrow(2, 0, 8).unwrap();
    assert!(unet.text(&narrow).is_err());
    assert!(TextContext::cat(&[]).is_err());
    let other = unet_of_sd2_context();
    assert!(TextContext::cat(&[&context, &other]).is_err());
    assert!(forward(sample, &timesteps, &other).is_err());
}

fn unet_of_sd2_context() -> TextContext {
    unet("sd2", DType::F32)
        .text(Golden::read("sd2").get("text.states"))
        .unwrap()
}

#[test]
fn unsupported_configurations_name_the_key() {
    for (key, value) in [
        ("act_fn", "\"gelu\""),
        ("mid_block_type", "\"UNetMidBlock2D\""),
        ("mid_block_type", "null"),
        (
            "down_block_types",
            "[\"KDownBlock2D\", \"DownBlock2D\", \"DownBlock2D\", \"DownBlock2D\"]",
        ),
        ("class_embed_type", "\"timestep\""),
        ("addition_embed_type", "\"text_time\""),
        ("attention_head_dim", "7"),
        ("attention_head_dim", "[8, 8]"),
        ("norm_num_groups", "0"),
        ("norm_num_groups", "31"),
        ("layers_per_block", "0"),
        ("block_out_channels", "[]"),
        ("resnet_time_scale_shift", "\"scale_shift\""),
    ] {
        let error = UnetConfig::from_json(&format!("{{\"{key}\": {value}}}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(key), "{error}");
    }
    for (key, value) in [
        ("act_fn", "\"gelu\""),
        ("down_block_types", "[\"AttnDownEncoderBlock2D\"]"),
        ("up_block_types", "[]"),
        ("shift_factor", "0.1"),
        ("scaling_factor", "0"),
    ] {
        let error = VaeConfig::from_json(&format!("{{\"{key}\": {value}}}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(key), "{error}");
    }
    for (key, value) in [("hidden_act", "\"relu\""), ("num_attention_heads", "5")] {
        let error = TextConfig::from_json(&format!("{{\"{key}\": {value}}}"))
            .unwrap_err()
            .to_string();
        assert!(error.contains(key), "{error}");
    }
    assert!(UnetConfig::from_json("[1]").is_err());
    assert!(UnetConfig::from_json("{\"in_channels\": \"eight\"}").is_err());
    assert!(VaeConfig::from_json("not json").is_err());
    assert_eq!(UnetConfig::from_json("{}").unwrap().levels.len(), 4);
    assert_eq!(
        UnetConfig::from_json("{\"act_fn\": \"silu\", \"dropout\": 0.0}")
            .unwrap()
            .norm_eps,
        1e-5
    );
}

#[test]
fn a_model_from_its_folder() {
    for style in STYLES {
        let folder = reference(&format!("checkpoints/{style}"));
        let source = Checkpoint::parse_source(folder.to_str().unwrap());
        let checkpoint = Checkpoint::open(&source, &OpenOptions::default()).unwrap();
        let model = Model::load(checkpoint, &Device::Cpu, DType::F32).unwrap();
        // `PROMPTS` of networks.py.
        let prompts = [
            "make the sofa red",
            "",
            "Turn the LAMP green, please; what if it's   snowing in the mountains?",
        ];
        let golden = Golden::read(style);
        let states = model.text_states(&prompts).unwrap();
        close(&states, golden.get("text.states"), 1e-5, style);
        let empty = golden.get("text.states").narrow(0, 1, 1).unwrap();
        close(&model.empty_text().unwrap(), &empty, 1e-5, style);
        assert_eq!(model.latent_channels(), 4);
        assert_eq!(model.factor(), if style == "sd1" { 2 } else { 4 });
    }
}

#[test]
fn guidance_is_equation_2() {
    let tensor = |x: f32| Tensor::new(&[x], &Device::Cpu).unwrap();
    let (text, image, none) = (tensor(7.0), tensor(3.0), tensor(2.0));
    let eps = combine(
        &text,
        &image,
        &none,
        Scales {
            text: 7.5,
            image: 1.5,
        },
    )
    .unwrap();
    assert_eq!(eps.to_vec1::<f32>().unwrap(), [2.0 + 7.5 * 4.0 + 1.5]);
    let eps = combine(
        &text,
        &image,
        &none,
        Scales {
            text: 1.0,
            image: 1.0,
        },
    )
    .unwrap();
    assert_eq!(eps.to_vec1::<f32>().unwrap(), [7.0]);
    assert!(
        combine(
            &text,
            &image,
            &Tensor::new(&[1f32, 2.0], &Device::Cpu).unwrap(),
            Scales {
                text: 1.0,
                image: 1.0
            }
        )
        .is_err()
    );
}
