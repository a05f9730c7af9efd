//! Resizing, byte for byte as PIL does it: the models saw pictures that PIL had shrunk. And enlarging without steps between.

use image::RgbImage;

use crate::original::{Colors, Opacity};

/// PIL's `resize(.., LANCZOS)`: a windowed sinc of three lobes, widened when shrinking, one axis after the other with
/// 8-bit values between, in 22-bit fixed point. A side of zero gives an empty picture.
pub fn lanczos(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
    let (w, h) = picture.dimensions();
    if w == 0 || h == 0 || width == 0 || height == 0 {
        return RgbImage::new(width, height);
    }
    // Since 13.0, Pillow takes the height first where it loses more than twice the pixels that the width does. The order
    // shows in the last bit.
    let (less_wide, less_high) = (
        i64::from(w) - i64::from(width),
        i64::from(h) - i64::from(height),
    );
    if less_high > 0 && less_high > 2 * less_wide {
        resize_width(&resize_height(picture, height), width)
    } else {
        resize_height(&resize_width(picture, width), height)
    }
}

fn resize_width(picture: &RgbImage, width: u32) -> RgbImage {
    let (w, h) = picture.dimensions();
    if w == width {
        return picture.clone();
    }
    let windows = windows(w, width);
    let mut out = RgbImage::new(width, h);
    for (from, to) in picture.rows().zip(out.rows_mut()) {
        let from: Vec<[u8; 3]> = from.map(|p| p.0).collect();
        for (window, pixel) in windows.iter().zip(to) {
            pixel.0 = window.weigh(|i| from[i]);
        }
    }
    out
}

fn resize_height(picture: &RgbImage, height: u32) -> RgbImage {
    let (w, h) = picture.dimensions();
    if h == height {
        return picture.clone();
    }
    let mut out = RgbImage::new(w, height);
    for (window, to) in windows(h, height).iter().zip(out.rows_mut()) {
        for (x, pixel) in to.enumerate() {
            pixel.0 = window.weigh(|i| picture.get_pixel(x as u32, i as u32).0);
        }
    }
    out
}

/// A picture at another size, made row by row in floating point, so that a small picture of 8 bits fills the levels of a large
/// one of 16.
pub(crate) struct Enlarged<'a> {
    picture: &'a Colors,
    /// What colors are weighed with.
    opacity: Option<&'a Opacity>,
    across: Vec<Span>,
    down: Vec<Span>,
}

/// The source pixels that make one destination pixel, and their weights.
struct Span {
    first: usize,
    weights: Vec<f32>,
}

impl<'a> Enlarged<'a> {
    /// Lanczos of three lobes, as [`lanczos`]. A picture that has this size is taken as it is.
    pub(crate) fn new(picture: &'a Colors, width: u32, height: u32) -> Self {
        let (from_width, from_height) = picture.size();
        Self {
            picture,
            opacity: None,
            across: spans(from_width, width),
            down: spans(from_height, height),
        }
    }

    /// The same of a picture whose pixels count as far as they are opaque, so that what transparent ones hide does not show at
    /// the edge of what they leave out. `opacity` has the picture's size.
    pub(crate) fn seen(
        picture: &'a Colors,
        opacity: &'a Opacity,
        (width, height): (u32, u32),
    ) -> Self {
        Self {
            opacity: Some(opacity),
            ..Self::new(picture, width, height)
        }
    }

    /// Row `y` of three channels, 16 bits.
    pub(crate) fn row(&self, y: u32) -> Vec<u16> {
        let whole = |sums: [f32; 3]| sums.map(|sum| (sum + 0.5).clamp(0.0, 65_535.0) as u16);
        let plain = || self.sums(y, |y| self.picture.row(y).into_iter().map(f32::from));
        let Some(opacity) = self.opacity else {
            return plain().into_iter().flat_map(whole).collect();
        };
        let weights = |y| {
            let row = opacity.row(y).into_iter();
            row.flat_map(|value| [f32::from(value) / 65_535.0; 3])
        };
        let weighed = |y| {
            let row = self.picture.row(y).into_iter();
            row.zip(weights(y))
                .map(|(value, weight)| f32::from(value) * weight)
        };
        let seen = self.sums(y, weighed).into_iter().zip(self.sums(y, weights));
        // Where nothing is to be seen, what is hidden stays hidden there.
        let (seen, hidden) = (seen, plain());
        seen.zip(hidden)
            .flat_map(|((sums, weight), hidden)| {
                let opaque = weight[0] > OPACITY_MIN;
                whole(if opaque {
                    sums.map(|sum| sum / weight[0])
                } else {
                    hidden
                })
            })
            .collect()
    }

