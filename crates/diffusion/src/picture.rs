//! Pictures to tensors and back, resized as PIL does it, rounded as diffusers does it.

use candle_core::{DType, Device, Tensor};
use image::RgbImage;

use crate::Error;

/// The largest multiple of `factor` that is not above `size`; what diffusers does to each side. Units: pixels.
pub fn floor_to(size: u32, factor: u32) -> u32 {
    size - size % factor.max(1)
}

/// `[1, 3, H, W]`, f32 in [-1, 1].
///
/// # Errors
///
/// When the device refuses the memory.
pub fn to_tensor(picture: &RgbImage, device: &Device) -> Result<Tensor, Error> {
    let (w, h) = picture.dimensions();
    let values: Vec<f32> = picture
        .as_raw()
        .iter()
        .map(|v| 2.0 * (f32::from(*v) / 255.0) - 1.0)
        .collect();
    let rows = Tensor::from_vec(values, (h as usize, w as usize, 3), &Device::Cpu)?;
    Ok(rows
        .permute((2, 0, 1))?
        .unsqueeze(0)?
        .contiguous()?
        .to_device(device)?)
}

/// The picture of a tensor `[1, 3, H, W]` or `[3, H, W]` in [-1, 1], of any floating dtype; values beyond are clamped.
///
/// # Errors
///
/// When the shape is another, or a value is not a number.
pub fn from_tensor(pixels: &Tensor) -> Result<RgbImage, Error> {
    let pixels = if pixels.rank() == 4 {
        pixels.squeeze(0)?
    } else {
        pixels.clone()
    };
    let (3, h, w) = pixels.dims3()? else {
        return Err(Error::Picture(format!(
            "a picture has 3 channels, the tensor is {:?}",
            pixels.dims()
        )));
    };
    let values: Vec<f32> = pixels
        .to_dtype(DType::F32)?
        .permute((1, 2, 0))?
        .flatten_all()?
        .to_vec1()?;
    if values.iter().any(|v| v.is_nan()) {
        return Err(Error::Picture(
            "the decoded picture is not a number somewhere: try dtype f32, or bf16 in place of f16"
                .into(),
        ));
    }
    let bytes = values
        .iter()
        .map(|v| ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8)
        .collect();
    RgbImage::from_raw(w as u32, h as u32, bytes)
        .ok_or_else(|| Error::Picture("the decoded picture is empty".into()))
}

/// PIL's `resize(.., LANCZOS)`: a windowed sinc of three lobes, widened when shrinking, one axis after the other with
/// 8-bit values between, in 22-bit fixed point. A side of zero gives an empty picture.
pub fn resize_lanczos(picture: &RgbImage, width: u32, height: u32) -> RgbImage {
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
    let scale = f64::from(from) / f64::from(to);
    let widened = scale.max(1.0);
    let support = 3.0 * widened;
    let window = |i: u32| {
        let center = (f64::from(i) + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let raw: Vec<f64> = (first..end)
            .map(|x| lanczos((x as f64 - center + 0.5) * (1.0 / widened)))
            .collect();
        let share = 1.0 / raw.iter().sum::<f64>();
        let fixed = |w: f64| (w * share * f64::from(1 << BITS)).round() as i32;
        Window {
            first,
            weights: raw.into_iter().map(fixed).collect(),
        }
    };
    (0..to).map(window).collect()
}

fn lanczos(x: f64) -> f64 {
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
