//! From the engine's outcome to files, beside the engine.

use bytes::Bytes;
use image::DynamicImage;
use limekiln_jobs::{ArtifactKind, Failure, FailureClass, Spec};
use limekiln_lime::Outcome;
use limekiln_pictures::compose::{alpha_resize, composed, with_alpha};
use limekiln_pictures::{encode, paint};
use serde_json::{Value, json};

use crate::Pixels;
use crate::editor::{Output, Outputs};

/// What the results are laid over.
pub(super) struct Canvas {
    pixels: Pixels,
    keep_outside: bool,
}

impl Canvas {
    pub(super) fn new(pixels: Pixels, spec: &Spec) -> Self {
        Self {
            pixels,
            keep_outside: spec.keep_outside,
        }
    }

    /// The files of an edit: the result first, then the stages as far as there were any, the report last.
    pub(super) fn draw(self, outcome: Outcome) -> Result<Outputs, Failure> {
        let picture = &self.pixels.picture;
        let size = picture.rgb.dimensions();
        let mut files = Vec::new();
        let mut png = |kind, pixels: DynamicImage| -> Result<(), Failure> {
            let size = Some((pixels.width(), pixels.height()));
            let body = encode::png(&pixels).map_err(|error| failure(&error.to_string()))?;
            files.push(Output {
                kind,
                body: Bytes::from(body),
                size,
            });
            Ok(())
        };

        // The user's own mask is the region, to the pixel.
        let located = outcome
            .roi
            .as_ref()
            .map(|roi| paint::mask_resize(roi, size));
        let roi = self.pixels.mask.as_ref().or(located.as_ref());
        let (result, seam) = if self.keep_outside {
            let (result, seam) = composed(&picture.rgb, &outcome.image, roi);
            (result, Some(seam))
        } else {
            (outcome.image, None)
        };
        let result_size = result.dimensions();
        let result = match &picture.alpha {
            Some(alpha) => with_alpha(&result, &alpha_resize(alpha, result_size)),
            None => result.into(),
        };
        png(ArtifactKind::Result, result)?;
        if let Some(roi) = roi {
            png(ArtifactKind::Roi, roi.clone().into())?;
            png(
                ArtifactKind::Overlay,
                paint::overlay(&picture.on_white(), roi).into(),
            )?;
        }
        if let Some(segments) = &outcome.segments {
            let painted = paint::segments(&segments.labels, segments.side, size);
            png(ArtifactKind::Segments, painted.into())?;
        }
        if let Some(map) = &outcome.attention {
            let painted = paint::heat(&map.values, map.side, size);
            png(ArtifactKind::Attention, painted.into())?;
        }

        let mut report =
            serde_json::to_value(&outcome.report).map_err(|error| failure(&error.to_string()))?;
        if let Value::Object(fields) = &mut report {
            fields.insert("input_size".to_owned(), json!(size));
            fields.insert("output_size".to_owned(), json!(result_size));
            let composite = seam.map(|seam| {
                json!({ "feather_px": seam.feather_px, "changed_outside_px": seam.changed_outside_px })
            });
            fields.insert("composite".to_owned(), json!(composite));
        }
        let body =
            serde_json::to_vec_pretty(&report).map_err(|error| failure(&error.to_string()))?;
        files.push(Output {
            kind: ArtifactKind::Report,
            body: Bytes::from(body),
            size: None,
        });
        Ok(Outputs {
            files,
            report: Some(report),
        })
    }
}

fn failure(message: &str) -> Failure {
    Failure::new(FailureClass::Internal, "drawing_failed", message)
}
