//! Seconds and memory of finishing: a picture read, its object found and recolored, an edit carried over to it, the result written.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use image::{RgbImage, imageops};
use limekiln_finish::{
    Carry, Choice, Color, Light, Object, Painted, Pixels, Region, Rendered, Result as Finished,
    Samples, recolor,
};
use limekiln_pictures::{Colors, Limits, Original};
use serde::Serialize;

use crate::error::{Error, Result};

/// The first color that the object is given, and a further one.
const COLORS: [[u8; 3]; 2] = [[31, 111, 139], [208, 16, 32]];
/// Quality of the JPEG that is read.
const QUALITY: u8 = 92;
/// Longer side of what a model's decoder shows, in pixels.
const MODEL_SIDE: u32 = 512;
/// Columns and rows of the region.
const REGION: (usize, usize) = (48, 36);

/// Figures of one size of picture; times in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Millions of pixels.
    pub megapixels: f64,
    /// The picture's file read.
    pub read_ms: f64,
    /// The object and its materials found.
    pub find_ms: f64,
    /// Where the main material ends.
    pub matte_ms: f64,
    /// That recolored.
    pub paint_ms: f64,
    /// The whole recolor: found, matte, painted.
    pub recolor_ms: f64,
    /// A further color, with the same matte.
    pub again_ms: f64,
    /// An edit at a model's size carried over, its object found and all of its materials' mattes made.
    pub carry_ms: f64,
    /// The result written as PNG.
    pub write_ms: f64,
    /// Most bytes held beyond picture and result by a recolor, a pixel; none where the system does not say.
    pub recolor_bytes: Option<f64>,
    /// The same of an edit carried over.
    pub carry_bytes: Option<f64>,
    /// The longest time of any of these in which nobody could have stopped it.
    pub unheard_ms: f64,
}

/// Measures one size after the other, given in millions of pixels, and calls `observe` after each. The picture is a cushion with
/// grain before a wall, the region a rectangle about it.
///
/// # Errors
///
/// What reading, finishing and writing say.
pub fn run(megapixels: &[f64], mut observe: impl FnMut(&Row)) -> Result<Vec<Row>> {
    megapixels
        .iter()
        .map(|size| {
            let row = row(*size)?;
            observe(&row);
            Ok(row)
        })
        .collect()
}

fn row(megapixels: f64) -> Result<Row> {
    let file = Original::from(drawn(megapixels)).jpeg(QUALITY)?;
    let began = Instant::now();
    let (original, _) = Original::read(&file, &Limits::FILE)?;
    let read_ms = milliseconds(began.elapsed());
    let Colors::Eight(picture) = &original.colors else {
        return Err(Error::Unfit("a JPEG has more than 8 bits".to_owned()));
    };
    let (light, region) = (Light::srgb(), region());
    let pixels = pixels(picture, &light)?;
    let heard = Heard::new();
    let beat = || heard.beat();
    let [first, further] = COLORS.map(Color::from_srgb8);
    let hold = Hold::new();
    let began = Instant::now();
    beat()?;
    let object = Object::find_with(&pixels, &region, None, &beat)?;
    let found = began.elapsed();
    let (mattes, _) = object.mattes(&pixels, &Choice::Main, &beat)?;
    drop(object);
    let matted = began.elapsed();
    let (painted, _) = recolor(&pixels, &mattes, first, &beat)?;
    let whole = began.elapsed();
    let recolor_bytes = hold.beyond(picture.len(), &pixels);
    beat()?;
    let began = Instant::now();
    recolor(&pixels, &mattes, further, &beat)?;
    let again = began.elapsed();
    drop(mattes);
    let Painted::Eight(samples) = painted else {
        return Err(Error::Unfit("8 bits became 16".to_owned()));
    };
    let result = RgbImage::from_raw(picture.width(), picture.height(), samples)
        .ok_or_else(|| Error::Unfit("the result has another size".to_owned()))?;
    let shown = [picture, &result].map(shrunk);
    let began = Instant::now();
    original
        .recolored(result.into())
        .encode(limekiln_pictures::Format::Png)?;
    let written = began.elapsed();
    let rendered = Rendered {
        before: self::pixels(&shown[0], &light)?,
        after: self::pixels(&shown[1], &light)?,
    };
    let hold = Hold::new();
    beat()?;
    let began = Instant::now();
    carried(&pixels, &region, &rendered, &beat)?;
    let carry = began.elapsed();
    let carry_bytes = hold.beyond(picture.len(), &pixels);
    beat()?;
    Ok(Row {
        megapixels,
        read_ms,
        find_ms: milliseconds(found),
        matte_ms: milliseconds(matted - found),
        paint_ms: milliseconds(whole - matted),
        recolor_ms: milliseconds(whole),
        again_ms: milliseconds(again),
        carry_ms: milliseconds(carry),
        write_ms: milliseconds(written),
        recolor_bytes,
        carry_bytes,
        unheard_ms: milliseconds(heard.longest()),
    })
}

