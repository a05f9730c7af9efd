//! How large pixels are, and how a picture is stored.

use image::metadata::Orientation;

/// Pixels per length, across and down the upright picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Resolution {
    /// Across.
    pub x: f64,
    /// Down.
    pub y: f64,
    /// Of which length.
    pub per: Length,
}

/// A length that pixels are counted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// A metre.
    Metre,
    /// Unknown: only the shape of a pixel is said.
    Unknown,
}

impl Resolution {
    /// From pixels per inch.
    pub fn per_inch(x: f64, y: f64) -> Self {
        Self {
            x: x / METRES_PER_INCH,
            y: y / METRES_PER_INCH,
            per: Length::Metre,
        }
    }

    /// Pixels per inch, across and down; none where the length is unknown.
    pub fn inches(&self) -> Option<(f64, f64)> {
        (self.per == Length::Metre).then_some((self.x * METRES_PER_INCH, self.y * METRES_PER_INCH))
    }

    pub(crate) fn turned(self) -> Self {
        Self {
            x: self.y,
            y: self.x,
            ..self
        }
    }
}

const METRES_PER_INCH: f64 = 0.0254;

/// Whether turning a picture upright swaps its sides.
pub(crate) fn is_turned(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}
