//! The processor's kernels against candle's own operations, and what they promise about rows and threads.

use std::collections::HashMap;

use candle_core::{D, DType, Device, Result, Tensor};
use candle_nn::VarBuilder;

use super::backend::Attended;
use super::candle::{Candle, attention_in_slices};
use super::cpu::{Cpu, simd};
use super::{After, Attention, Backend, Before, Builder, Linear, Padding};
use crate::config::{UnetConfig, VaeConfig};
use crate::control::{Control, Site};
use crate::unet::Unet;
use crate::vae::Vae;

/// Runs `f` on the processor's kernels, then on candle's operations.
fn both<T>(f: impl Fn(&'static dyn Backend) -> Result<T>) -> Result<(T, T)> {
    Ok((f(&Cpu)?, f(&Candle)?))
}

/// Values in [-1, 1) that depend on nothing but the seed.
pub(super) fn noise(seed: u32, shape: &[usize]) -> Tensor {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let values: Vec<f32> = (0..shape.iter().product())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect();
    Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
}

/// Largest difference relative to the largest value.
pub(super) fn difference(a: &Tensor, b: &Tensor) -> f32 {
    assert_eq!(a.dims(), b.dims());
    let largest = |x: &Tensor| {
        let x = x.to_dtype(DType::F32).unwrap().flatten_all().unwrap();
        x.abs().unwrap().max(0).unwrap().to_scalar::<f32>().unwrap()
    };
    let a = a.to_dtype(DType::F32).unwrap();
    let b = b.to_dtype(DType::F32).unwrap();
    largest(&(&a - &b).unwrap()) / largest(&b)
}

/// The bits of a tensor.
pub(super) fn bits(x: &Tensor) -> Vec<u32> {
    let values = x
        .contiguous()
        .unwrap()
        .flatten_all()
        .unwrap()
        .to_vec1::<f32>()
        .unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

pub(super) fn weights(shapes: &[(&str, &[usize])]) -> HashMap<String, Tensor> {
    let numbered = shapes.iter().enumerate();
    numbered
        .map(|(i, (name, shape))| (name.to_string(), noise(100 + i as u32, shape)))
        .collect()
}

pub(super) fn builder(tensors: &HashMap<String, Tensor>, dtype: DType) -> VarBuilder<'static> {
    VarBuilder::from_tensors(tensors.clone(), dtype, &Device::Cpu)
}

pub(super) fn conv_weights(
    inputs: usize,
    outputs: usize,
    kernel: usize,
) -> HashMap<String, Tensor> {
    weights(&[
        ("weight", &[outputs, inputs, kernel, kernel]),
        ("bias", &[outputs]),
        ("norm.weight", &[inputs]),
        ("norm.bias", &[inputs]),
    ])
}

#[test]
fn elementary_functions() {
    for i in -2000..=2000 {
        let x = i as f32 * 0.043;
        let exact = f64::from(x).exp();
        assert!(
            (f64::from(simd::exp(x)) - exact).abs() <= 2.5e-7 * exact + 1e-37,
            "exp {x}"
        );
        let exact = f64::from(x) / (1.0 + (-f64::from(x)).exp());
        assert!(
            (f64::from(simd::silu(x)) - exact).abs() <= 4e-7 * exact.abs() + 1e-36,
            "silu {x}"
        );
    }
    assert_eq!(simd::exp(0.0), 1.0);
    assert_eq!(simd::exp(-1e4), 0.0);
    assert_eq!(simd::exp(f32::NEG_INFINITY), 0.0);
    assert!(simd::exp(f32::NAN).is_nan() && simd::gelu(f32::NAN).is_nan());
    // erf's own series, good to 1e-13 up to 3.
    for i in -300..=300 {
        let x = f64::from(i) * 0.01;
        let (mut term, mut total) = (x, x);
        for n in 1..80 {
            term *= -x * x / f64::from(n);
            total += term / f64::from(2 * n + 1);
        }
        let exact = total * std::f64::consts::FRAC_2_SQRT_PI;
        assert!(
            (f64::from(simd::erf(x as f32)) - exact).abs() < 3e-7,
            "erf {x}"
        );
    }
    assert!((simd::erf(6.0) - 1.0).abs() < 1e-6 && (simd::erf(-6.0) + 1.0).abs() < 1e-6);
}

#[test]
fn convolutions() -> Result<()> {
    // Inputs, outputs, kernel, stride, padding, height, width; the last ones need several pieces.
    let cases = [
        (3, 5, 3, 1, Padding::All(1), 7, 9),
        (8, 4, 3, 2, Padding::All(1), 9, 6),
        (8, 4, 3, 2, Padding::BottomRight, 9, 6),
        (8, 4, 3, 2, Padding::BottomRight, 2, 2),
        (6, 7, 1, 1, Padding::All(0), 5, 4),
        (4, 4, 3, 1, Padding::All(1), 1, 1),
        (40, 36, 3, 1, Padding::All(1), 67, 70),
        (40, 8, 3, 2, Padding::BottomRight, 67, 130),
    ];
    for case @ (inputs, outputs, kernel, stride, padding, height, width) in cases {
        let tensors = conv_weights(inputs, outputs, kernel);
        let x = noise(1, &[3, inputs, height, width]);
        let (plain, candle) = both(|backend| {
            Builder::on(builder(&tensors, DType::F32), backend)
                .conv_strided(inputs, outputs, kernel, stride, padding)?
                .forward(&x)
        })?;
        assert!(difference(&plain, &candle) < 3e-6, "{case:?}");
    }
    Ok(())
}

#[test]
fn convolutions_with_company() -> Result<()> {
    let tensors = conv_weights(8, 6, 3);
    let vb = builder(&tensors, DType::F32);
    let x = noise(1, &[3, 8, 11, 5]);
    let shift = noise(2, &[3, 6]);
    let residual = noise(3, &[3, 6, 11, 5]);
    let (normed, candle) = both(|backend| {
        let build = Builder::on(vb.clone(), backend);
        let norm = build.pp("norm").group_norm(4, 8, 1e-5)?;
        let after = After {
            shift: Some(&shift),
            residual: Some(&residual),
        };
        build
            .conv(8, 6, 3)?
            .forward_with(&x, Before::NormSilu(&norm), after)
    })?;
    assert!(difference(&normed, &candle) < 3e-6);
    for (height, width) in [(22, 10), (21, 9)] {
        let (resized, candle) = both(|backend| {
            Builder::on(vb.clone(), backend)
                .conv(8, 6, 3)?
                .forward_with(&x, Before::Resize(height, width), After::default())
        })?;
        assert_eq!(resized.dims(), [3, 6, height, width]);
        assert!(difference(&resized, &candle) < 3e-6);
    }
    Ok(())
}

#[test]
fn too_small_for_the_kernel() {
    let tensors = conv_weights(2, 2, 3);
    let conv = Builder::new(builder(&tensors, DType::F32))
        .conv_strided(2, 2, 3, 2, Padding::BottomRight)
        .unwrap();
    assert!(conv.forward(&noise(1, &[1, 2, 1, 1])).is_err());
}

#[test]
fn linear_layers() -> Result<()> {
    let tensors = weights(&[("weight", &[12, 5]), ("bias", &[12])]);
    let vb = builder(&tensors, DType::F32);
    // More lines than a piece has.
    let x = noise(1, &[2, 301, 5]);
    let residual = noise(2, &[2, 301, 12]);
    for run in [
        |linear: &dyn Linear, x: &Tensor, _: &Tensor| linear.forward(x),
        |linear: &dyn Linear, x: &Tensor, residual: &Tensor| linear.forward_add(x, residual),
        |linear: &dyn Linear, x: &Tensor, _: &Tensor| linear.forward_gated(x),
    ] {
        for bias in [true, false] {
            let (native, candle) = both(|backend| {
                let build = Builder::on(vb.clone(), backend);
                let linear = if bias {
                    build.linear(5, 12)?
                } else {
                    build.linear_no_bias(5, 12)?
                };
                run(&*linear, &x, &residual)
            })?;
            assert!(difference(&native, &candle) < 2e-6);
        }
    }
    Ok(())
}

#[test]
fn normalisations() -> Result<()> {
    let tensors = weights(&[("weight", &[12]), ("bias", &[12])]);
    let vb = builder(&tensors, DType::F32);
    // More pixels than a piece has. Candle sums in f32 one by one, so close to zero and not too close.
    let x = noise(1, &[2, 12, 29, 31]);
    let build = Builder::new(vb);
    let norm = build.group_norm(3, 12, 1e-5)?;
    let (native, candle) = both(|backend| backend.group_norm(&norm, &x))?;
    let group = difference(&native, &candle);
    let x = x.transpose(1, 3)?.flatten(1, 2)?;
    let norm = build.layer_norm(12, 1e-5)?;
    let (native, candle) = both(|backend| backend.layer_norm(&norm, &x))?;
    let layer = difference(&native, &candle);
    assert!(group < 1e-5 && layer < 1e-5, "{group:.1e} {layer:.1e}");
    Ok(())
}

#[test]
fn group_norm_is_exact_far_from_zero() -> Result<()> {
    let tensors = HashMap::from([
        (
            "weight".to_string(),
            Tensor::ones(2, DType::F32, &Device::Cpu)?,
        ),
        (
            "bias".to_string(),
            Tensor::zeros(2, DType::F32, &Device::Cpu)?,
        ),
    ]);
    let norm = Builder::new(builder(&tensors, DType::F32)).group_norm(1, 2, 0.0)?;
    // Half of the values 4095, half 4097: mean 4096, deviation 1.
    let x = Tensor::new(&[[[[4095f32, 4097.0]], [[4097.0, 4095.0]]]], &Device::Cpu)?;
    assert_eq!(
        Cpu.group_norm(&norm, &x)?
            .contiguous()?
            .flatten_all()?
            .to_vec1::<f32>()?,
        [-1.0, 1.0, 1.0, -1.0]
    );
    Ok(())
}

fn same(a: &Attended, b: &Attended) -> bool {
    difference(&a.values, &b.values) < 2e-6
        && match (&a.probabilities, &b.probabilities) {
            (Some(a), Some(b)) => difference(a, b) < 2e-6,
            (a, b) => a.is_none() && b.is_none(),
        }
}

#[test]
fn attention() -> Result<()> {
    let (rows, heads, width) = (2, 3, 5);
    for (queries, keys) in [(7, 7), (300, 77), (33, 5000)] {
        // Cut out of a joint projection, as the networks have them.
        let joint = (noise(1, &[rows, queries, 3 * heads * width]) * 2.0)?;
        let q = joint.narrow(2, heads * width, heads * width)?;
        let joint = (noise(2, &[rows, keys, 2 * heads * width]) * 2.0)?;
        let (k, v) = (
            joint.narrow(2, 0, heads * width)?,
            joint.narrow(2, heads * width, heads * width)?,
        );
        let biases = [
            None,
            Some(noise(3, &[rows, 1, queries, keys])),
            Some(noise(4, &[1, heads, 1, keys])),
            Some(noise(5, &[rows, heads, queries, 1])),
            Some(
                (noise(6, &[rows, 1, queries, keys])
                    .ge(0.0)?
                    .to_dtype(DType::F32)?
                    * -1e4)?,
            ),
        ];
        for bias in &biases {
            for probabilities in [false, true] {
                let how = Attention {
                    heads,
                    bias: bias.as_ref(),
                    probabilities,
                };
                let (native, candle) = both(|backend| backend.attend(&q, &k, &v, how))?;
                assert!(same(&native, &candle), "{queries} {keys} {bias:?}");
            }
        }
    }
    Ok(())
}

#[test]
fn attention_in_slices_is_attention() -> Result<()> {
    let q = noise(1, &[2, 50, 8]);
    let bias = noise(2, &[2, 2, 50, 50]);
    let how = Attention {
        heads: 2,
        bias: Some(&bias),
        probabilities: true,
    };
    let whole = attention_in_slices(&q, &q, &q, how, usize::MAX)?;
    let sliced = attention_in_slices(&q, &q, &q, how, 7 * 200)?;
    assert!(same(&whole, &sliced));
    let sums = whole.probabilities.unwrap().sum(D::Minus1)?;
    assert!(difference(&sums, &sums.ones_like()?) < 1e-6);
    Ok(())
}

/// A residual block's worth of layers, on the processor's kernels.
fn chain(x: &Tensor, tensors: &HashMap<String, Tensor>, dtype: DType) -> Result<Tensor> {
    chain_on(&Cpu, x, tensors, dtype)
}

/// The same on any backend.
pub(super) fn chain_on(
    backend: &'static dyn Backend,
    x: &Tensor,
    tensors: &HashMap<String, Tensor>,
    dtype: DType,
) -> Result<Tensor> {
    let build = Builder::on(builder(tensors, dtype), backend);
    let norm = build.pp("norm").group_norm(4, 16, 1e-5)?;
    let after = After {
        shift: None,
        residual: Some(x),
    };
    let x = build
        .conv(16, 16, 3)?
        .forward_with(x, Before::NormSilu(&norm), after)?;
    let x = backend.tokens(&backend.group_norm(&norm, &x)?)?;
    let x = backend.attend(&x, &x, &x, Attention::plain(2))?.values;
    let x = backend.layer_norm(&build.pp("norm").layer_norm(16, 1e-5)?, &x)?;
    build.pp("linear").linear(16, 16)?.forward_gated(&x)
}

pub(super) fn chain_weights() -> HashMap<String, Tensor> {
    let mut tensors = conv_weights(16, 16, 3);
    tensors.extend(weights(&[
        ("linear.weight", &[16, 16]),
        ("linear.bias", &[16]),
    ]));
    tensors
}

#[test]
fn rows_and_threads_change_no_bit() -> Result<()> {
    let tensors = chain_weights();
    let x = noise(1, &[3, 16, 21, 18]);
    let together = chain(&x, &tensors, DType::F32)?;
    for row in 0..3 {
        let alone = chain(&x.narrow(0, row, 1)?, &tensors, DType::F32)?;
        assert_eq!(bits(&alone), bits(&together.narrow(0, row, 1)?));
    }
    for threads in [1, 3] {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        let again = pool.install(|| chain(&x, &tensors, DType::F32))?;
        assert_eq!(bits(&again), bits(&together), "{threads} threads");
    }
    Ok(())
}

#[test]
fn half_precision_stays_close() -> Result<()> {
    let tensors = chain_weights();
    let x = noise(1, &[1, 16, 9, 8]);
    let exact = chain(&x, &tensors, DType::F32)?;
    for (dtype, tolerance) in [(DType::F16, 5e-3), (DType::BF16, 4e-2)] {
        let half = chain(&x.to_dtype(dtype)?, &tensors, dtype)?;
        assert_eq!(half.dtype(), dtype);
        let difference = difference(&half, &exact);
        assert!(difference < tolerance, "{dtype:?} {difference}");
        // Stored in half: not the f32 result.
        assert!(difference > 1e-5);
    }
    Ok(())
}

/// What other devices run: every layer by candle's operations, in whole networks.
#[test]
fn networks_by_candle_alone() {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/reference/checkpoints"
    );
    for style in ["sd1", "sd2"] {
        let part = |name: &str| {
            let folder = format!("{folder}/{style}/{name}");
            let file = format!("{folder}/diffusion_pytorch_model.safetensors");
            let tensors = candle_core::safetensors::load(file, &Device::Cpu).unwrap();
            let config = std::fs::read_to_string(format!("{folder}/config.json")).unwrap();
            (config, builder(&tensors, DType::F32))
        };
        let (config, vb) = part("unet");
        let config = UnetConfig::from_json(&config).unwrap();
        let (sample, states) = (
            noise(1, &[2, 8, 9, 6]),
            noise(2, &[2, 7, config.levels[0].context]),
        );
        let bias = noise(3, &[2, 1, 1, 7]);
        let run = |backend| {
            let unet = Unet::build(&Builder::on(vb.clone(), backend), &config).unwrap();
            let context = unet.text(&states).unwrap();
            unet.forward(&sample, &[999.0, 1.5], &context, &mut Biased(bias.clone()))
                .unwrap()
        };
        let (native, candle) = both(|backend| Ok(run(backend))).unwrap();
        assert!(difference(&native, &candle) < 1e-5, "{style} unet");

        let (config, vb) = part("vae");
        let config = VaeConfig::from_json(&config).unwrap();
        let pixels = noise(4, &[1, 3, 8 * config.factor(), 6 * config.factor()]);
        let run = |backend| {
            let vae = Vae::build(&Builder::on(vb.clone(), backend), &config).unwrap();
            let mode = vae.encode_mode(&pixels).unwrap();
            (vae.decode(&mode).unwrap(), mode)
        };
        let (native, candle) = both(|backend| Ok(run(backend))).unwrap();
        assert!(difference(&native.0, &candle.0) < 2e-5, "{style} decoder");
        assert!(difference(&native.1, &candle.1) < 1e-5, "{style} encoder");
    }
}

struct Biased(Tensor);

impl Control for Biased {
    fn bias(&mut self, _: &Site) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}
