//! From a finished edit to files.

use bytes::Bytes;
use image::DynamicImage;
use limekiln_jobs::{ArtifactKind, Failure, FailureClass};
use limekiln_lime::canvas::{Finished, View};
use limekiln_pictures::{Format, encode};

use crate::editor::contract::{Output, Outputs};

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
