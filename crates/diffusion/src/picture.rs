//! Pictures to tensors and back, rounded as diffusers does it.

use candle_core::{DType, Device, Tensor};
use image::{ImageBuffer, Rgb, RgbImage};

use crate::Error;

/// The picture as `[1, 3, H, W]`, f32 in [-1, 1].
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
    let (width, height, values) = values(pixels)?;
    let bytes = values
        .iter()
        .map(|v| ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 255.0).round_ties_even() as u8)
        .collect();
    RgbImage::from_raw(width, height, bytes).ok_or_else(empty)
}

/// The same in 16 bits a channel, for whoever has room for what 8 bits round off.
///
/// # Errors
///
/// As [`from_tensor`].
pub fn deep_from_tensor(pixels: &Tensor) -> Result<ImageBuffer<Rgb<u16>, Vec<u16>>, Error> {
    let (width, height, values) = values(pixels)?;
    let samples = values
        .iter()
        .map(|v| ((v * 0.5 + 0.5).clamp(0.0, 1.0) * 65_535.0).round_ties_even() as u16)
        .collect();
    ImageBuffer::from_raw(width, height, samples).ok_or_else(empty)
}

/// Width, height, and the numbers of all pixels, row by row.
fn values(pixels: &Tensor) -> Result<(u32, u32, Vec<f32>), Error> {
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
    Ok((w as u32, h as u32, values))
}

fn empty() -> Error {
    Error::Picture("the decoded picture is empty".into())
}
