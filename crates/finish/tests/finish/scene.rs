//! A drawn scene whose truth is known: a cushion with shading, weave and a highlight on dark legs, before a wall and a floor.

use anyhow::Result;
use limekiln_finish::{Light, Pixels, Region, Samples};

/// Linear light of the cushion's paint in most tests.
pub(crate) const RED: [f32; 3] = [0.42, 0.06, 0.05];

/// What to draw.
pub(crate) struct Scene {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) paint: [f32; 3],
}

impl Scene {
    pub(crate) fn new(paint: [f32; 3]) -> Self {
        Self {
            width: 320,
            height: 256,
            paint,
        }
    }

    /// How far inside of the cushion a place is: positive inside, about in pixels.
    fn depth(&self, x: f32, y: f32) -> f32 {
        let (u, v) = ((x - 150.0) / 90.0, (y - 120.0) / 60.0);
        (1.0 - (u.powi(4) + v.powi(4)).powf(0.25)) * 70.0
    }

    /// Whether a place is a leg.
    fn leg(&self, x: f32, y: f32) -> bool {
        (170.0..215.0).contains(&y) && ((80.0..96.0).contains(&x) || (204.0..220.0).contains(&x))
    }

    /// Linear light of a place.
    fn light(&self, x: f32, y: f32) -> [f32; 3] {
        let grain = 1.0 + 0.08 * (x * 1.3).sin() * (y * 1.1).sin();
        if self.depth(x, y) > 0.0 {
            let shade = (1.0 - 0.5 * ((x - 190.0) / 60.0).max(0.0)) * grain;
            let lamp = 0.35 * (-((x - 95.0).powi(2) + (y - 85.0).powi(2)) / 90.0).exp();
            return self.paint.map(|paint| paint * shade + lamp);
        }
        if self.leg(x, y) {
            return [0.03, 0.018, 0.01].map(|paint| paint * grain);
        }
        if y < 190.0 {
            [0.62, 0.6, 0.5].map(|paint| paint * (1.0 - 0.001 * x))
        } else {
            [0.2, 0.12, 0.06].map(|paint| paint * (1.0 + 0.2 * (y * 0.9).sin()))
        }
    }

    /// Each pixel as the mean of nine places, encoded.
    fn drawn(&self, encode: impl Fn(f32) -> f32) -> Vec<f32> {
        let mut out = Vec::with_capacity(self.width * self.height * 3);
        for y in 0..self.height {
            for x in 0..self.width {
                let mut sum = [0.0; 3];
                for (u, v) in (0..3).flat_map(|v| (0..3).map(move |u| (u, v))) {
                    let light = self.light(
                        x as f32 + (u as f32 + 0.5) / 3.0,
                        y as f32 + (v as f32 + 0.5) / 3.0,
                    );
                    (0..3).for_each(|c| sum[c] += encode(light[c].min(1.0)) / 9.0);
                }
                out.extend(sum);
            }
        }
        out
    }

    pub(crate) fn eight(&self) -> Vec<u8> {
        self.drawn(srgb)
            .into_iter()
            .map(|value| (value * 255.0).round() as u8)
            .collect()
    }

    pub(crate) fn sixteen(&self) -> Vec<u16> {
        self.drawn(srgb)
            .into_iter()
            .map(|value| (value * 65_535.0).round() as u16)
            .collect()
    }

    /// Which pixels are the cushion's.
    pub(crate) fn truth(&self) -> Vec<bool> {
        self.depths().into_iter().map(|depth| depth > 0.0).collect()
    }

    /// How far inside of the cushion each pixel is, about in pixels.
    pub(crate) fn depths(&self) -> Vec<f32> {
        (0..self.height)
            .flat_map(|y| (0..self.width).map(move |x| (x, y)))
            .map(|(x, y)| self.depth(x as f32 + 0.5, y as f32 + 0.5))
            .collect()
    }

    /// Cushion and legs as a location may give them: at a tenth of the size, shifted, with a round border.
    pub(crate) fn rough(&self) -> Region {
        let (width, height) = (self.width / 8, self.height / 8);
        let values = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x as f32 * 8.0 - 6.0, y as f32 * 8.0 + 5.0)))
            .map(|(x, y)| {
                let far = ((x - 150.0) / 92.0).powi(2) + ((y - 128.0) / 68.0).powi(2);
                if far < 1.0 || self.leg(x, y) {
                    1.0
                } else {
                    0.0
                }
            })
            .collect();
        Region::new(width, height, values)
    }
}

/// Pixels of 8 bits.
pub(crate) fn pixels<'a>(scene: &Scene, samples: &'a [u8], light: &'a Light) -> Result<Pixels<'a>> {
    Ok(Pixels::new(
        scene.width,
        scene.height,
        Samples::Eight(samples),
        light,
    )?)
}

fn srgb(light: f32) -> f32 {
    if light <= 0.003_130_8 {
        light * 12.92
    } else {
        1.055 * light.powf(1.0 / 2.4) - 0.055
    }
}
