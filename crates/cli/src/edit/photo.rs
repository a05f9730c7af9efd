//! Whether a picture looks drawn.

use image::RgbImage;

/// Drawn rooms are nearly everywhere flat, photographs nearly nowhere.
const FLAT_SHARE: f64 = 0.8;
/// Neighbours that differ by no more than this in any channel are flat; JPEG moves a flat area by as much.
const FLAT: u8 = 2;

/// What to say about the built-in model and a picture that does not look drawn.
pub(crate) const ADVICE: &str = "the built-in model knows drawn rooms only; for a photograph name a real checkpoint: \
                                 --model hf:timbrooks/instruct-pix2pix";

/// Whether most neighbouring pixels are alike, as in a drawing. A sketch of a guess: a smooth photograph passes.
pub(crate) fn looks_drawn(picture: &RgbImage) -> bool {
    let (mut flat, mut all) = (0u64, 0u64);
    for row in picture.rows() {
        let row: Vec<_> = row.collect();
        for pair in row.windows(2) {
            let alike = pair[0]
                .0
                .iter()
                .zip(&pair[1].0)
                .all(|(a, b)| a.abs_diff(*b) <= FLAT);
            flat += u64::from(alike);
            all += 1;
        }
    }
    flat as f64 >= FLAT_SHARE * all as f64
}

#[cfg(test)]
mod tests {
    use super::looks_drawn;
    use image::{Rgb, RgbImage};

    #[test]
    fn rooms_look_drawn_and_noise_does_not() {
        for index in 0..20 {
            let scene = limekiln_rooms::bench_pair(0, index).before;
            assert!(
                looks_drawn(&limekiln_rooms::draw(&scene, 128)),
                "room {index}"
            );
        }
        let noisy = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 91) as u8 % 23 + 100; 3]));
        assert!(!looks_drawn(&noisy));
    }
}
