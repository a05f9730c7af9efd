//! From the model's picture to the result, its report and the pictures of its stages.

use std::sync::Arc;

use candle_core::Tensor;
use image::{DynamicImage, GrayImage, RgbImage, imageops};
use limekiln_pictures::compose::{Pasted, Seam, paste};
use limekiln_pictures::original::{Metadata, Opacity};
use limekiln_pictures::{Colors, Depth, Mask, Original, Patch, paint, size};
use serde::Serialize;

use super::detail::{Carry, CarryReport, Detailed, Edited};
use super::error::Error;
use super::read::Canvas;
use super::recolor::{RecolorReport, Recolored};
use crate::edit::Outcome;
use crate::found::{Beat, Paint};
use crate::known::{Kind, Known};
use crate::preset::Preset;
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
    /// The result is the input with the model's change of color or light carried over to it, or, where the edit is none, with the
    /// model's picture joined to it where it changed something.
    Detail,
    /// The result is the input with its object in another color. Nobody asks for it by this name: it is what becomes of an
    /// edit that is recolored.
    Recolor,
}

impl Finish {
    /// Whether the result is the input at its own size, with the edit in it.
    pub fn is_full(self) -> bool {
        self != Self::None
    }
}

/// A finish, and whether somebody asked for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Finishing {
    /// How the model's picture becomes the result.
    pub finish: Finish,
    /// Whether nobody asked for it. An edit that finds no region gets that of [`Finish::None`] then.
    pub by_default: bool,
    /// Which way [`Finish::Detail`] takes.
    pub carry: Carry,
    /// What is to be recolored, as [`super::paint`] reads it.
    pub paint: Option<Paint>,
}

impl Finishing {
    /// The model's picture stays as it is.
    pub const NONE: Self = Self {
        finish: Finish::None,
        by_default: false,
        carry: Carry::Auto,
        paint: None,
    };

    /// Checks that the color that is given is used.
    ///
    /// # Errors
    ///
    /// Where the preset only edits, and this finish keeps the model's own colors.
    pub fn takes(&self, preset: &Preset) -> Result<(), Error> {
        let used = preset.recolor.is_some() || self.finish == Finish::Detail;
        if self.paint.is_some() && !used {
            return Err(Error::NotRecolored {
                field: "color",
                preset: preset.name.clone(),
            });
        }
        Ok(())
    }

