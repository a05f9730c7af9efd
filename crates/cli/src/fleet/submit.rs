//! `limekiln submit`: one edit through a gateway.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limekiln_lime::canvas::{Finish, Warning, for_format};
use limekiln_pictures::{Limits, decode};
use serde_json::{Value, json};

use super::client::{Client, text};
use crate::args::SubmitArgs;
use crate::output::{self, Target, print};
use crate::progress::Progress;
use crate::settings;

/// The files that an edit may have beside its result.
const ARTIFACTS: [(&str, &str); 5] = [
    ("roi", "roi.png"),
    ("segments", "segments.png"),
    ("attention", "attention.png"),
    ("overlay", "overlay.png"),
    ("report", "report.json"),
];

/// Submits, watches, fetches.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &SubmitArgs) -> Result<()> {
    let client = Client::new(&args.url, &args.key)?;
    let options = settings::options(&args.preset)?;
    let kept: Vec<&Path> = [Some(&args.image), args.mask.as_ref()]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
        .collect();
    let target = match &args.output {
        Some(path) => Target::new(path, &kept)?,
        None => Target::beside(&args.image)?,
    };
    if let Some(folder) = &args.artifacts {
        output::folder_make(folder)?;
    }

    let mut request = json!({
        "image": client.image(&read(&args.image)?).await?,
        "instruction": args.instruction,
        "preset": args.preset.preset,
        "options": options,
        "seed": args.seed,
        "keep_outside": args.keep_outside,
        "class": if args.bulk { "bulk" } else { "interactive" },
    });
    if let Some(mask) = &args.mask {
        request["mask"] = client.image(&read(mask)?).await?.into();
    }
    if let Some(size) = args.size {
        request["size"] = size.into();
    }
    if let Some(model) = &args.served_as {
        request["model"] = model.as_str().into();
    }
    let edit = client.edit(&request).await?;
    let id = text(&edit, "id")?.to_owned();
    if args.detach {
        print(&if args.json { edit.to_string() } else { id });
        return Ok(());
    }
    tokio::select! {
        followed = follow(&client, &id) => followed?,
        _ = tokio::signal::ctrl_c() => bail!("edit {id} goes on; GET {}v1/edits/{id} tells how it ends", args.url),
    }
    let edit: Value = client.get(&format!("/v1/edits/{id}")).await?.json().await?;
    match text(&edit, "state")? {
        "succeeded" => {}
        state => {
            let reason = edit.pointer("/error/message").and_then(Value::as_str);
            bail!(
                "edit {id} {state}{}",
                reason
                    .map(|reason| format!(": {reason}"))
                    .unwrap_or_default()
            );
        }
    }
    let result = client
        .get(&format!("/v1/edits/{id}/result"))
        .await?
        .bytes()
        .await?;
    let result = decode(&result, &Limits::FILE).context("the result can't be read")?;
    let finish = Finish::keeping_outside(args.keep_outside);
    for warning in warnings(&edit) {
        eprintln!("warning: {warning}");
    }
    if result.alpha.is_some() && !target.format.has_alpha() {
        eprintln!(
            "warning: a JPEG lies on white; name a .png or .webp file to keep the transparency"
        );
    }
    if finish == Finish::Paste && !target.format.is_lossless() {
        eprintln!("warning: {}", Warning::Lossy);
    }
    target.write(&for_format(result, target.format, finish))?;
    if let Some(folder) = &args.artifacts {
        artifacts(&client, &edit, &id, folder).await?;
    }
    print(&if args.json {
        edit.to_string()
    } else {
        target.path.display().to_string()
    });
    Ok(())
}

/// What the worker's report warns of.
fn warnings(edit: &Value) -> impl Iterator<Item = &str> {
    let warnings = edit.pointer("/report/warnings").and_then(Value::as_array);
    warnings.into_iter().flatten().filter_map(Value::as_str)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("{}: can't be read", path.display()))
}

/// Shows progress until the edit ends.
async fn follow(client: &Client, id: &str) -> Result<()> {
    let mut progress = Progress::new("");
    let number = |data: &Value, field: &str| {
        let value = data
            .pointer(&format!("/data/{field}"))
            .and_then(Value::as_u64);
        value.unwrap_or(0) as usize
    };
    let followed = client
        .events(id, |kind, data| match kind {
            "progress" => {
                let stage = data.pointer("/data/stage").and_then(Value::as_str);
                let (step, steps) = (number(data, "step"), number(data, "steps"));
                progress.show(stage.unwrap_or("edit"), (step, steps), (step, steps));
            }
            "preview" => {}
            other => progress.state(other),
        })
        .await;
    progress.finish();
    followed
}

/// Fetches what the edit has of its stages.
async fn artifacts(client: &Client, edit: &Value, id: &str, folder: &Path) -> Result<()> {
    let has = |kind: &str| {
        let artifacts = edit.get("artifacts").and_then(Value::as_array);
        artifacts
            .into_iter()
            .flatten()
            .any(|artifact| artifact["kind"] == kind)
    };
    for (kind, name) in ARTIFACTS {
        if has(kind) {
            let bytes = client
                .get(&format!("/v1/edits/{id}/{kind}"))
                .await?
                .bytes()
                .await?;
            output::write(&folder.join(name), &bytes)?;
        }
    }
    Ok(())
}