    /// Sums of the samples that `row` gives of each row of the picture, for row `y`.
    fn sums<I: Iterator<Item = f32>>(&self, y: u32, row: impl Fn(u32) -> I) -> Vec<[f32; 3]> {
        let Some(down) = self.down.get(y as usize) else {
            return Vec::new();
        };
        let mut column = vec![0.0; self.picture.size().0 as usize * 3];
        for (offset, weight) in down.weights.iter().enumerate() {
            for (sum, value) in column.iter_mut().zip(row((down.first + offset) as u32)) {
                *sum += weight * value;
            }
        }
        let (pixels, _) = column.as_chunks::<3>();
        let across = self.across.iter().map(|span| {
            let mut sums = [0.0; 3];
            for (pixel, weight) in pixels[span.first..].iter().zip(&span.weights) {
                for (sum, value) in sums.iter_mut().zip(pixel) {
                    *sum += weight * value;
                }
            }
            sums
        });
        across.collect()
    }
}

/// Opacity from which on a pixel's color is known: half of what 8 bits can say.
const OPACITY_MIN: f32 = 0.5 / 255.0;

fn spans(from: u32, to: u32) -> Vec<Span> {
    if from == to {
        let own = |first| Span {
            first,
            weights: vec![1.0],
        };
        return (0..to as usize).map(own).collect();
    }
    raw_windows(from, to)
        .map(|(first, weights)| Span {
            first,
            weights: weights.into_iter().map(|weight| weight as f32).collect(),
        })
        .collect()
}

/// Binary places of a weight: as many as PIL's, whose sums have to fit 32 bits.
const BITS: u32 = 22;

/// The source pixels that make one destination pixel, and their weights in fixed point.
struct Window {
    first: usize,
    weights: Vec<i32>,
}

impl Window {
    fn weigh(&self, pixel: impl Fn(usize) -> [u8; 3]) -> [u8; 3] {
        let mut sums = [1i32 << (BITS - 1); 3];
        for (i, weight) in self.weights.iter().enumerate() {
            for (sum, value) in sums.iter_mut().zip(pixel(self.first + i)) {
                *sum += i32::from(value) * weight;
            }
        }
        sums.map(|sum| (sum >> BITS).clamp(0, 255) as u8)
    }
}

fn windows(from: u32, to: u32) -> Vec<Window> {
    let fixed = |weight: f64| (weight * f64::from(1 << BITS)).round() as i32;
    raw_windows(from, to)
        .map(|(first, weights)| Window {
            first,
            weights: weights.into_iter().map(fixed).collect(),
        })
        .collect()
}

/// For each destination pixel the first source pixel, and weights that sum to one.
fn raw_windows(from: u32, to: u32) -> impl Iterator<Item = (usize, Vec<f64>)> {
    let scale = f64::from(from) / f64::from(to);
    let widened = scale.max(1.0);
    let support = 3.0 * widened;
    (0..to).map(move |i| {
        let center = (f64::from(i) + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let raw: Vec<f64> = (first..end)
            .map(|x| kernel((x as f64 - center + 0.5) * (1.0 / widened)))
            .collect();
        let share = 1.0 / raw.iter().sum::<f64>();
        (
            first,
            raw.into_iter().map(|weight| weight * share).collect(),
        )
    })
}

fn kernel(x: f64) -> f64 {
    let sinc = |x: f64| {
        if x == 0.0 {
            1.0
        } else {
            (x * std::f64::consts::PI).sin() / (x * std::f64::consts::PI)
        }
    };
    if (-3.0..3.0).contains(&x) {
        sinc(x) * sinc(x / 3.0)
    } else {
        0.0
    }
}
