//! A full-size picture, read where it lies.

use crate::error::{Error, Result};
use crate::light::Light;

/// Red, green and blue of each pixel, row by row.
#[derive(Clone, Copy, Debug)]
pub enum Samples<'a> {
    /// 8 bits a channel.
    Eight(&'a [u8]),
    /// 16 bits a channel.
    Sixteen(&'a [u16]),
}

/// A picture in its own space and depth. It is only read: what is made of it is written over a copy.
#[derive(Clone, Copy, Debug)]
pub struct Pixels<'a> {
    width: usize,
    height: usize,
    samples: Samples<'a>,
    light: &'a Light,
}

impl<'a> Pixels<'a> {
    /// A picture of `width * height` pixels.
    ///
    /// # Errors
    ///
    /// [`Error::Size`] unless there are three samples a pixel.
    pub fn new(
        width: usize,
        height: usize,
        samples: Samples<'a>,
        light: &'a Light,
    ) -> Result<Self> {
        let count = match samples {
            Samples::Eight(samples) => samples.len(),
            Samples::Sixteen(samples) => samples.len(),
        };
        if count != width * height * 3 || count == 0 {
            return Err(Error::Size {
                what: "the list of samples",
                got: format!("{count} long"),
                want: format!("{width}x{height} of three"),
            });
        }
        Ok(Self {
            width,
            height,
            samples,
            light,
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

    /// What the samples mean.
    pub fn light(&self) -> &'a Light {
        self.light
    }

    /// The samples.
    pub fn samples(&self) -> Samples<'a> {
        self.samples
    }

    /// Linear light of a pixel.
    pub(crate) fn linear(&self, x: usize, y: usize) -> [f32; 3] {
        let at = (y * self.width + x) * 3;
        match self.samples {
            Samples::Eight(samples) => [0, 1, 2].map(|c| self.light.shallow(samples[at + c])),
            Samples::Sixteen(samples) => [0, 1, 2].map(|c| self.light.deep(samples[at + c])),
        }
    }
}
