//! Resizing against PIL's own bytes.
#![expect(
    clippy::unwrap_used,
    reason = "a test that can't go on should stop where it is"
)]

use std::path::Path;

use image::{Rgb, RgbImage};
use limekiln_pictures::resize::lanczos;
use proptest::prelude::*;
use safetensors::SafeTensors;

fn picture(golden: &SafeTensors<'_>, name: &str) -> RgbImage {
    let tensor = golden.tensor(name).unwrap();
    let [height, width, channels] = tensor.shape().try_into().unwrap();
    assert_eq!(channels, 3, "{name}");
    RgbImage::from_raw(width as u32, height as u32, tensor.data().to_vec()).unwrap()
}

#[test]
fn resizes_to_pils_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/reference/golden/pictures.safetensors");
    let bytes = std::fs::read(path).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    for i in 0..8 {
        let (from, want) = (
            picture(&golden, &format!("{i} from")),
            picture(&golden, &format!("{i} to")),
        );
        let ours = lanczos(&from, want.width(), want.height());
        assert!(
            ours == want,
            "case {i}: {:?} to {:?}",
            from.dimensions(),
            want.dimensions()
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn one_color_stays_that_color(w in 1u32..60, h in 1u32..60, to_w in 1u32..60, to_h in 1u32..60, color: [u8; 3]) {
        let resized = lanczos(&RgbImage::from_pixel(w, h, Rgb(color)), to_w, to_h);
        prop_assert_eq!(resized.dimensions(), (to_w, to_h));
        prop_assert!(resized.pixels().all(|p| p.0 == color));
    }
}
