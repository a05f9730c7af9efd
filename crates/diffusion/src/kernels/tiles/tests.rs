//! Every path against the plain one, to the bit where it promises that, and every layer against candle's operations.

use candle_core::{DType, Result, Tensor};

use super::block::{Block, Left, SIDE, STEP, TILE};
use super::line::{Line, narrow, wide};
use super::{Path, Tiles};
use crate::kernels::candle::Candle;
use crate::kernels::tests::{
    bits, builder, chain_on, chain_weights, conv_weights, difference, noise, weights,
};
use crate::kernels::{After, Attention, Backend, Before, Builder, Padding};

/// The paths that this processor has; the plain one always.
fn paths() -> Vec<&'static Tiles> {
    let all: [&'static Tiles; 3] = [&Tiles(Path::Plain), &Tiles(Path::Amx), &Tiles(Path::Avx512)];
    let (found, lacking): (Vec<&Tiles>, Vec<&Tiles>) =
        all.into_iter().partition(|tiles| tiles.0.found());
    for tiles in lacking {
        eprintln!("skipped: this processor has no {}", tiles.0.name());
    }
    found
}

fn lines(seed: u32, count: usize) -> Vec<Line> {
    let values = noise(seed, &[count, 32]).to_vec2::<f32>().unwrap();
    let line = |values: &Vec<f32>| Line(std::array::from_fn(|i| narrow(values[i])));
    values.iter().map(line).collect()
}

#[test]
fn rounding_is_to_nearest_even() {
    for i in -70_000i32..70_000 {
        let x = f32::from_bits((i as u32).wrapping_mul(60_013));
        let (ours, theirs) = (narrow(x), half::bf16::from_f32(x));
        assert!(
            ours.to_bits() == theirs.to_bits() || (x.is_nan() && wide(ours).is_nan()),
            "{x}"
        );
    }
}

/// AMX to the bit; AVX-512-BF16, which adds in another order, closely. Subnormal numbers and large ones among the inputs.
#[test]
fn blocks_by_every_path() {
    let mut left = lines(1, 200);
    for (i, line) in left.iter_mut().enumerate() {
        line.0[i % 32] = narrow([1e-39, 3e18, -2e-20][i % 3]);
    }
    let panel = lines(2, 2 * 3 * STEP);
    for rows in [[16, 16], [16, 7], [1, 0], [9, 0], [16, 1]] {
        let left = Left {
            lines: &left,
            starts: [5, 30],
            rows,
            taps: &[0, 17],
            step: 64,
            steps: 2,
        };
        let of = |path: Path| {
            let mut block = Block::ZERO;
            path.open().product(&left, &panel, &mut block);
            let some = |half: usize| block.0[half * TILE * SIDE..][..rows[half] * SIDE].to_vec();
            [some(0), some(1)].concat()
        };
        let plain = of(Path::Plain);
        let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        if Path::Amx.found() {
            assert_eq!(bits(&of(Path::Amx)), bits(&plain), "{rows:?}");
        }
        let largest = plain.iter().fold(0f32, |a, b| a.max(b.abs()));
        for (a, b) in of(Path::Avx512).iter().zip(&plain) {
            assert!((a - b).abs() <= 1e-5 * largest, "{a} {b}");
        }
    }
}

/// Rounded to bf16, so that only what is computed differs.
fn rounded(seed: u32, shape: &[usize]) -> Result<Tensor> {
    noise(seed, shape).to_dtype(DType::BF16)
}