    /// What the edit came to: `region` is whether it found one.
    fn settled(&self, region: bool) -> Finish {
        if (self.by_default || self.finish == Finish::Detail) && !region {
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
    /// How the edit was carried over; none with other finishes than [`Finish::Detail`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub carry: Option<CarryReport>,
    /// What was recolored; none where the picture was edited and no color was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recolor: Option<RecolorReport>,
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
    /// What was computed of the picture that was not known before.
    pub made: Known,
    /// What the edit found on its way.
    pub stages: Stages,
}

/// What an edit found on its way to the result.
#[derive(Clone, Debug)]
pub struct Stages {
    /// f32 `[1, channels, h, w]`, before decoding; none where nothing was denoised.
    pub latents: Option<Tensor>,
    input: Arc<Original>,
    roi: Option<GrayImage>,
    segments: Option<Segments>,
    attention: Option<Map>,
}

impl Canvas {
    /// Makes the result from the engine's outcome. `warnings` are put before the engine's own in the report. `beat` is called
    /// between pieces of work, and can end it.
    ///
    /// # Errors
    ///
    /// Where there is nothing to recolor; what `beat` gives.
    pub fn finish(
        self,
        outcome: Outcome,
        finishing: Finishing,
        mut warnings: Vec<String>,
        beat: Beat<'_>,
    ) -> Result<Finished, Error> {
        let (width, height) = self.size();
        let Outcome {
            decoded,
            found,
            region: located,
            changeable,
            segments,
            attention,
            mut made,
            report: mut edit,
            roi: _,
        } = outcome;
        warnings.append(&mut edit.warnings);
        let (latents, result) = match decoded {
            Some(decoded) => {
                let after = decoded.deep;
                let edited = match self.original.depth() {
                    Depth::Eight => Colors::Eight(decoded.image),
                    Depth::Sixteen => Colors::Sixteen(after.clone()),
                };
                let region = self.mask.is_some() || located.is_some();
                let finish = finishing.settled(region);
                if finish != finishing.finish {
                    warnings.push(NOT_PASTED.to_owned());
                }
                let rendered = decoded
                    .before
                    .as_deref()
                    .filter(|_| finish == Finish::Detail);
                let detailed = match rendered {
                    Some(before) => {
                        let edit = Edited {
                            rendered: (before, &after),
                            located: (located.as_ref(), attention.as_ref()),
                            changeable: changeable.as_ref(),
                            instruction: &edit.instruction,
                            carry: finishing.carry,
                            color: finishing
                                .paint
                                .as_ref()
                                .filter(|paint| paint.words.is_none()),
                        };
                        self.detailed(&edit, beat)?
                    }
                    None => None,
                };
                let made = match detailed {
                    Some(mut detailed) => {
                        warnings.append(&mut detailed.warnings);
                        detailed.into()
                    }
                    None => {
                        let pasted = if finish == Finish::Detail {
                            Finish::Paste
                        } else {
                            finish
                        };
                        self.laid(&edited, pasted, located.as_ref())
                    }
                };
                (Some(decoded.latents), made)
            }
            None => {
                let paint = finishing.paint.ok_or(limekiln_finish::Error::NoneAsked)?;
                let least = edit.preset.recolor.map_or(0.0, |recolor| recolor.sure);
                let located = (located.as_ref(), attention.as_ref());
                let mut recolored = self.recolored(found, located, (&paint, least), beat)?;
                warnings.append(&mut recolored.warnings);
                match recolored.fresh.take() {
                    Some(object) => made.object = Some(object),
                    None => edit.reused.push(Kind::Matte),
                }
                (None, recolored.into())
            }
        };
        // The user's own mask is the region to the pixel; the engine knows it at the working size only.
        let roi = match self.mask {
            Some(mask) => Some(Arc::unwrap_or_clone(mask.pixels)),
            None => located.map(|roi| roi.resized(width as usize, height as usize).to_image()),
        };
        edit.warnings = warnings;
        Ok(Finished {
            report: ResultReport {
                input_size: (width, height),
                output_size: result.result.size(),
                finish: result.finish,
                composite: result.seam,
                carry: result.carry,
                recolor: result.recolor,
                edit,
            },
            result: result.result,
            matte: result.matte,
            made,
            stages: Stages {
                latents,
                input: self.original,
                roi,
                segments,
                attention,
            },
        })
    }

    /// The model's picture as the result, or laid over the input.
    fn laid(&self, edited: &Colors, finish: Finish, located: Option<&Mask>) -> Made {
        if finish == Finish::None {
            return Made {
                result: self.original.with_colors(edited),
                matte: None,
                finish,
                seam: None,
                carry: None,
                recolor: None,
            };
        }
        let located = located.map(Mask::to_image);
        let own = self.mask.as_ref().map(|mask| &*mask.pixels);
        let Pasted {
            result,
            matte,
            seam,
        } = paste(&self.original, edited, own.or(located.as_ref()));
        Made {
            result,
            matte: Some(matte),
            finish,
            seam: Some(seam),
            carry: None,
            recolor: None,
        }
    }
}

/// A result, and how it was made.
struct Made {
    result: Original,
    matte: Option<GrayImage>,
    finish: Finish,
    seam: Option<Seam>,
    carry: Option<CarryReport>,
    recolor: Option<RecolorReport>,
}

impl From<Detailed> for Made {
    fn from(detailed: Detailed) -> Self {
        Self {
            result: detailed.result,
            matte: Some(detailed.matte),
            finish: Finish::Detail,
            seam: Some(detailed.seam),
            carry: Some(detailed.report),
            recolor: detailed.recolor,
        }
    }
}

impl From<Recolored> for Made {
    fn from(recolored: Recolored) -> Self {
        Self {
            result: recolored.result,
            matte: Some(recolored.matte),
            finish: Finish::Recolor,
            seam: Some(recolored.seam),
            carry: None,
            recolor: Some(recolored.report),
        }
    }
}

/// Longer side of the stages' pictures, in pixels: they are for people to look at.
const VIEW_SIDE: u32 = 1024;
/// The same of the map, which has few values and nothing between them.
const MAP_SIDE: u32 = 256;

impl Finished {
    /// What the result has that the input has not; none where they differ in more than the matte tells.
    pub fn patch(&self) -> Option<Patch> {
        let matte = self.matte.as_ref()?;
        let seam = self.report.composite.as_ref()?;
        let patch = || Patch::of(&self.stages.input, &self.result, matte);
        (seam.changed_outside_px == 0).then(patch).flatten()
    }
}

impl Stages {
    /// A picture of a stage; none where the edit had no such stage. The region has the input's size, since it says which of
    /// its pixels were edited. The others are there to be looked at, and have at most 1,024 pixels a side, the map 256.
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
                let size = size::bounded(self.input.size(), MAP_SIDE);
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
