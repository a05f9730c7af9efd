//! The palette of objects.

use crate::rng::Rng;

/// An opaque sRGB color.
pub type Rgb = [u8; 3];

/// The 12 colors that objects come in and that instructions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Color {
    Red,
    Orange,
    Yellow,
    Green,
    Teal,
    Blue,
    Purple,
    Pink,
    Brown,
    Black,
    White,
    Gray,
}

impl Color {
    /// All colors, in the palette's order.
    pub const ALL: [Self; 12] = [
        Self::Red,
        Self::Orange,
        Self::Yellow,
        Self::Green,
        Self::Teal,
        Self::Blue,
        Self::Purple,
        Self::Pink,
        Self::Brown,
        Self::Black,
        Self::White,
        Self::Gray,
    ];

    /// The color itself; objects are drawn in slight variations of it.
    #[must_use]
    pub const fn rgb(self) -> Rgb {
        match self {
            Self::Red => [200, 40, 40],
            Self::Orange => [230, 130, 40],
            Self::Yellow => [235, 205, 60],
            Self::Green => [60, 150, 70],
            Self::Teal => [40, 150, 150],
            Self::Blue => [50, 90, 200],
            Self::Purple => [130, 60, 170],
            Self::Pink => [235, 130, 170],
            Self::Brown => [125, 80, 45],
            Self::Black => [35, 35, 38],
            Self::White => [240, 240, 238],
            Self::Gray => [135, 135, 138],
        }
    }

    /// The English word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Teal => "teal",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
            Self::Black => "black",
            Self::White => "white",
            Self::Gray => "gray",
        }
    }
}

/// `color` with each channel moved by up to `spread`.
pub(crate) fn vary(color: Rgb, spread: f32, rng: &mut Rng) -> Rgb {
    // `as u8` saturates and drops the fraction.
    color.map(|channel| (f32::from(channel) + rng.between(-spread, spread)) as u8)
}
