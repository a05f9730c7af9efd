//! From a finished edit to files.

use std::time::Duration;

use bytes::Bytes;
use image::DynamicImage;
use limekiln_finish::Error as FinishError;
use limekiln_jobs::api::{Part, Parts};
use limekiln_jobs::{ArtifactKind, Failure, FailureClass};
use limekiln_lime::canvas::{self, Canvas, CarryWay, Finish, Finished, View};
use limekiln_lime::known::Kind;
use limekiln_lime::{Known, Outcome};
use limekiln_pictures::{Format, encode};

use crate::editor::contract::{Output, Outputs};
use crate::metrics;

/// Stages that are kept with the edit. The overlay is made of the input and the region when it is asked for.
const KEPT: [(View, ArtifactKind); 3] = [
    (View::Roi, ArtifactKind::Roi),
    (View::Segments, ArtifactKind::Segments),
    (View::Attention, ArtifactKind::Attention),
];

/// Counts what became of an edit that could be recolored, and by which way one was carried over.
pub(super) fn count(finished: &Result<Finished, canvas::Error>) {
    let report = match finished {
        Ok(finished) => &finished.report,
        Err(canvas::Error::Finish(FinishError::NothingFound | FinishError::RegionEmpty)) => {
            return metrics::recolor("not_found");
        }
        Err(_) => return,
    };
    if let Some(carry) = &report.carry {
        metrics::detail(match carry.way {
            CarryWay::Color => "color",
            CarryWay::Enlarged => "enlarged",
        });
    }
    let recolor = report.recolor.as_ref();
    match (
        recolor.filter(|_| report.finish == Finish::Recolor),
        report.edit.way,
    ) {
        (Some(recolor), _) => {
            let parts = [
                ("find", recolor.find_ms),
                ("matte", recolor.matte_ms),
                ("paint", recolor.paint_ms),
            ];
            for (part, ms) in parts {
                metrics::stage(part, Duration::from_secs_f64(ms.max(0.0) / 1e3));
            }
            let least = report
                .edit
                .preset
                .recolor
                .map_or(0.0, |recolor| recolor.sure);
            metrics::recolor(match recolor.sure >= least {
                true => "sure",
                false => "unsure",
            });
        }
        (None, Some(_)) => metrics::recolor("edited"),
        (None, None) => {}
    }
}

/// The result first, or what it changed where that is asked for and can be told, then its matte and the stages as far as there are
/// any, the report last.
pub(super) fn outputs(finished: Finished, patched: bool) -> Result<Outputs, Failure> {
    let patch = patched.then(|| finished.patch()).flatten();
    let (kind, body) = match patch {
        Some(patch) => (ArtifactKind::Patch, patch.png()),
        None => (ArtifactKind::Result, finished.result.encode(Format::Png)),
    };
    let result = Output {
        kind,
        body: Bytes::from(body.map_err(failure)?),
        size: Some(finished.result.size()),
    };
    let mut files = vec![result];
    if let Some(matte) = finished.matte {
        files.push(png(ArtifactKind::Matte, &matte.into())?);
    }
    for (view, kind) in KEPT {
        if let Some(pixels) = finished.stages.view(view) {
            files.push(png(kind, &pixels)?);
        }
    }
    let report = serde_json::to_value(&finished.report).map_err(failure)?;
    files.push(Output {
        kind: ArtifactKind::Report,
        body: serde_json::to_vec_pretty(&report).map_err(failure)?.into(),
        size: None,
    });
    Ok(Outputs {
        files,
        report: Some(report),
        made: kept(&finished.made),
        matte: finished.made.object_key(),
    })
}

/// What the edit computed of its picture, for others. They do without it where it can't be written.
fn kept(made: &Known) -> Vec<(Kind, Bytes)> {
    match made.to_bytes() {
        Ok(made) => made
            .into_iter()
            .map(|(kind, bytes)| (kind, bytes.into()))
            .collect(),
        Err(error) => {
            tracing::warn!(%error, "nothing is kept for other edits");
            Vec::new()
        }
    }
}

/// The segments by number, what each of them is, and the report.
pub(super) fn segments(
    canvas: &Canvas,
    outcome: Outcome,
    preset: String,
) -> Result<Outputs, Failure> {
    let Outcome {
        segments,
        report,
        made,
        ..
    } = outcome;
    let numbered = segments
        .and_then(|segments| canvas.numbered(&segments))
        .ok_or_else(|| failure("no segments were made"))?;
    let (width, height) = canvas.size();
    let engine = report.engine.as_ref();
    let grid = numbered.labels.side();
    let parts = (1..).zip(numbered.parts).map(|(number, part)| {
        let [red, green, blue] = part.color;
        Part {
            number,
            area: part.area,
            bounds: part.bounds,
            color: format!("#{red:02X}{green:02X}{blue:02X}"),
        }
    });
    let parts = Parts {
        model: engine
            .map(|engine| engine.model.clone())
            .unwrap_or_default(),
        fingerprint: engine
            .map(|engine| engine.fingerprint.clone())
            .unwrap_or_default(),
        preset,
        width,
        height,
        grid,
        segments: parts.collect(),
    };
    let report = serde_json::to_value(&report).map_err(failure)?;
    let json = |kind, body| Output {
        kind,
        body: Bytes::from(body),
        size: None,
    };
    let labels = Output {
        kind: ArtifactKind::Labels,
        body: Bytes::from(numbered.labels.png().map_err(failure)?),
        size: Some((grid, grid)),
    };
    let parts = serde_json::to_vec(&parts).map_err(failure)?;
    let said = serde_json::to_vec_pretty(&report).map_err(failure)?;
    Ok(Outputs {
        files: vec![
            labels,
            json(ArtifactKind::Parts, parts),
            json(ArtifactKind::Report, said),
        ],
        report: Some(report),
        made: kept(&made),
        matte: None,
    })
}

fn png(kind: ArtifactKind, pixels: &DynamicImage) -> Result<Output, Failure> {
    Ok(Output {
        kind,
        body: Bytes::from(encode::png(pixels).map_err(failure)?),
        size: Some((pixels.width(), pixels.height())),
    })
}

fn failure(error: impl std::fmt::Display) -> Failure {
    Failure::new(FailureClass::Internal, "drawing_failed", error.to_string())
}
