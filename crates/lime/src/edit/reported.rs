//! What the report of an edit says.

use candle_core::Device;
use limekiln_diffusion::model::Model;
use limekiln_pictures::Mask;

use super::{machine::Edit, setup::Setup};
use crate::{
    preset::{Evidence, Locate},
    report::{Change, Report, Steps},
    words,
};

/// A region of more than this share is nearly everything.
const NEARLY_ALL: f64 = 0.9;
/// A region of less than this share is nearly nothing.
const NEARLY_NONE: f64 = 0.001;

/// What the user should know of how the request was understood, and of the region.
fn warnings(setup: &Setup, roi: Option<&Mask>) -> Vec<String> {
    let preset = &setup.request.preset;
    let mut warnings = Vec::new();
    if let Some(cut) = &setup.encoding.cut {
        warnings.push(format!(
            "the instruction is too long; this was cut: {cut:?}"
        ));
    }
    let unread = |locate: &Locate| {
        setup.request.mask.is_none()
            && locate.map.evidence == Evidence::Attention
            && setup.read(&locate.map).is_empty()
    };
    let unmoved = preset
        .edit
        .regularise
        .as_ref()
        .is_some_and(|regularise| setup.nothing_penalised(regularise.tokens));
    if preset.locate.as_ref().is_some_and(unread) {
        warnings.push(
            "no word of the instruction says where to edit; edited without localisation".into(),
        );
    } else if unmoved {
        warnings.push(
            "every word of the instruction is a stop word; attention was not regularised".into(),
        );
    }
    if let Some(share) = roi.map(Mask::share) {
        let percent = 100.0 * share;
        if share > NEARLY_ALL {
            warnings.push(format!(
                "the region is nearly the whole picture ({percent:.1} %)"
            ));
        } else if share < NEARLY_NONE {
            warnings.push(format!(
                "the region is nearly nothing ({percent:.2} % of the picture)"
            ));
        }
    }
    warnings
}

impl Report {
    /// All but how far the result is from the input, which is not known before it is decoded.
    pub(super) fn new(model: &Model, edit: &Edit) -> Self {
        let setup = &edit.setup;
        let request = &setup.request;
        let read = setup
            .locate()
            .filter(|locate| locate.map.evidence == Evidence::Attention);
        let read = read
            .map(|locate| setup.read(&locate.map))
            .unwrap_or_default();
        let moved = edit
            .bias
            .as_ref()
            .map(|bias| bias.positions())
            .unwrap_or_default();
        Self {
            preset: request.preset.clone(),
            seed: request.seed,
            instruction: request.instruction.clone(),
            size: request.image.dimensions(),
            steps: Steps {
                locate: edit.locate_steps_done,
                edit: edit.run.step(),
            },
            timings: edit.timings,
            tokens_read: words::text_at(&setup.encoding, &read),
            tokens_moved: words::text_at(&setup.encoding, moved),
            words: words::words_at(&setup.encoding, &read),
            roi_share: edit.located.roi.as_ref().map(Mask::share),
            inertia: edit.located.inertia,
            window: edit.window_report(),
            lanes: edit.lanes_computed(),
            change: Change::default(),
            warnings: warnings(setup, edit.located.roi.as_ref()),
            model: model.name.clone(),
            fingerprint: model.fingerprint.clone(),
            device: device(&setup.device).into(),
            dtype: setup.dtype.as_str().into(),
            scheduler: setup.solver_name(),
        }
    }
}

fn device(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}
