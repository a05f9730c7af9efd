//! What the report of an edit says.

use candle_core::Device;
use limekiln_diffusion::model::Model;
use limekiln_pictures::Mask;

use super::{machine::Edit, setup::Setup};
use crate::{
    preset::{Evidence, Locate},
    report::{Engine, Report, Steps, Way, Why},
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
    let unmoved = setup
        .apply()
        .and_then(|edit| edit.regularise.as_ref())
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
        let mut reused = edit.reused.clone();
        reused.sort_unstable();
        Self {
            preset: request.preset.clone(),
            seed: request.seed,
            instruction: request.instruction.clone(),
            size: request.image.dimensions(),
            steps: Steps {
                locate: edit.locate_steps_done,
                edit: if edit.denoised() { edit.run.step() } else { 0 },
            },
            timings: edit.timings,
            tokens_read: words::text_at(&setup.encoding, &read),
            tokens_moved: words::text_at(&setup.encoding, moved),
            words: words::words_at(&setup.encoding, &read),
            roi_share: edit.located.roi.as_ref().map(Mask::share),
            inertia: edit.located.inertia,
            window: edit.denoised().then(|| edit.window_report()).flatten(),
            lanes: edit.lanes_computed(),
            way: edit.way(),
            change: None,
            reused,
            region_from: edit.region_from.clone(),
            warnings: warnings(setup, edit.located.roi.as_ref()),
            engine: Some(Engine {
                model: model.name.clone(),
                fingerprint: model.fingerprint.clone(),
                device: device(&setup.device).into(),
                dtype: setup.path.into(),
                scheduler: setup.solver_name(),
            }),
        }
    }
}

impl Edit {
    /// Which way was taken, where there were two.
    fn way(&self) -> Option<Way> {
        let preset = &self.setup.request.preset;
        let (Some(recolor), Some(_)) = (&preset.recolor, &preset.edit) else {
            return None;
        };
        let unasked = Way::new(Why::NotAsked, None, recolor.sure);
        Some(self.judged.as_ref().map_or(unasked, |judged| judged.way))
    }
}

fn device(device: &Device) -> &'static str {
    match device {
        Device::Cpu => "cpu",
        Device::Cuda(_) => "cuda",
        Device::Metal(_) => "metal",
    }
}
