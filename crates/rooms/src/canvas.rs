//! Layers laid over each other in linear light, with what is known of the object that an edit is about.

use image::{GrayImage, Luma};

use crate::linear::{Light, mixed};

/// What one pixel of a layer shows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Point {
    pub(crate) light: Light,
    /// 1 where it is of the object that the edit is about.
    pub(crate) object: f32,
    /// The share of it that is of the color that the edit changes.
    pub(crate) colored: f32,
}

/// A picture as it grows from back to front.
pub(crate) struct Canvas {
    pub(crate) side: usize,
    pub(crate) points: Vec<Point>,
}

impl Canvas {
    /// `light` for every pixel, by its place in fractions of the side.
    pub(crate) fn new(side: usize, light: impl Fn(f32, f32) -> Light) -> Self {
        let points = (0..side * side).map(|i| {
            let (x, y) = center(i % side, i / side, side);
            Point {
                light: light(x, y),
                ..Point::default()
            }
        });
        Self {
            side,
            points: points.collect(),
        }
    }

    /// Lays `point` over the pixel with this share.
    pub(crate) fn over(&mut self, x: usize, y: usize, share: f32, point: Point) {
        let below = &mut self.points[y * self.side + x];
        below.light = mixed(below.light, point.light, share);
        below.object += (point.object - below.object) * share;
        below.colored += (point.colored - below.colored) * share;
    }

    pub(crate) fn light(&self) -> Vec<Light> {
        self.points.iter().map(|point| point.light).collect()
    }

    /// The share of each pixel that is the object's, 0 to 255.
    pub(crate) fn object(&self) -> GrayImage {
        self.shares(|point| point.object)
    }

    /// The share of each pixel that is of the color that the edit changes, 0 to 255.
    pub(crate) fn colored(&self) -> GrayImage {
        self.shares(|point| point.colored)
    }

    fn shares(&self, share: impl Fn(&Point) -> f32) -> GrayImage {
        let side = self.side as u32;
        GrayImage::from_fn(side, side, |x, y| {
            let point = &self.points[y as usize * self.side + x as usize];
            Luma([(share(point) * 255.0).round() as u8])
        })
    }
}

/// The middle of a pixel in fractions of the side.
pub(crate) fn center(x: usize, y: usize, side: usize) -> (f32, f32) {
    let at = |i: usize| (i as f32 + 0.5) / side as f32;
    (at(x), at(y))
}
