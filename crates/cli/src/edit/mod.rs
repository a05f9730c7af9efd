//! `limekiln edit`: one picture, from file to file.
//!
//! # Layout
//!
//! - `artifacts`: the stages as files
//! - `report`: what `--json` prints

mod artifacts;
mod report;

use std::path::Path;

use anyhow::{Result, anyhow};
use artifacts::Folder;
use limekiln_lime::Outcome;
use limekiln_lime::canvas::{
    self, Canvas, Error, Finish, Finishing, Recipe, Warning, length_check,
};
use limekiln_pictures::{Error as PictureError, Format, Source, Wish, leave_original};
use report::{FileReport, Report};

use crate::args::EditArgs;
use crate::color;
use crate::input;
use crate::models::Choice;
use crate::output;
use crate::progress::Progress;
use crate::settings::{self, Usage};
use crate::target::Target;

/// Says which checkpoint knows photographs.
const ADVICE: &str = "--model hf:timbrooks/instruct-pix2pix";

/// Everything an edit needs but the model: checked, read, known to be writable.
struct Job<'a> {
    args: &'a EditArgs,
    canvas: Canvas,
    /// The picture's file.
    input: Vec<u8>,
    finishing: Finishing,
    target: Target,
    folder: Option<Folder>,
}

/// Edits the picture and writes what the arguments ask for.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) fn run(args: &EditArgs) -> Result<()> {
    let preset = settings::preset(&args.preset)?;
    input::pipes_check(&args.image, args.mask.as_deref(), args.output.as_deref())?;
    let region = preset.locate.is_some() || args.mask.is_some();
    if preset.edit.is_none() && !region {
        return Err(explained(Error::NoRegion));
    }
    let color = color::color(&args.color)?;
    let paint = canvas::paint(
        &preset,
        &args.instruction,
        color.as_deref(),
        args.color.material.as_deref(),
    )
    .map_err(explained)?;
    let finishing = Finishing {
        paint: paint.clone(),
        ..settings::finishing(&args.finish, &preset, region)?
    };
    finishing.takes(&preset).map_err(explained)?;
    let choice = Choice::new(&args.model)?;
    let seed = settings::seed(args.seed, "seed");
    let recipe = Recipe::new(&args.instruction, seed, preset)
        .map_err(explained)?
        .painted(paint)
        .detailed(finishing.finish == Finish::Detail);
    let job = Job::new(args, finishing)?;
    warn(settings::finish_warning(&args.finish).as_slice());
    if let Some(outcome) = job.canvas.without_model(&recipe) {
        let warnings = job.warnings(false);
        warn(&warnings);
        return job.finish(outcome, warnings);
    }
    let model = choice.open()?;
    let side_max = args
        .size
        .unwrap_or_else(|| choice.size_default(model.factor()));
    let request = job
        .canvas
        .request(&recipe, side_max, model.factor() as u32)
        .map_err(explained)?;
    length_check(&model, &args.instruction).map_err(explained)?;
    let warnings = job.warnings(choice.built_in);
    warn(&warnings);

    let mut progress = Progress::new("");
    let outcome = limekiln_lime::run(&model, request, |edit| progress.edit(edit));
    progress.finish();
    let outcome = outcome?;
    job.finish(outcome, warnings)
}

fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// The error in the words of the command line: what can be done about it here is often a flag.
pub(crate) fn explained(error: Error) -> anyhow::Error {
    match error {
        Error::InstructionEmpty | Error::InstructionTooLong { .. } => {
            Usage(error.to_string()).into()
        }
        Error::Asked {
            field: "instruction",
            error,
        } => Usage(error.to_string()).into(),
        Error::Asked { field, error } => Usage(format!("--{field}: {error}")).into(),
        Error::NotRecolored { field, preset } => Usage(format!(
            "--{field}: the preset {preset} does not recolor: add --preset recolor or --preset auto; an edit with a region ends at --color \
             with --finish detail"
        ))
        .into(),
        Error::NoRegion => {
            Usage("this preset looks for no region: draw one with --mask".to_owned()).into()
        }
        Error::Picture(PictureError::TooNarrow {
            width,
            height,
            bound,
            factor,
        }) => anyhow!(
            "the picture is {width}x{height}: at --size {bound} its shorter side has less than the {factor} pixels that \
             the model needs; crop it or raise --size"
        ),
        other => other.into(),
    }
}

impl<'a> Job<'a> {
    fn new(args: &'a EditArgs, finishing: Finishing) -> Result<Self> {
        let limits = args.bounds.limits();
        let (mut canvas, input) = input::canvas_open(&args.image, &limits)?;
        if args.strip_metadata {
            canvas = canvas.without_metadata();
        }
        if let Some(mask) = &args.mask {
            canvas = input::mask_open(canvas, mask, &limits)?;
        }
        if args.color.matte {
            canvas = canvas.with_mask_refined();
        }
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
            .map(|folder| Folder::new(folder, &kept, target.given()))
            .transpose()?;
        if let (true, Some(format)) = (finishing.finish.is_full(), target.format()) {
            format.holds(canvas.size())?;
        }
        Ok(Self {
            args,
            canvas,
            input,
            finishing,
            target,
            folder,
        })
    }

    /// The format of the result's file, as far as it is known before the edit.
    fn format(&self) -> Format {
        let own = (self.canvas.original.format, self.finishing.finish.is_full());
        self.target.format().unwrap_or(match own {
            (Format::Jpeg, true) => Format::Jpeg,
            _ => Format::Png,
        })
    }

    /// What the user should know before waiting.
    fn warnings(&self, built_in: bool) -> Vec<String> {
        let warnings = self
            .canvas
            .warnings(built_in, self.finishing.finish, self.format());
        warnings
            .iter()
            .map(|warning| match warning {
                Warning::Photograph => format!("{warning}: {ADVICE}"),
                Warning::Transparent { .. }
                | Warning::Lossy
                | Warning::Shallow
                | Warning::Lost(_) => warning.to_string(),
            })
            .collect()
    }

    fn finish(self, outcome: Outcome, warnings: Vec<String>) -> Result<()> {
        let told = warnings.len();
        let finished = self
            .canvas
            .finish(outcome, self.finishing, warnings, &|| Ok(()))
            .map_err(explained)?;
        warn(&finished.report.edit.warnings[told..]);
        let source = finished.matte.as_ref().map(|matte| Source {
            input: &self.input,
            matte,
        });
        let wish = Wish {
            format: self.target.format(),
            strip_metadata: self.args.strip_metadata,
            ..Wish::default()
        };
        let left = leave_original(finished.result, source, &wish, &self.args.bounds.limits())?;
        if let (Some(moved), Some(why)) = (left.moved, &left.anew) {
            warn(&[output::coded_anew(moved, Some(why))]);
        }
        let path = self.target.write(&left.bytes, left.format)?;
        let artifacts = match &self.folder {
            Some(folder) => folder.write(&finished.stages, finished.matte.as_ref())?,
            None => Vec::new(),
        };
        let report = Report {
            version: env!("CARGO_PKG_VERSION"),
            input: self.args.image.display().to_string(),
            output: path.display().to_string(),
            artifacts,
            file: FileReport::of(&left),
            result: finished.report,
        };
        let json = serde_json::to_string_pretty(&report)?;
        if let Some(folder) = &self.folder {
            folder.report(&json)?;
        }
        self.target.say(&path, self.args.json.then_some(&*json));
        Ok(())
    }
}
