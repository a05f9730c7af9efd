//! `limekiln edit`: one picture, from file to file.
//!
//! # Layout
//!
//! - `photo`: whether a picture is one that the built-in model knows
//! - `report`: what `--json` prints

mod photo;
mod report;

use std::path::Path;

use anyhow::{Result, anyhow};
use image::{DynamicImage, GrayImage, RgbImage};
use limekiln_diffusion::model::Model;
use limekiln_lime::{Outcome, Preset, Request};
use limekiln_pictures::compose::{alpha_resize, composed, on_white, with_alpha};
use limekiln_pictures::{Error, Picture, paint, size};
use report::{Composite, Report};

use crate::args::EditArgs;
use crate::artifacts::Folder;
use crate::engine;
use crate::input::{mask_open, picture_open};
use crate::models::Choice;
use crate::output::{Target, print};
use crate::progress::Progress;
use crate::settings::{self, Usage};

/// Everything an edit needs but the model: checked, read, known to be writable.
struct Job<'a> {
    args: &'a EditArgs,
    preset: Preset,
    picture: Picture,
    /// Of the picture's size.
    mask: Option<GrayImage>,
    target: Target,
    folder: Option<Folder>,
}

/// Edits the picture and writes what the arguments ask for.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) fn run(args: &EditArgs) -> Result<()> {
    if args.instruction.trim().is_empty() {
        return Err(Usage(
            "the instruction is empty: say what to change, such as \"make the sofa red\""
                .to_owned(),
        )
        .into());
    }
    let choice = Choice::new(&args.model)?;
    let job = Job::new(args)?;
    let model = choice.open()?;
    let size = size::working(
        job.picture.rgb.dimensions(),
        args.size.unwrap_or(choice.size_default()),
        factor(&model),
    )
    .map_err(sliver)?;
    if let Some(cut) = model.tokenizer.encode(&args.instruction)?.cut {
        return Err(Usage(format!(
            "the instruction has more than 77 tokens; say it shorter, {cut:?} would be cut"
        ))
        .into());
    }
    let warnings = job.warnings(choice.built_in);
    warnings
        .iter()
        .for_each(|warning| eprintln!("warning: {warning}"));

    let mut progress = Progress::new("");
    let outcome = engine::run(&model, job.request(size), |edit| progress.edit(edit));
    progress.finish();
    job.finish(outcome?, warnings)
}

fn factor(model: &Model) -> u32 {
    model.vae.config().factor() as u32
}

/// What can be done about it here is a flag.
fn sliver(error: Error) -> anyhow::Error {
    match error {
        Error::TooNarrow {
            width,
            height,
            bound,
            factor,
        } => anyhow!(
            "the picture is {width}x{height}: at --size {bound} its shorter side has less than the {factor} pixels that \
             the model needs; crop it or raise --size"
        ),
        other => other.into(),
    }
}

impl<'a> Job<'a> {
    fn new(args: &'a EditArgs) -> Result<Self> {
        let preset = settings::preset(&args.preset)?;
        let picture = picture_open(&args.image)?;
        let mask = args
            .mask
            .as_deref()
            .map(|path| mask_open(path, picture.rgb.dimensions()))
            .transpose()?;
        let kept: Vec<&Path> = [Some(&args.image), args.mask.as_ref()]
            .into_iter()
            .flatten()
            .map(AsRef::as_ref)
            .collect();
        let target = match &args.output {
            Some(path) => Target::new(path, &kept)?,
            None => Target::beside(&args.image)?,
        };
        let folder = args
            .artifacts
            .as_deref()
            .map(|folder| Folder::new(folder, &kept))
            .transpose()?;
        Ok(Self {
            args,
            preset,
            picture,
            mask,
            target,
            folder,
        })
    }

    /// What the user should know before waiting.
    fn warnings(&self, built_in: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if built_in && !photo::looks_drawn(&self.picture.rgb) {
            warnings.push(photo::ADVICE.to_owned());
        }
        if self.picture.alpha.is_some() {
            let result = if self.target.format.has_alpha() {
                "the result keeps it"
            } else {
                "a JPEG result lies on white, too; name a .png or .webp file to keep it"
            };
            warnings.push(format!(
                "the picture is partly transparent: the model sees it on white; {result}"
            ));
        }
        if self.args.keep_outside && !self.target.format.is_lossless() {
            warnings.push(
                "JPEG changes every pixel a little, those outside too; name a .png or .webp file"
                    .to_owned(),
            );
        }
        warnings
    }

    fn request(&self, working: (u32, u32)) -> Request {
        let mask = self
            .mask
            .as_ref()
            .map(|mask| size::mask_shrink(mask, working));
        Request {
            image: size::shrink(&self.picture.on_white(), working),
            instruction: self.args.instruction.clone(),
            seed: self.args.seed,
            preset: self.preset.clone(),
            mask,
            scheduler: None,
        }
    }

    fn finish(&self, outcome: Outcome, mut warnings: Vec<String>) -> Result<()> {
        let input_size = self.picture.rgb.dimensions();
        // The user's own mask is the region, to the pixel.
        let roi = outcome
            .roi
            .as_ref()
            .map(|roi| paint::mask_resize(roi, input_size));
        let roi = self.mask.as_ref().or(roi.as_ref());
        let (result, composite) = self.composed(&outcome.image, roi);
        let output_size = result.dimensions();
        self.target.write(&self.with_alpha(result))?;
        let artifacts = match &self.folder {
            Some(folder) => folder.write(&self.picture.on_white(), roi, &outcome)?,
            None => Vec::new(),
        };

        let mut edit = outcome.report;
        edit.warnings
            .iter()
            .for_each(|warning| eprintln!("warning: {warning}"));
        warnings.append(&mut edit.warnings);
        edit.warnings = warnings;
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            input: self.args.image.display().to_string(),
            input_size,
            output: self.target.path.display().to_string(),
            output_size,
            artifacts,
            composite,
            edit,
        };
        let json = serde_json::to_string_pretty(&report)?;
        if let Some(folder) = &self.folder {
            folder.report(&json)?;
        }
        print(if self.args.json {
            &json
        } else {
            &report.output
        });
        Ok(())
    }

    /// The edited picture, or with --keep-outside the input with the edit laid over it inside `roi` (everywhere,
    /// where there is none).
    fn composed(
        &self,
        edited: &RgbImage,
        roi: Option<&GrayImage>,
    ) -> (RgbImage, Option<Composite>) {
        if !self.args.keep_outside {
            return (edited.clone(), None);
        }
        let (result, seam) = composed(&self.picture.rgb, edited, roi);
        let composite = Composite {
            feather_px: seam.feather_px,
            changed_outside_px: seam.changed_outside_px,
        };
        (result, Some(composite))
    }

    /// The result as it is written: with the input's transparency, or on white where the format has none.
    fn with_alpha(&self, result: RgbImage) -> DynamicImage {
        let Some(alpha) = &self.picture.alpha else {
            return result.into();
        };
        let alpha = alpha_resize(alpha, result.dimensions());
        if self.target.format.has_alpha() {
            with_alpha(&result, &alpha)
        } else if self.args.keep_outside {
            on_white(&result, &alpha).into()
        } else {
            result.into()
        }
    }
}
