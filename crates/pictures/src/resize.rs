//! Resizing, byte for byte as PIL does it: the models saw pictures that PIL had shrunk.

use image::RgbImage;

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
    let scale = f64::from(from) / f64::from(to);
    let widened = scale.max(1.0);
    let support = 3.0 * widened;
    let window = |i: u32| {
        let center = (f64::from(i) + 0.5) * scale;
        let first = (center - support + 0.5).max(0.0) as usize;
        let end = ((center + support + 0.5) as usize).min(from as usize);
        let raw: Vec<f64> = (first..end)
            .map(|x| kernel((x as f64 - center + 0.5) * (1.0 / widened)))
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
