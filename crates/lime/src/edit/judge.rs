//! Between the stages: whether the object in the full-size picture is sure enough to be recolored, so that nothing is denoised.

use limekiln_diffusion::pulse;
use limekiln_finish::Error as FinishError;

use super::{machine::Edit, stage::Stage};
use crate::{
    error::{Error, Result},
    found::{self, Sought},
    known::Object,
    report::{Way, Why},
};

/// What was found, and which way that led.
pub(crate) struct Judged {
    pub(crate) way: Way,
    /// What is to be recolored; none where the picture is edited.
    pub(crate) found: Option<Object>,
}

impl Edit {
    /// Looks for the object, and goes the way that it says.
    pub(super) fn find(&mut self) -> Result<()> {
        let Some(full) = self.setup.request.full.clone() else {
            return self.begin_apply();
        };
        let least = self
            .setup
            .request
            .preset
            .recolor
            .map_or(0.0, |recolor| recolor.sure);
        let light = found::light(&full.original.space);
        let pixels = found::pixels(&full.original, &light)?;
        let beat = || {
            pulse::beat();
            Ok(())
        };
        let sought = Sought {
            original: &full.original,
            mask: full.mask.as_ref(),
            located: (self.located.roi.as_ref(), self.located.map.as_ref()),
            materials: &full.paint.materials,
        };
        let found = Object::of(&pixels, &sought, self.object.take(), &beat);
        let (why, found) = match found {
            Ok(object) if object.found.sure >= least => (Why::Sure, Some(object)),
            Ok(found) => (Why::NotSure, Some(found)),
            Err(FinishError::NothingFound | FinishError::RegionEmpty) => (Why::NothingFound, None),
            Err(error) => return Err(Error::Finish(error)),
        };
        let way = Way::new(why, found.as_ref().map(|object| object.found.sure), least);
        let found = found.filter(|_| why.recolors());
        self.judged = Some(Judged { way, found });
        if why.recolors() {
            self.stage = Stage::Decode;
            Ok(())
        } else {
            self.begin_apply()
        }
    }

    /// What is recolored in place of stage 2.
    pub(super) fn recolored(&self) -> Option<&Object> {
        self.judged.as_ref()?.found.as_ref()
    }
}
