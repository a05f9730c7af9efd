//! A rough region, at any size.

use image::GrayImage;
use limekiln_pictures::Mask;

use crate::pixels::Pixels;
use crate::plane::Plane;

/// How much each part of a picture belongs to a region, 0..1, at any size: a located region of 64x64, a user's mask of the
/// picture's own, an attention map.
#[derive(Clone, Debug)]
pub struct Region {
    plane: Plane<f32>,
}

impl Region {
    /// A soft region, or an attention map scaled to 0..1, row by row; missing values are 0.
    pub fn new(width: usize, height: usize, mut values: Vec<f32>) -> Self {
        values.resize(width * height, 0.0);
        values.iter_mut().for_each(|value| {
            *value = if value.is_finite() {
                value.clamp(0.0, 1.0)
            } else {
                0.0
            }
        });
        Self {
            plane: Plane {
                width,
                height,
                data: values,
            },
        }
    }

    /// A soft region of a picture: 255 is inside.
    pub fn from_image(image: &GrayImage) -> Self {
        let values = image
            .iter()
            .map(|value| f32::from(*value) / 255.0)
            .collect();
        Self::new(image.width() as usize, image.height() as usize, values)
    }

    /// Columns and rows.
    pub(crate) fn size(&self) -> (usize, usize) {
        (self.plane.width, self.plane.height)
    }

    /// From and to (exclusive) of what is inside, in shares of the picture: left, top, right, bottom.
    pub(crate) fn bounds(&self) -> Option<[f32; 4]> {
        let Plane { width, height, .. } = self.plane;
        let (mut left, mut top, mut right, mut bottom) = (width, height, 0, 0);
        for (i, value) in self.plane.data.iter().enumerate() {
            if *value > 0.5 {
                let (x, y) = (i % width, i / width);
                (left, right) = (left.min(x), right.max(x + 1));
                (top, bottom) = (top.min(y), bottom.max(y + 1));
            }
        }
        let share = |at: usize, of: usize| at as f32 / of as f32;
        (right > 0).then(|| {
            [
                share(left, width),
                share(top, height),
                share(right, width),
                share(bottom, height),
            ]
        })
    }

    /// The share of the picture that is inside.
    pub fn share(&self) -> f32 {
        self.plane.data.iter().filter(|value| **value > 0.5).count() as f32
            / self.plane.data.len().max(1) as f32
    }

    /// The value at a place in shares of the picture.
    pub(crate) fn at(&self, x: f32, y: f32) -> f32 {
        self.plane.sampled(
            x * self.plane.width as f32 - 0.5,
            y * self.plane.height as f32 - 0.5,
        )
    }
}

impl From<&Mask> for Region {
    fn from(mask: &Mask) -> Self {
        let values = mask
            .inside()
            .iter()
            .map(|inside| if *inside { 1.0 } else { 0.0 })
            .collect();
        Self::new(mask.width(), mask.height(), values)
    }
}

/// How much of a change a pixel may take, 0..1: nothing at the border of any bound and beyond, all of it half a cell within.
pub(crate) fn allowed(bounds: &[Region], pixels: &Pixels<'_>, x: usize, y: usize) -> f32 {
    let (x, y) = (
        (x as f32 + 0.5) / pixels.width() as f32,
        (y as f32 + 0.5) / pixels.height() as f32,
    );
    bounds.iter().fold(1.0, |least: f32, bound| {
        least.min((2.0 * bound.at(x, y) - 1.0).clamp(0.0, 1.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_and_values() {
        let region = Region::new(4, 2, vec![0.0, 1.0, 1.0, 0.0, 0.0, 0.2, f32::NAN, 9.0]);
        assert_eq!(region.bounds(), Some([0.25, 0.0, 1.0, 1.0]));
        assert_eq!(region.share(), 3.0 / 8.0);
        assert!((region.at(0.375, 0.25) - 1.0).abs() < 1e-6 && region.at(0.0, 0.0) < 1e-6);
        assert_eq!(Region::new(3, 3, Vec::new()).bounds(), None);
    }
}
