//! `limekiln submit`: one edit through a gateway.

use std::path::Path;

use anyhow::{Context, Result, bail};
use limekiln_jobs::{
    ArtifactKind, Class, EditId, EditRequest, EditView, EventKind, Finish, Progress, SessionId,
    StateName,
};
use limekiln_lime::canvas::{self, Finishing, Warning};
use limekiln_pictures::{Format, Limits};
use serde_json::Value;

use super::client::Client;
use super::segments::{self, Picture};
use crate::args::{RequestArgs, SubmitArgs};
use crate::color;
use crate::edit::explained;
use crate::input;
use crate::output::{self, print};
use crate::progress;
use crate::settings;
use crate::target::Target;

/// What an edit starts from.
pub(super) enum From<'a> {
    /// A picture, as the first turn of a session if one is given.
    Image(&'a Path, Option<SessionId>),
    /// A turn of a session; without one, its head.
    Turn(SessionId, Option<EditId>),
}

/// `limekiln submit`.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &SubmitArgs) -> Result<()> {
    send(&args.request, From::Image(&args.image, args.session)).await
}

/// Submits the edit, follows it, and downloads its files.
///
/// # Errors
///
/// One line that says what to do.
pub(super) async fn send(args: &RequestArgs, from: From<'_>) -> Result<()> {
    let client = Client::new(&args.gateway.url, &args.gateway.key)?;
    // A turn has no file of its own to lie beside.
    let (picture, name) = match from {
        From::Image(path, _) => (Some(path), path),
        From::Turn(..) => (None, Path::new("turn.png")),
    };
    let options = settings::options(&args.preset)?;
    input::pipes_check(name, args.mask.as_deref(), args.output.as_deref())?;
    let seed = settings::seed(args.seed, "seed");
    let kept: Vec<&Path> = [picture, args.mask.as_deref()]
        .into_iter()
        .flatten()
        .collect();
    let target = match &args.output {
        Some(path) => Target::new(path, &kept)?,
        None => Target::beside(name)?,
    };
    if let Some(folder) = &args.artifacts {
        let names = ArtifactKind::ALL.map(ArtifactKind::file_name);
        output::artifacts_folder(folder, names, &kept, target.given())?;
    }
    let preset = settings::preset(&args.preset)?;
    let finish = settings::finish_of(&args.finish, &preset)?;
    let color = color::color(&args.color)?;
    let material = args.color.material.clone();
    let paint = canvas::paint(
        &preset,
        &args.instruction,
        color.as_deref(),
        material.as_deref(),
    );
    let region = preset.locate.is_some() || args.mask.is_some() || args.region.is_given();
    let finishing = Finishing {
        paint: paint.map_err(explained)?,
        ..settings::finishing(&args.finish, &preset, region)?
    };
    finishing.takes(&preset).map_err(explained)?;

    let image = match picture {
        Some(path) => Some(client.image_create(read(path)?).await?),
        None => None,
    };
    let expected = finish.unwrap_or_else(|| Finish::by_default(region));
    if let (true, Some(format), Some(image)) = (expected.is_full(), target.format(), &image) {
        format.holds((image.width, image.height))?;
    }
    let mask = match &args.mask {
        Some(mask) => Some(client.image_create(read(mask)?).await?.id),
        None => None,
    };
    let picture = match (&image, &from) {
        (Some(image), _) => Picture::Image(image.id),
        (None, From::Turn(_, Some(parent))) => Picture::Result(*parent),
        (None, From::Turn(session, None) | From::Image(_, Some(session))) => {
            Picture::Head(*session)
        }
        (None, From::Image(_, None)) => bail!("there is no picture to edit"),
    };
    let region = segments::region(&client, &args.region, picture).await?;
    let request = EditRequest {
        region,
        image: image.as_ref().map(|image| image.id),
        mask,
        instruction: args.instruction.clone(),
        preset: Some(args.preset.preset.clone()),
        options: Some(options),
        seed: Some(seed),
        size: args.size,
        finish,
        carry: args.finish.carry,
        reuse: args.reuse,
        color,
        material,
        matte: args.color.matte,
        strip_metadata: args.strip_metadata,
        model: args.served_as.clone(),
        class: if args.bulk {
            Class::Bulk
        } else {
            Class::Interactive
        },
        ..EditRequest::default()
    };
    let accepted = match from {
        From::Image(_, session) => {
            client
                .edit_create(&EditRequest { session, ..request })
                .await?
        }
        From::Turn(session, parent) => {
            let turn = EditRequest { parent, ..request };
            client.turn_create(session, &turn).await?
        }
    };
    let id = accepted.id;
    if let Some(why) = waits(&client, args.served_as.as_deref()).await {
        eprintln!("{why}");
    }
    if args.detach {
        print(&if args.json {
            serde_json::to_string(&accepted)?
        } else {
            id.to_string()
        });
        return Ok(());
    }
    tokio::select! {
        followed = follow(&client, id) => followed?,
        _ = tokio::signal::ctrl_c() => {
            let address = client.url(&format!("/v1/edits/{id}"))?;
            bail!("edit {id} goes on; GET {address} tells how it ends")
        }
    }
    let edit = client.edit_get(id).await?;
    if edit.state != StateName::Succeeded {
        let reason = edit.error.map(|error| format!(": {}", error.message));
        bail!("edit {id} {}{}", edit.state, reason.unwrap_or_default());
    }
    let file = client.result_get(id, target.format()).await?;
    let jpeg = Format::Jpeg.media_type();
    let was_jpeg = image.is_some_and(|image| image.media_type == jpeg);
    warn(args, &edit, file.format, was_jpeg);
    if let Some(moved) = file.moved.filter(|_| was_jpeg) {
        eprintln!("warning: {}", output::coded_anew(moved, None));
    }
    let path = target.write(&file.bytes, file.format)?;
    if let Some(folder) = &args.artifacts {
        artifacts(&client, &edit, folder).await?;
    }
    let json = serde_json::to_string(&edit)?;
    target.say(&path, args.json.then_some(&*json));
    Ok(())
}

