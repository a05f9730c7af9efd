//! `limekiln verify`.

use std::path::Path;

use anyhow::{Context, Result, bail};
use limekiln_pictures::{Limits, Verdict, verify};

use crate::args::VerifyArgs;
use crate::input;
use crate::output::print;
use crate::settings::Usage;

/// Compares the files and says what it found.
///
/// # Errors
///
/// When the result is not its input's own outside the matte; [`Usage`] when a file can't be read.
pub(crate) fn run(args: &VerifyArgs) -> Result<()> {
    let (input, result) = (read(&args.input)?, read(&args.result)?);
    let mattes: Vec<Vec<u8>> = args
        .mattes
        .iter()
        .map(|matte| read(matte))
        .collect::<Result<_>>()?;
    let mattes: Vec<&[u8]> = mattes.iter().map(Vec::as_slice).collect();
    let verdict = verify(&input, &result, &mattes, &Limits::ACCEPTED).map_err(|unread| {
        let paths = [&args.input, &args.result].into_iter().chain(&args.mattes);
        let path = paths.into_iter().nth(unread.file);
        Usage(format!(
            "{}: {}",
            path.map_or_else(String::new, |path| path.display().to_string()),
            unread.error
        ))
    })?;
    if args.json {
        print(&serde_json::to_string_pretty(&verdict)?);
    } else {
        print(&told(&verdict));
    }
    if verdict.kept {
        return Ok(());
    }
    bail!("{}: {}", args.result.display(), verdict.faults.join("; "))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    input::read(path, &Limits::ACCEPTED)
        .with_context(|| path.display().to_string())
        .map_err(|error| Usage(format!("{error:#}")).into())
}

fn told(verdict: &Verdict) -> String {
    let (width, height) = verdict.size;
    let mut lines = vec![match verdict.matte.bounds {
        Some([left, top, across, down]) => format!(
            "matte   {:.2} % of {width}x{height}, within {across}x{down} at {left},{top}",
            100.0 * verdict.matte.share
        ),
        None => format!("matte   nothing of {width}x{height}"),
    }];
    if let Some(blocks) = &verdict.blocks {
        lines.push(format!(
            "blocks  {} that the matte does not reach: {} differ; {} that it reaches",
            blocks.untouched, blocks.changed, blocks.touched
        ));
    }
    if let Some(pixels) = &verdict.pixels {
        lines.push(format!(
            "pixels  {} outside the matte: {} differ",
            pixels.pixels, pixels.changed
        ));
        lines.push(format!("blake3  {} before", pixels.before));
        lines.push(format!("        {} after", pixels.after));
    }
    if verdict.kept {
        lines.push("ok      everything outside the matte is the input's own".to_owned());
    }
    lines.join("\n")
}
