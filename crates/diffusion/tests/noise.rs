//! Noise against torch's, and a generator saved and restored anywhere in its stream.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail the test")]

use std::path::Path;

use candle_core::{DType, Device, Tensor};
use limekiln_diffusion::noise::TorchRng;
use proptest::prelude::*;

fn golden() -> std::collections::HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/golden/noise.safetensors");
    candle_core::safetensors::load(path, &Device::Cpu).unwrap()
}

fn assert_near(name: &str, ours: &[f32], theirs: &[f32]) {
    assert_eq!(ours.len(), theirs.len(), "{name}");
    for (i, (a, b)) in ours.iter().zip(theirs).enumerate() {
        // torch's vectorised logarithm, sine and cosine are short of exact; ours are not.
        assert!(
            (a - b).abs() <= 5e-7 * b.abs().max(1.0),
            "{name}[{i}]: {a} is not torch's {b}"
        );
    }
}

#[test]
fn equals_torch_for_every_seed_and_length() {
    let mut checked = 0;
    for (name, theirs) in golden() {
        let Some((seed, n)) = name.split_once(' ').filter(|(seed, _)| *seed != "stream") else {
            continue;
        };
        let theirs: Vec<f32> = theirs.to_vec1().unwrap();
        assert_near(
            &name,
            &TorchRng::new(seed.parse().unwrap()).randn(n.parse().unwrap()),
            &theirs,
        );
        checked += 1;
    }
    assert_eq!(checked, 72);
}

#[test]
fn equals_torch_over_a_stream_of_draws() {
    let golden = golden();
    let sizes: Vec<i64> = golden["stream sizes"]
        .to_dtype(DType::I64)
        .unwrap()
        .to_vec1()
        .unwrap();
    let mut rng = TorchRng::new(42);
    let ours: Vec<f32> = sizes.iter().flat_map(|n| rng.randn(*n as usize)).collect();
    assert_near("stream", &ours, &golden["stream"].to_vec1::<f32>().unwrap());
}

#[test]
fn a_damaged_state_is_refused() {
    let saved = TorchRng::new(1).save();
    assert!(TorchRng::restore(&saved[1..]).is_err());
    assert!(TorchRng::restore(&[]).is_err());
    let mut beyond = saved.clone();
    beyond[4 * 624 + 3] = 0xff;
    assert!(TorchRng::restore(&beyond).is_err());
    let mut flag = saved;
    flag[4 * 624 + 4] = 2;
    assert!(TorchRng::restore(&flag).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_restored_generator_goes_on_alike(seed: u64, before in prop::collection::vec(0usize..40, 0..6), after in prop::collection::vec(0usize..40, 1..6)) {
        let mut rng = TorchRng::new(seed);
        for n in before {
            rng.randn(n);
        }
        let mut other = TorchRng::restore(&rng.save()).unwrap();
        for n in after {
            prop_assert_eq!(rng.randn(n), other.randn(n));
        }
        prop_assert_eq!(rng.save(), other.save());
    }

    #[test]
    fn any_bytes_are_restored_or_refused(bytes in prop::collection::vec(any::<u8>(), 2509..=2509)) {
        if let Ok(mut rng) = TorchRng::restore(&bytes) {
            prop_assert_eq!(rng.randn(17).len(), 17);
        }
    }
}
