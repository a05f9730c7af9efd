//! A region of a picture, at any size.

use image::{GrayImage, Luma};

/// Which pixels of a `width * height` grid lie inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mask {
    width: usize,
    height: usize,
    inside: Vec<bool>,
}

impl Mask {
    /// The mask of row-major flags; pixels for which there is none lie outside.
    pub fn new(width: usize, height: usize, mut inside: Vec<bool>) -> Self {
        inside.resize(width * height, false);
        Self {
            width,
            height,
            inside,
        }
    }

    /// All pixels lie inside.
    pub fn everything(width: usize, height: usize) -> Self {
        Self::new(width, height, vec![true; width * height])
    }

    /// The mask of a picture: pixels of at least 128 lie inside.
    pub fn from_image(image: &GrayImage) -> Self {
        Self::new(
            image.width() as usize,
            image.height() as usize,
            image.pixels().map(|pixel| pixel.0[0] >= 128).collect(),
        )
    }

    /// A picture that is 255 inside and 0 outside.
    pub fn to_image(&self) -> GrayImage {
        GrayImage::from_fn(self.width as u32, self.height as u32, |x, y| {
            Luma([if self.inside[y as usize * self.width + x as usize] {
                255
            } else {
                0
            }])
        })
    }

    /// Pixels in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Row by row, which pixels lie inside.
    pub fn inside(&self) -> &[bool] {
        &self.inside
    }

    /// Share of the pixels that lie inside.
    pub fn share(&self) -> f64 {
        self.inside.iter().filter(|inside| **inside).count() as f64
            / self.inside.len().max(1) as f64
    }

    /// Nearest resizing: output `i` reads input `floor(i * in / out)`.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        let row = |y: usize| &self.inside[y * self.height / height * self.width..][..self.width];
        let inside = (0..height)
            .flat_map(|y| (0..width).map(move |x| row(y)[x * self.width / width]))
            .collect();
        Self {
            width,
            height,
            inside,
        }
    }

    /// The mask with all pixels added that are within `by` rows and columns of one inside.
    pub fn grown(&self, by: usize) -> Self {
        let spread = |length: usize, at: &dyn Fn(usize) -> bool| -> Vec<bool> {
            (0..length)
                .map(|i| (i.saturating_sub(by)..(i + by + 1).min(length)).any(at))
                .collect()
        };
        let mut wide = Vec::with_capacity(self.inside.len());
        for row in self.inside.chunks(self.width.max(1)) {
            wide.extend(spread(self.width, &|x| row[x]));
        }
        let mut inside = vec![false; wide.len()];
        for x in 0..self.width {
            for (y, value) in spread(self.height, &|y| wide[y * self.width + x])
                .into_iter()
                .enumerate()
            {
                inside[y * self.width + x] = value;
            }
        }
        Self { inside, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A fifth of the pixels lie inside.
    fn mask(width: usize, height: usize, seed: u64) -> Mask {
        let mut state = seed;
        let inside = (0..width * height).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33).is_multiple_of(5)
        });
        Mask::new(width, height, inside.collect())
    }

    proptest! {
        #[test]
        fn resizing_reads_the_nearest(w in 1usize..20, h in 1usize..20, ow in 1usize..40, oh in 1usize..40, seed: u64) {
            let mask = mask(w, h, seed);
            let resized = mask.resized(ow, oh);
            for y in 0..oh {
                for x in 0..ow {
                    prop_assert_eq!(resized.inside()[y * ow + x], mask.inside()[(y * h / oh) * w + x * w / ow]);
                }
            }
            prop_assert_eq!(mask.resized(w, h), mask.clone());
            prop_assert_eq!(Mask::from_image(&mask.to_image()), mask);
        }

        #[test]
        fn growing_reaches_exactly_so_far(w in 1usize..14, h in 1usize..14, by in 0usize..4, seed: u64) {
            let mask = mask(w, h, seed);
            let grown = mask.grown(by);
            for y in 0..h {
                for x in 0..w {
                    let near = (0..h).any(|v| (0..w).any(|u| mask.inside()[v * w + u] && y.abs_diff(v).max(x.abs_diff(u)) <= by));
                    prop_assert_eq!(grown.inside()[y * w + x], near);
                }
            }
        }
    }
}
