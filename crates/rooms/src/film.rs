//! From light to pixels: a camera's curve, its noise, and the files that hold pictures.

use image::codecs::jpeg::JpegDecoder;
use image::{ImageDecoder, RgbImage};
use std::io::Cursor;

use crate::linear::{Light, encode, to_display_p3};
use crate::noise;
use crate::rng::Rng;

/// A camera: how light becomes codes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Camera {
    pub(crate) exposure: f32,
    /// How much the curve bends away from the middle.
    pub(crate) contrast: f32,
    /// Standard deviation of the noise in a picture of 1,024 pixels a side, of 1.
    pub(crate) noise: f32,
    pub(crate) seed: u32,
}

impl Camera {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        Self {
            exposure: rng.between(0.78, 0.98),
            contrast: rng.between(0.0, 0.03),
            noise: rng.between(0.004, 0.014),
            seed: rng.bits() as u32,
        }
    }

    /// `light`, `side` x `side` pixels row by row, as codes of sRGB. Noise comes after the curve and depends on the place
    /// alone, so that two pictures by one camera share it.
    pub(crate) fn develop(&self, light: &[Light], side: usize) -> Film {
        // A pixel of a smaller picture is the mean of many.
        let noise = self.noise * (side as f32 / 1024.0).min(1.5);
        let code = |(i, light): (usize, &Light)| -> [f32; 3] {
            let (x, y) = ((i % side) as i32, (i / side) as i32);
            let common = noise::normal(self.seed, x, y);
            std::array::from_fn(|channel| {
                let own = noise::normal(self.seed ^ (0x51ed + channel as u32), x, y);
                self.curve(light[channel]) + noise * (0.8 * common + 0.6 * own)
            })
        };
        Film {
            side: side as u32,
            codes: light.iter().enumerate().map(code).collect(),
        }
    }

    /// Straight up to 0.7, then ever flatter: highlights run into white instead of being cut.
    fn curve(&self, light: f32) -> f32 {
        const KNEE: f32 = 0.7;
        let light = light * self.exposure;
        let held = if light < KNEE {
            light
        } else {
            KNEE + (1.0 - KNEE) * ((light - KNEE) / (1.0 - KNEE)).tanh()
        };
        let code = encode(held);
        code - self.contrast * (std::f32::consts::TAU * code).sin()
    }
}

/// A picture before it is rounded: codes of sRGB.
#[derive(Clone, Debug)]
pub struct Film {
    side: u32,
    codes: Vec<[f32; 3]>,
}

impl Film {
    /// The film of a picture that is rounded already.
    pub(crate) fn of(picture: &RgbImage) -> Self {
        Self {
            side: picture.width(),
            codes: picture
                .pixels()
                .map(|pixel| pixel.0.map(|code| f32::from(code) / 255.0))
                .collect(),
        }
    }

    /// The picture in sRGB.
    #[must_use]
    pub fn srgb(&self) -> RgbImage {
        self.rounded(|code| code)
    }

    /// The same colors in codes of Display P3: its twin.
    #[must_use]
    pub fn display_p3(&self) -> RgbImage {
        self.rounded(to_display_p3)
    }

    fn rounded(&self, code: impl Fn([f32; 3]) -> [f32; 3]) -> RgbImage {
        let bytes = self
            .codes
            .iter()
            // `as u8` saturates.
            .flat_map(|&pixel| code(pixel).map(|code| (code * 255.0).round() as u8));
        RgbImage::from_raw(self.side, self.side, bytes.collect()).unwrap_or_default()
    }
}

/// A baseline JPEG with chroma at half the resolution each way (4:2:0), as cameras write it.
///
/// # Errors
///
/// Where a side has more than 65,535 pixels.
pub fn jpeg(picture: &RgbImage, quality: u8) -> Result<Vec<u8>, jpeg_encoder::EncodingError> {
    use jpeg_encoder::{ColorType, Encoder, EncodingError, SamplingFactor};
    let side = |pixels: u32| {
        u16::try_from(pixels).map_err(|_| EncodingError::BadImageData {
            length: picture.as_raw().len(),
            required: usize::from(u16::MAX),
        })
    };
    let (width, height) = (side(picture.width())?, side(picture.height())?);
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, quality);
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder.encode(picture.as_raw(), width, height, ColorType::Rgb)?;
    Ok(bytes)
}

/// The pixels of a JPEG that [`jpeg`] wrote.
pub(crate) fn jpeg_pixels(bytes: &[u8]) -> image::ImageResult<RgbImage> {
    let decoder = JpegDecoder::new(Cursor::new(bytes))?;
    let (width, height) = decoder.dimensions();
    let mut pixels = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut pixels)?;
    Ok(RgbImage::from_raw(width, height, pixels).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Domain;

    #[test]
    fn noise_is_the_places_own_whatever_the_light() {
        let camera = Camera::random(&mut Rng::new(Domain::Train, 1, 1));
        let (dark, light) = (vec![[0.1; 3]; 64], vec![[0.4; 3]; 64]);
        let (dark, light) = (camera.develop(&dark, 8), camera.develop(&light, 8));
        let steps: Vec<f32> = (0..64)
            .map(|i| light.codes[i][0] - dark.codes[i][0])
            .collect();
        assert!(
            steps.iter().all(|step| (step - steps[0]).abs() < 1e-5),
            "{steps:?}"
        );
    }

    #[test]
    fn a_jpeg_has_half_the_chroma() {
        let picture = RgbImage::from_fn(40, 24, |x, _| {
            image::Rgb(if x < 20 {
                [200, 40, 40]
            } else {
                [40, 150, 150]
            })
        });
        let bytes = jpeg(&picture, 90).unwrap();
        // The frame's first component has two samples for one of the others, across and down.
        let frame = bytes
            .windows(2)
            .position(|pair| pair == [0xff, 0xc0])
            .unwrap();
        assert_eq!(
            [bytes[frame + 11], bytes[frame + 14], bytes[frame + 17]],
            [0x22, 0x11, 0x11]
        );
        assert_eq!(jpeg_pixels(&bytes).unwrap().dimensions(), (40, 24));
    }
}
