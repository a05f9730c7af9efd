//! From the model's picture to the result, its report and the pictures of its stages.

use candle_core::Tensor;
use image::{DynamicImage, GrayImage, RgbImage};
use limekiln_pictures::compose::{Pasted, Seam, paste};
use limekiln_pictures::{Colors, Depth, Format, Mask, Original, paint};
use serde::Serialize;

use super::read::Canvas;
use crate::edit::Outcome;
use crate::report::Report;
use crate::roi::{Map, Segments};

/// How the model's picture becomes the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// The result is the model's picture, at its working size.
    None,
    /// The result is the input with the model's picture, enlarged, laid over it inside the region.
    Paste,
}

impl Finish {
    /// As the option `keep_outside` has it.
    pub fn keeping_outside(keep: bool) -> Self {
        if keep { Self::Paste } else { Self::None }
    }
}

/// Which of an edit's stages a picture shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The region: 255 inside, 0 outside.
    Roi,
    /// The input with everything outside the region faded.
    Overlay,
    /// The segments that the region was put together from.
    Segments,
    /// The map that says where the instruction acts.
    Attention,
}

impl View {
    /// Every view, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Roi, Self::Overlay, Self::Segments, Self::Attention];

    /// Name of its file without extension, and of its artifact in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Roi => "roi",
            Self::Overlay => "overlay",
            Self::Segments => "segments",
            Self::Attention => "attention",
        }
    }
}

/// What determined the result, and what came of it. Sizes are width and height in pixels.
#[derive(Clone, Debug, Serialize)]
pub struct ResultReport {
    /// Size of the input, upright.
    pub input_size: (u32, u32),
    /// Size of the result.
    pub output_size: (u32, u32),
    /// How the result was put together; none with [`Finish::None`].
    pub composite: Option<Seam>,
    /// The engine's report. Its warnings begin with those of the picture.
    #[serde(flatten)]
    pub edit: Report,
}

/// An edit that is done.
#[derive(Clone, Debug)]
pub struct Finished {
    /// The edited picture at the input's depth and in its color space, with its transparency and metadata.
    pub result: Original,
    /// Which pixels of the result are the input's own: those that are 0. None with [`Finish::None`].
    pub matte: Option<GrayImage>,
    /// What determined it.
    pub report: ResultReport,
    /// What the edit found on its way.
    pub stages: Stages,
}

/// What an edit found on its way to the result.
#[derive(Clone, Debug)]
pub struct Stages {
    /// f32 `[1, channels, h, w]`, before decoding.
    pub latents: Tensor,
    input: Original,
    roi: Option<GrayImage>,
    segments: Option<Segments>,
    attention: Option<Map>,
}

impl Canvas {
    /// Makes the result from the engine's outcome. `warnings` are put before the engine's own in the report.
    pub fn finish(self, outcome: Outcome, finish: Finish, mut warnings: Vec<String>) -> Finished {
        let (width, height) = self.size();
        // The user's own mask is the region to the pixel; the engine knows it at the working size only.
        let roi = self.mask.or_else(|| {
            let roi = Mask::from_image(outcome.roi.as_ref()?);
            Some(roi.resized(width as usize, height as usize).to_image())
        });
        let edited = match self.original.depth() {
            Depth::Eight => Colors::Eight(outcome.image),
            Depth::Sixteen => Colors::Sixteen(outcome.deep),
        };
        let (result, matte, composite) = match finish {
            Finish::None => (self.original.with_colors(&edited), None, None),
            Finish::Paste => {
                let Pasted {
                    result,
                    matte,
                    seam,
                } = paste(&self.original, &edited, roi.as_ref());
                (result, Some(matte), Some(seam))
            }
        };
        let mut edit = outcome.report;
        warnings.append(&mut edit.warnings);
        edit.warnings = warnings;
        Finished {
            report: ResultReport {
                input_size: (width, height),
                output_size: result.size(),
                composite,
                edit,
            },
            result,
            matte,
            stages: Stages {
                latents: outcome.latents,
                input: self.original,
                roi,
                segments: outcome.segments,
                attention: outcome.attention,
            },
        }
    }
}

impl Stages {
    /// A picture of a stage, of the input's size; none where the edit had no such stage.
    pub fn view(&self, view: View) -> Option<DynamicImage> {
        let size = self.input.size();
        let roi = self.roi.as_ref();
        let painted: RgbImage = match view {
            View::Roi => return Some(roi?.clone().into()),
            View::Overlay => paint::overlay(&self.input.on_white(), roi?),
            View::Segments => {
                let segments = self.segments.as_ref()?;
                paint::segments(&segments.labels, segments.side, size)
            }
            View::Attention => {
                let map = self.attention.as_ref()?;
                paint::heat(&map.values, map.side, size)
            }
        };
        Some(painted.into())
    }

    /// The pictures of all stages that the edit had, each painted when it is asked for.
    pub fn views(&self) -> impl Iterator<Item = (View, DynamicImage)> {
        View::ALL
            .into_iter()
            .filter_map(|view| Some((view, self.view(view)?)))
    }
}

/// A result as a file of `format` holds it. Where the format has no transparency, a pasted result is laid on white, since its
/// transparent pixels hide colors of the input; the model's own picture was made on white and is taken as it is.
pub fn for_format(mut result: Original, format: Format, finish: Finish) -> Original {
    if format.has_alpha() {
        return result;
    }
    if finish == Finish::Paste {
        return result.flat();
    }
    result.alpha = None;
    result
}

#[cfg(test)]
mod tests {
    use image::{Luma, Rgb, Rgba};
    use limekiln_pictures::Picture;

    use super::*;

    #[test]
    fn what_transparency_hides_stays_hidden() {
        let hidden = Picture {
            rgb: RgbImage::from_pixel(2, 2, Rgb([0; 3])),
            alpha: Some(GrayImage::from_pixel(2, 2, Luma([0]))),
        };
        let pixel = |format, finish| {
            let pixels = for_format(hidden.clone().into(), format, finish);
            let pixels = DynamicImage::from(pixels.into_picture());
            (
                pixels.color().has_alpha(),
                *pixels.to_rgba8().get_pixel(0, 0),
            )
        };
        let clear = (true, Rgba([0; 4]));
        assert_eq!(pixel(Format::Png, Finish::Paste), clear);
        assert_eq!(pixel(Format::WebP, Finish::None), clear);
        let white = (false, Rgba([255; 4]));
        assert_eq!(pixel(Format::Jpeg, Finish::Paste), white);
        // The model's own picture hides nothing.
        let own = (false, Rgba([0, 0, 0, 255]));
        assert_eq!(pixel(Format::Jpeg, Finish::None), own);
    }
}
