//! From the model's picture to the result, its report and the pictures of its stages.

use candle_core::Tensor;
use image::{DynamicImage, GrayImage, RgbImage, imageops};
use limekiln_pictures::compose::{Pasted, Seam, paste};
use limekiln_pictures::original::{Metadata, Opacity};
use limekiln_pictures::{Colors, Depth, Mask, Original, paint, size};
use serde::Serialize;

use super::read::Canvas;
use crate::edit::Outcome;
use crate::report::Report;
use crate::roi::{Map, Segments};

/// How the model's picture becomes the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The result is the model's picture, at its working size.
    None,
    /// The result is the input with the model's picture, enlarged, laid over it inside the region.
    Paste,
}

/// A finish, and whether somebody asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finishing {
    /// How the model's picture becomes the result.
    pub finish: Finish,
    /// Whether nobody asked for it. An edit that finds no region gets that of [`Finish::None`] then.
    pub by_default: bool,
}

impl Finishing {
    /// The model's picture stays as it is.
    pub const NONE: Self = Self {
        finish: Finish::None,
        by_default: false,
    };

    /// What the edit came to: `region` is whether it found one.
    fn settled(self, region: bool) -> Finish {
        if self.by_default && !region {
            Finish::None
        } else {
            self.finish
        }
    }
}

const NOT_PASTED: &str = "no region was found: the result is the model's own picture, at its working size; name the object \
                          in the instruction, give a mask, or ask for the finish \"paste\" to have it at the picture's size";

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
    /// How the model's picture became the result.
    pub finish: Finish,
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
    pub fn finish(
        self,
        outcome: Outcome,
        finishing: Finishing,
        mut warnings: Vec<String>,
    ) -> Finished {
        let (width, height) = self.size();
        // The user's own mask is the region to the pixel; the engine knows it at the working size only.
        let roi = self.mask.or_else(|| {
            let roi = Mask::from_image(outcome.roi.as_ref()?);
            Some(roi.resized(width as usize, height as usize).to_image())
        });
        let finish = finishing.settled(roi.is_some());
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
        if finish != finishing.finish {
            warnings.push(NOT_PASTED.to_owned());
        }
        edit.warnings = warnings;
        Finished {
            report: ResultReport {
                input_size: (width, height),
                output_size: result.size(),
                finish,
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

/// Longer side of the stages' pictures, in pixels: they are for people to look at.
const VIEW_SIDE: u32 = 1024;

impl Stages {
    /// A picture of a stage; none where the edit had no such stage. The region has the input's size, since it says which of
    /// its pixels were edited. The others are there to be looked at, and have at most 1,024 pixels a side.
    pub fn view(&self, view: View) -> Option<DynamicImage> {
        let size = size::bounded(self.input.size(), VIEW_SIDE);
        let roi = self.roi.as_ref();
        let painted: RgbImage = match view {
            View::Roi => return Some(roi?.clone().into()),
            View::Overlay => {
                let roi = Mask::from_image(roi?).resized(size.0 as usize, size.1 as usize);
                paint::overlay(&self.shown(size), &roi.to_image())
            }
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

    /// The input on white, shrunk to this size.
    fn shown(&self, (width, height): (u32, u32)) -> RgbImage {
        if self.input.size() == (width, height) {
            return self.input.on_white();
        }
        // Shrunk first: then there is little to convert to sRGB.
        let colors = match &self.input.colors {
            Colors::Eight(pixels) => Colors::Eight(imageops::thumbnail(pixels, width, height)),
            Colors::Sixteen(pixels) => Colors::Sixteen(imageops::thumbnail(pixels, width, height)),
        };
        let alpha = self.input.alpha.as_ref().map(|alpha| match alpha {
            Opacity::Eight(values) => Opacity::Eight(imageops::thumbnail(values, width, height)),
            Opacity::Sixteen(values) => {
                Opacity::Sixteen(imageops::thumbnail(values, width, height))
            }
        });
        let small = Original {
            colors,
            alpha,
            space: self.input.space.clone(),
            metadata: Metadata::default(),
            format: self.input.format,
        };
        small.on_white()
    }

    /// The pictures of all stages that the edit had, each painted when it is asked for.
    pub fn views(&self) -> impl Iterator<Item = (View, DynamicImage)> {
        View::ALL
            .into_iter()
            .filter_map(|view| Some((view, self.view(view)?)))
    }
}