/// An edit carried over as the finish `detail` does.
fn carried(
    pixels: &Pixels<'_>,
    region: &Region,
    rendered: &Rendered<'_>,
    beat: &(dyn Fn() -> Finished<()> + Sync),
) -> Result<()> {
    let object = Object::find_with(pixels, region, None, beat)?;
    let (mattes, _) = object.mattes(pixels, &Choice::All, beat)?;
    drop(object);
    Carry::fit(pixels, &mattes, rendered, &[], beat)?.paint(pixels, None, beat)?;
    Ok(())
}

fn pixels<'a>(picture: &'a RgbImage, light: &'a Light) -> Result<Pixels<'a>> {
    let size = (picture.width() as usize, picture.height() as usize);
    Ok(Pixels::new(
        size.0,
        size.1,
        Samples::Eight(picture.as_raw()),
        light,
    )?)
}

/// As a model's decoder might show it.
fn shrunk(picture: &RgbImage) -> RgbImage {
    let (width, height) = picture.dimensions();
    let times = f64::from(MODEL_SIDE) / f64::from(width.max(height));
    let side = |length: u32| ((f64::from(length) * times).round() as u32).max(1);
    imageops::thumbnail(picture, side(width), side(height))
}

fn region() -> Region {
    let (columns, rows) = REGION;
    let inside = |i: usize| (9..37).contains(&(i % columns)) && (9..28).contains(&(i / columns));
    let values = (0..columns * rows).map(|i| f32::from(u8::from(inside(i))));
    Region::new(columns, rows, values.collect())
}

/// A cushion with grain before a wall, four to three.
fn drawn(megapixels: f64) -> RgbImage {
    let width = (megapixels * 1e6 * 4.0 / 3.0).sqrt() as u32;
    let (width, height) = (width.max(64), (width * 3 / 4).max(48));
    let mut noise = 1_u32;
    RgbImage::from_fn(width, height, |x, y| {
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = 1.0 + 0.05 * ((noise >> 16) as f32 / 65_536.0 - 0.5);
        let (u, v) = (
            (x as f32 / width as f32 - 0.5) / 0.3,
            (y as f32 / height as f32 - 0.5) / 0.27,
        );
        let color = if u.powi(4) + v.powi(4) < 1.0 {
            [190.0, 60.0, 50.0].map(|value: f32| value * (1.0 - 0.25 * u))
        } else {
            [205.0, 200.0, 188.0]
        };
        image::Rgb(color.map(|value| (value * grain).min(255.0) as u8))
    })
}

/// When work was last asked whether it should stop, and the longest time between two askings.
struct Heard(Mutex<(Instant, Duration)>);

impl Heard {
    fn new() -> Self {
        Self(Mutex::new((Instant::now(), Duration::ZERO)))
    }

    fn beat(&self) -> Finished<()> {
        let mut heard = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *heard = (Instant::now(), heard.1.max(heard.0.elapsed()));
        Ok(())
    }

    fn longest(&self) -> Duration {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .1
    }
}

/// What the process held before something.
struct Hold(Option<u64>);

impl Hold {
    fn new() -> Self {
        limekiln_memory::give_back();
        limekiln_memory::peak_forget();
        Self(limekiln_memory::resident())
    }

    /// Bytes a pixel that were held since beyond a result of this many.
    fn beyond(self, result: usize, pixels: &Pixels<'_>) -> Option<f64> {
        let held = limekiln_memory::peak()?.saturating_sub(self.0?);
        let count = pixels.width() * pixels.height();
        Some(held.saturating_sub(result as u64) as f64 / count as f64)
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_is_measured() {
        let mut seen = 0;
        let rows = run(&[0.1], |_| seen += 1).unwrap();
        assert_eq!((rows.len(), seen), (1, 1));
        let row = &rows[0];
        assert!(row.recolor_ms >= row.find_ms + row.matte_ms && row.paint_ms > 0.0);
        assert!(row.carry_ms > 0.0 && row.again_ms > 0.0 && row.unheard_ms > 0.0);
    }
}