/// Prints what the user should know of the edit and of its result's file.
fn warn(args: &RequestArgs, edit: &EditView, format: Format, was_jpeg: bool) {
    let warn = |warning: &dyn std::fmt::Display| eprintln!("warning: {warning}");
    if let Some(warning) = settings::finish_warning(&args.finish) {
        warn(&warning);
    }
    // The worker's file keeps transparency; this one may not.
    let kept = Warning::Transparent { kept: true }.to_string();
    for warning in warnings(edit) {
        if warning == kept && !format.has_alpha() {
            warn(&Warning::Transparent { kept: false });
        } else {
            warn(&warning);
        }
    }
    let report = edit.report.as_ref();
    let none = Finish::None.as_str();
    let pasted = report.is_some_and(|report| report["finish"] != none);
    // A JPEG that was one keeps the blocks outside.
    if pasted && !format.is_lossless() && !was_jpeg {
        warn(&Warning::Lossy);
    }
}

/// Why an edit can't start now, where there is nobody to start it.
async fn waits(client: &Client, model: Option<&str>) -> Option<String> {
    // Whatever is wrong with this question, the edit was accepted.
    let models = client.models().await.ok()?.data;
    let asked = models.iter().find(|known| match model {
        Some(name) => known.id.as_str() == name,
        None => known.default,
    })?;
    (asked.workers == 0).then(|| {
        format!(
            "waiting: no worker holds the model {} now; the edit starts when one does (`limekiln work`)",
            asked.id
        )
    })
}

/// What the worker's report warns of.
fn warnings(edit: &EditView) -> impl Iterator<Item = &str> {
    let report = edit.report.as_ref();
    let warnings = report.and_then(|report| report.get("warnings")?.as_array());
    warnings.into_iter().flatten().filter_map(Value::as_str)
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    input::read(path, &Limits::FILE).with_context(|| path.display().to_string())
}

/// Shows progress until the edit ends.
async fn follow(client: &Client, id: EditId) -> Result<()> {
    let mut bar = progress::Progress::new("");
    let followed = client
        .edit_follow(id, |event| match event.progress() {
            Some(Progress { stage, step, steps }) => {
                bar.whole(&stage, (step as usize, steps as usize));
            }
            // It may be told when the next stage has begun.
            None if event.kind == EventKind::Located => bar.note(event.kind.as_str()),
            None => bar.state(event.kind.as_str()),
        })
        .await;
    bar.finish();
    followed
}

/// Downloads the files that the edit has beside its result.
async fn artifacts(client: &Client, edit: &EditView, folder: &Path) -> Result<()> {
    let listed = edit.artifacts.iter().map(|artifact| artifact.kind);
    let mut kinds: Vec<ArtifactKind> = listed.collect();
    // It is made when it is asked for.
    if edit.links.overlay.is_some() && !kinds.contains(&ArtifactKind::Overlay) {
        kinds.push(ArtifactKind::Overlay);
    }
    // Files of kinds that came later than this command have no names here.
    let named = |kind: &ArtifactKind| {
        let inner = [ArtifactKind::Result, ArtifactKind::Patch];
        ArtifactKind::ALL.contains(kind) && !inner.contains(kind)
    };
    for kind in kinds.into_iter().filter(named) {
        let bytes = client.artifact_get(edit.id, kind).await?;
        output::write(&folder.join(kind.file_name()), &bytes)?;
    }
    Ok(())
}
