//! The three lanes of InstructPix2Pix and how they combine.

use candle_core::Tensor;

use crate::Error;

/// How far the prediction moves towards the instruction and towards the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// s_T, for the instruction.
    pub text: f64,
    /// s_I, for the picture.
    pub image: f64,
}

/// `none + s_T (text - image) + s_I (image - none)`: LIME's equation 2, InstructPix2Pix' equation 3.
/// All three in the same shape: the predictions given picture and instruction, the picture alone, and neither.
///
/// # Errors
/// When shapes differ.
pub fn combine(
    text: &Tensor,
    image: &Tensor,
    none: &Tensor,
    scales: Scales,
) -> Result<Tensor, Error> {
    let towards_text = ((text - image)? * scales.text)?;
    let towards_image = ((image - none)? * scales.image)?;
    Ok(((none + towards_text)? + towards_image)?)
}