/// The same layer by candle in f32 from the same rounded values, and by every path.
fn close(run: impl Fn(&'static dyn Backend, DType) -> Result<Tensor>, what: &str) -> Result<()> {
    let exact = run(&Candle, DType::F32)?;
    for tiles in paths() {
        let ours = run(tiles, DType::BF16)?;
        assert_eq!(ours.dtype(), DType::BF16);
        let difference = difference(&ours, &exact);
        assert!(
            difference < 6e-3,
            "{what} by {}: {difference}",
            tiles.0.name()
        );
    }
    Ok(())
}

#[test]
fn convolutions_by_tiles() -> Result<()> {
    // Inputs, outputs, kernel, stride, padding, height, width.
    let cases = [
        (3, 5, 3, 1, Padding::All(1), 7, 9),
        (40, 36, 3, 1, Padding::All(1), 62, 41),
        (8, 4, 3, 2, Padding::All(1), 9, 6),
        (33, 70, 3, 2, Padding::BottomRight, 9, 37),
        (8, 4, 3, 2, Padding::BottomRight, 2, 2),
        (64, 7, 1, 1, Padding::All(0), 5, 4),
        (4, 4, 3, 1, Padding::All(1), 1, 1),
        (32, 64, 3, 1, Padding::All(1), 1, 77),
        (32, 32, 3, 1, Padding::All(1), 8, 16),
    ];
    for case @ (inputs, outputs, kernel, stride, padding, height, width) in cases {
        let tensors = rounded_all(conv_weights(inputs, outputs, kernel))?;
        let x = rounded(1, &[2, inputs, height, width])?;
        let run = |backend, dtype| {
            Builder::on(builder(&tensors, dtype), backend)
                .conv_strided(inputs, outputs, kernel, stride, padding)?
                .forward(&x.to_dtype(dtype)?)
        };
        close(run, &format!("{case:?}"))?;
    }
    let tensors = rounded_all(conv_weights(40, 24, 3))?;
    let (x, shift) = (rounded(1, &[2, 40, 11, 5])?, rounded(2, &[2, 24])?);
    let residual = rounded(3, &[2, 24, 11, 5])?;
    let run = |backend, dtype: DType| {
        let build = Builder::on(builder(&tensors, dtype), backend);
        let norm = build.pp("norm").group_norm(4, 40, 1e-5)?;
        let after = After {
            shift: Some(&shift.to_dtype(dtype)?),
            residual: Some(&residual.to_dtype(dtype)?),
        };
        build
            .conv(40, 24, 3)?
            .forward_with(&x.to_dtype(dtype)?, Before::NormSilu(&norm), after)
    };
    close(run, "with company")?;
    for (height, width) in [(22, 10), (21, 9)] {
        let run = |backend, dtype| {
            Builder::on(builder(&tensors, dtype), backend)
                .conv(40, 24, 3)?
                .forward_with(
                    &x.to_dtype(dtype)?,
                    Before::Resize(height, width),
                    After::default(),
                )
        };
        close(run, "resized")?;
    }
    Ok(())
}

fn rounded_all(
    tensors: std::collections::HashMap<String, Tensor>,
) -> Result<std::collections::HashMap<String, Tensor>> {
    tensors
        .into_iter()
        .map(|(name, tensor)| Ok((name, tensor.to_dtype(DType::BF16)?)))
        .collect()
}

#[test]
fn linear_layers_by_tiles() -> Result<()> {
    // Inputs, outputs, lines: halves that are whole panels and others, one line, more than a band has.
    for case @ (inputs, outputs, lines) in
        [(5, 12, 301), (64, 128, 77), (40, 64, 1), (96, 192, 130)]
    {
        let tensors = rounded_all(weights(&[
            ("weight", &[outputs, inputs]),
            ("bias", &[outputs]),
        ]))?;
        let x = rounded(1, &[2, lines, inputs])?;
        let residual = rounded(2, &[2, lines, outputs])?;
        for kind in 0..3 {
            let run = |backend, dtype| {
                let build = Builder::on(builder(&tensors, dtype), backend);
                let (x, residual) = (x.to_dtype(dtype)?, residual.to_dtype(dtype)?);
                match kind {
                    0 => build.linear_no_bias(inputs, outputs)?.forward(&x),
                    1 => build.linear(inputs, outputs)?.forward_add(&x, &residual),
                    _ => build.linear(inputs, outputs)?.forward_gated(&x),
                }
            };
            close(run, &format!("{case:?} {kind}"))?;
        }
    }
    Ok(())
}

#[test]
fn normalisations_by_tiles() -> Result<()> {
    let tensors = rounded_all(weights(&[("weight", &[12]), ("bias", &[12])]))?;
    // Far from zero.
    let x = (noise(1, &[2, 12, 29, 31]) + 30.0)?.to_dtype(DType::BF16)?;
    let run = |backend: &'static dyn Backend, dtype| {
        let norm = Builder::on(builder(&tensors, dtype), backend).group_norm(3, 12, 1e-5)?;
        backend.group_norm(&norm, &x.to_dtype(dtype)?)
    };
    close(run, "groups")?;
    let x = x.transpose(1, 3)?.flatten(1, 2)?;
    let run = |backend: &'static dyn Backend, dtype| {
        let norm = Builder::on(builder(&tensors, dtype), backend).layer_norm(12, 1e-5)?;
        backend.layer_norm(&norm, &x.to_dtype(dtype)?)
    };
    close(run, "layers")
}

#[test]
fn attention_by_tiles() -> Result<()> {
    for (queries, keys, width) in [(7, 7, 5), (70, 77, 40), (33, 700, 40), (1, 300, 64)] {
        let joint = (rounded(1, &[2, queries, 9 * width])? * 2.0)?;
        let q = joint.narrow(2, 3 * width, 3 * width)?;
        let joint = (rounded(2, &[2, keys, 6 * width])? * 2.0)?;
        let (k, v) = (
            joint.narrow(2, 0, 3 * width)?,
            joint.narrow(2, 3 * width, 3 * width)?,
        );
        let run = |backend: &'static dyn Backend, dtype| {
            let (q, k, v) = (q.to_dtype(dtype)?, k.to_dtype(dtype)?, v.to_dtype(dtype)?);
            Ok(backend.attend(&q, &k, &v, Attention::plain(3))?.values)
        };
        close(run, &format!("{queries} {keys} {width}"))?;
    }
    Ok(())
}

#[test]
fn rows_and_threads_change_no_bit_of_tiles() -> Result<()> {
    let tensors = chain_weights();
    let x = rounded(1, &[3, 16, 21, 18])?;
    let mut seen = Vec::new();
    for tiles in paths() {
        let run = |x: &Tensor| chain_on(tiles, x, &tensors, DType::BF16)?.to_dtype(DType::F32);
        let together = run(&x)?;
        for row in 0..3 {
            let alone = run(&x.narrow(0, row, 1)?)?;
            assert_eq!(bits(&alone), bits(&together.narrow(0, row, 1)?));
        }
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
            let again = pool.unwrap().install(|| run(&x))?;
            assert_eq!(bits(&again), bits(&together), "{threads} threads");
        }
        seen.push((tiles.0, bits(&together)));
    }
    // AMX's bits are those of its plain words.
    for (path, bits) in &seen {
        if *path == Path::Amx {
            assert_eq!(bits, &seen[0].1);
        }
    }
    Ok(())
}
