//! From a finished edit to files.

use std::time::Duration;

use bytes::Bytes;
use image::DynamicImage;
use limekiln_finish::Error as FinishError;
use limekiln_jobs::{ArtifactKind, Failure, FailureClass};
use limekiln_lime::canvas::{self, CarryWay, Finish, Finished, View};
use limekiln_pictures::{Format, encode};

use crate::editor::contract::{Output, Outputs};
use crate::metrics;

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

/// The result first, then its matte and the stages as far as there are any, the report last.
pub(super) fn outputs(finished: Finished) -> Result<Outputs, Failure> {
    let result = Output {
        kind: ArtifactKind::Result,
        body: Bytes::from(finished.result.encode(Format::Png).map_err(failure)?),
        size: Some(finished.result.size()),
    };
    let mut files = vec![result];
    if let Some(matte) = finished.matte {
        files.push(png(ArtifactKind::Matte, &matte.into())?);
    }
    for (view, pixels) in finished.stages.views() {
        files.push(png(kind(view), &pixels)?);
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
    })
}

fn png(kind: ArtifactKind, pixels: &DynamicImage) -> Result<Output, Failure> {
    Ok(Output {
        kind,
        body: Bytes::from(encode::png(pixels).map_err(failure)?),
        size: Some((pixels.width(), pixels.height())),
    })
}

fn kind(view: View) -> ArtifactKind {
    match view {
        View::Roi => ArtifactKind::Roi,
        View::Overlay => ArtifactKind::Overlay,
        View::Segments => ArtifactKind::Segments,
        View::Attention => ArtifactKind::Attention,
    }
}

fn failure(error: impl std::error::Error) -> Failure {
    Failure::new(FailureClass::Internal, "drawing_failed", error.to_string())
}
