//! The size that a model works at.

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};

use crate::error::{Error, Result};
use crate::resize::lanczos;

/// The largest multiple of `factor` that is not above `size`; what diffusers does to each side. Pixels.
pub fn floor_to(size: u32, factor: u32) -> u32 {
    size - size % factor.max(1)
}

/// The working size of a `width` x `height` picture: shrunk so that the longer side is at most `bound` (never
/// enlarged), then both sides floored to a multiple of `factor`, as diffusers does. Pixels.
///
/// # Errors
///
/// When nothing would be left of a side.
pub fn working((width, height): (u32, u32), bound: u32, factor: u32) -> Result<(u32, u32)> {
    let longer = width.max(height);
    let side = |side: u32| {
        let side = if longer <= bound {
            side
        } else {
            let (side, longer) = (u64::from(side), u64::from(longer));
            ((side * u64::from(bound) + longer / 2) / longer) as u32
        };
        floor_to(side, factor)
    };
    match (side(width), side(height)) {
        (0, _) | (_, 0) if longer <= bound => Err(Error::TooSmall {
            width,
            height,
            factor,
        }),
        (0, _) | (_, 0) => Err(Error::TooNarrow {
            width,
            height,
            bound,
            factor,
        }),
        size => Ok(size),
    }
}

/// A size (width, height) shrunk in proportion so that the longer side is at most `bound`; never enlarged. Pixels.
pub fn bounded((width, height): (u32, u32), bound: u32) -> (u32, u32) {
    let longer = width.max(height);
    if longer <= bound {
        return (width, height);
    }
    let side = |side: u32| {
        let (side, longer) = (u64::from(side), u64::from(longer));
        // At most the bound, which fits.
        (((side * u64::from(bound) + longer / 2) / longer) as u32).max(1)
    };
    (side(width), side(height))
}

/// A picture at the working size, resized as PIL does.
pub fn shrink(picture: &RgbImage, (width, height): (u32, u32)) -> RgbImage {
    lanczos(picture, width, height)
}

/// A mask at the working size: 0 and 255.
pub fn mask_shrink(mask: &GrayImage, (width, height): (u32, u32)) -> GrayImage {
    let mut mask = imageops::resize(mask, width, height, FilterType::Triangle);
    mask.iter_mut()
        .for_each(|value| *value = if *value >= 128 { 255 } else { 0 });
    mask
}

#[cfg(test)]
mod tests {
    use super::{bounded, working};

    #[test]
    fn what_is_larger_is_shrunk_in_proportion() {
        assert_eq!(bounded((300, 200), 1024), (300, 200));
        assert_eq!(bounded((4000, 3000), 1024), (1024, 768));
        assert_eq!(bounded((16_384, 2), 100), (100, 1), "something is left");
    }

    #[test]
    fn sides_are_bounded_and_floored() {
        assert_eq!(working((512, 512), 512, 8).unwrap(), (512, 512));
        assert_eq!(
            working((500, 333), 512, 8).unwrap(),
            (496, 328),
            "latents of 62x41"
        );
        assert_eq!(working((1000, 666), 512, 8).unwrap(), (512, 336));
        assert_eq!(working((666, 1000), 512, 8).unwrap(), (336, 512));
        assert_eq!(
            working((100, 60), 512, 8).unwrap(),
            (96, 56),
            "nothing is enlarged"
        );
        assert_eq!(working((16_384, 6_000), 2048, 8).unwrap(), (2048, 744));
    }

    #[test]
    fn nothing_is_left_of_slivers() {
        assert!(
            working((7, 100), 512, 8)
                .unwrap_err()
                .to_string()
                .contains("at least 8 pixels")
        );
        assert!(
            working((4000, 40), 512, 8)
                .unwrap_err()
                .to_string()
                .contains("at size 512")
        );
    }
}
