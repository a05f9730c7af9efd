//! What the user should know about the picture and the file of the result.

use std::fmt;

use limekiln_pictures::{Colors, Format};

use super::finish::Finish;
use super::read::Canvas;

/// Neighbours that differ by no more than this in any channel are alike; JPEG moves a flat area by as much.
const ALIKE: u8 = 2;
/// Least share of alike neighbours in a drawing: drawn rooms are flat nearly everywhere, photographs nearly nowhere.
const ALIKE_SHARE: f64 = 0.8;

/// Something the user should know before waiting for the result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The model was trained on drawings alone, and the picture looks like a photograph.
    Photograph,
    /// The model sees the picture on white.
    Transparent {
        /// Whether the result's file keeps the transparency.
        kept: bool,
    },
    /// The result's format changes the pixels that were to be kept.
    Lossy,
    /// The input has 16 bits, and the result's format 8.
    Shallow,
    /// Something of the input's file does not go through.
    Lost(limekiln_pictures::Warning),
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lost(lost) => return lost.fmt(f),
            Self::Photograph => {
                "the built-in model knows drawn rooms only; for a photograph name a real checkpoint"
            }
            Self::Transparent { kept: true } => {
                "the picture is partly transparent: the model sees it on white; the result keeps it"
            }
            Self::Transparent { kept: false } => {
                "the picture is partly transparent: the model sees it on white; a JPEG result lies on white, too; name a .png \
                 or .webp file to keep it"
            }
            Self::Shallow => {
                "the picture has 16 bits a channel, and a result in this format 8; name a .png file to keep them"
            }
            Self::Lossy => {
                "JPEG changes every pixel a little, those outside too; name a .png or .webp file"
            }
        })
    }
}

impl Canvas {
    /// Warnings of an edit whose result is finished and written so. `drawings_only`: whether the model knows nothing else.
    pub fn warnings(&self, drawings_only: bool, finish: Finish, format: Format) -> Vec<Warning> {
        let photograph = drawings_only && !looks_drawn(&self.original.colors);
        let transparent = self.original.alpha.is_some();
        // A JPEG that was one keeps the blocks outside.
        let kept = format == Format::Jpeg && self.original.format == Format::Jpeg;
        let lossy = finish != Finish::None && !format.is_lossless() && !kept;
        [
            photograph.then_some(Warning::Photograph),
            transparent.then_some(Warning::Transparent {
                kept: format.has_alpha(),
            }),
            lossy.then_some(Warning::Lossy),
            (self.original.depth() > format.depth()).then_some(Warning::Shallow),
        ]
        .into_iter()
        .flatten()
        .chain(self.lost.iter().cloned().map(Warning::Lost))
        .collect()
    }
}

/// Whether most neighbouring pixels are alike, as in a drawing. A guess: a very smooth photograph counts as drawn.
fn looks_drawn(picture: &Colors) -> bool {
    let (mut alike, mut all) = (0u64, 0u64);
    let most = 257 * u16::from(ALIKE);
    for y in 0..picture.size().1 {
        let row = picture.row(y);
        let (row, _) = row.as_chunks::<3>();
        for [one, other] in row.array_windows() {
            let mut channels = one.iter().zip(other);
            alike += u64::from(channels.all(|(a, b)| a.abs_diff(*b) <= most));
            all += 1;
        }
    }
    alike as f64 >= ALIKE_SHARE * all as f64
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use limekiln_pictures::Picture;

    use super::*;

    #[test]
    fn rooms_look_drawn_and_noise_does_not() {
        for index in 0..20 {
            let scene = limekiln_rooms::bench_pair(0, index).before;
            assert!(
                looks_drawn(&limekiln_rooms::draw(&scene, 128).into()),
                "room {index}"
            );
        }
        let noisy = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 91) as u8 % 23 + 100; 3]));
        assert!(!looks_drawn(&noisy.into()));
    }

    #[test]
    fn warnings_are_of_picture_model_and_file() {
        let rgb = RgbImage::from_fn(64, 64, |x, y| Rgb([(x * 37 + y * 91) as u8; 3]));
        let mut clear = Canvas::from(rgb.clone());
        let transparent = Picture {
            rgb: rgb.clone(),
            alpha: Some(GrayImage::from_pixel(64, 64, Luma([7]))),
        };
        clear.original = std::sync::Arc::new(transparent.into());
        let transparent = |kept| Warning::Transparent { kept };
        assert_eq!(
            clear.warnings(true, Finish::Paste, Format::Png),
            [Warning::Photograph, transparent(true)]
        );
        assert_eq!(
            clear.warnings(false, Finish::Paste, Format::Jpeg),
            [transparent(false), Warning::Lossy]
        );
        let plain = Canvas::from(rgb);
        assert_eq!(plain.warnings(false, Finish::None, Format::Jpeg), []);
    }
}
