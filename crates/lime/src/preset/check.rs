//! Whether a preset's fields make sense.

use std::fmt::Display;

use super::{
    fields::{Apply, Guide, Locate, Preset},
    window::Window,
};
use crate::error::{Error, Result};

/// Most steps of a run: one for each step of training.
const STEPS: usize = 1000;

/// Most draws of noise that one call of stage 1 reads.
const DRAWS: usize = 8;

impl Preset {
    /// Errors name the field, what it is, and what it may be.
    pub fn validate(&self) -> Result<()> {
        if let Some(locate) = &self.locate {
            locate.validate()?;
        }
        if let Some(recolor) = &self.recolor {
            range("recolor.sure", recolor.sure, 0.0, 1.0)?;
        }
        match &self.edit {
            Some(edit) => edit.validate(),
            None if self.recolor.is_some() => Ok(()),
            None => Err(Error::Preset(
                "edit and recolor are both off: nothing would be done to the picture".into(),
            )),
        }
    }
}

impl Apply {
    fn validate(&self) -> Result<()> {
        let edit = self;
        range("edit.steps", edit.steps, 1, STEPS)?;
        guide("edit.scales", edit.scales)?;
        if let Some(regularise) = &edit.regularise {
            window("edit.regularise.steps", regularise.steps)?;
            range("edit.regularise.strength", regularise.strength, 0.0, 1e6)?;
        }
        if let Some(blend) = &edit.blend {
            window("edit.blend.steps", blend.steps)?;
            range("edit.blend.grow", blend.grow, 0, 64)?;
            range("edit.blend.matte", blend.matte, 0, 64)?;
        }
        if let Some(window) = &edit.window {
            range("edit.window.least", window.least.unwrap_or(1), 1, 1024)?;
            range("edit.window.margin", window.margin, 0, 64)?;
            range("edit.window.margin_share", window.margin_share, 0.0, 1.0)?;
            range("edit.window.removing", window.removing, 1.0, 8.0)?;
            range("edit.window.area", window.area, 0.0, 1.0)?;
            range("edit.window.bound", window.bound, 0.0, 1e6)?;
        }
        Ok(())
    }
}

impl Locate {
    fn validate(&self) -> Result<()> {
        for (field, levels) in [
            ("locate.levels.features", &self.levels.features),
            ("locate.levels.map", &self.levels.map),
        ] {
            range(&format!("the length of {field}"), levels.len(), 1, DRAWS)?;
            for level in levels {
                range(field, *level, 0, STEPS - 1)?;
            }
        }
        range(
            "the length of locate.map.words",
            self.map.words.len(),
            0,
            77,
        )?;
        range("locate.steps", self.steps, 1, STEPS)?;
        guide("locate.scales", self.scales)?;
        range("locate.grid", self.grid, 8, 1024)?;
        window("locate.segments.steps", self.segments.steps)?;
        range("locate.segments.clusters", self.segments.clusters, 1, 64)?;
        range("locate.segments.starts", self.segments.starts, 1, 100)?;
        range("locate.segments.rounds", self.segments.rounds, 1, 1000)?;
        window("locate.map.steps", self.map.steps)?;
        range(
            "locate.select.points",
            self.select.points,
            1,
            self.grid * self.grid,
        )?;
        range("locate.select.min", self.select.min, 0.0, 1.0)?;
        range("locate.select.level", self.select.level, 0.0, 1.0)?;
        range("locate.select.join", self.select.join, 0.0, 1.0)
    }
}

/// An error unless `value`, a count or a number, is `least` to `most`.
fn range<T: Copy + PartialOrd + Display>(field: &str, value: T, least: T, most: T) -> Result<()> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Error::Preset(format!(
        "{field} is {value}; it must be {least} to {most}"
    )))
}

fn guide(field: &str, scales: Guide) -> Result<()> {
    range(&format!("{field}.text"), scales.text, 0.0, 100.0)?;
    range(&format!("{field}.image"), scales.image, 0.0, 100.0)
}

fn window(field: &str, Window { first, last, of }: Window) -> Result<()> {
    if 1 <= first && first <= last && last <= of && of <= STEPS {
        return Ok(());
    }
    Err(Error::Preset(format!(
        "{field} is {first} to {last} of {of}; it must be 1 <= first <= last <= of <= {STEPS}"
    )))
}

#[cfg(test)]
mod tests {
    use limekiln_diffusion::scheduler::SchedulerKind;
    use serde_json::json;

    use super::*;
    use crate::preset::Rule;

    #[test]
    fn the_named_presets_are_valid_and_survive_json() {
        for name in Preset::NAMES {
            let preset = Preset::named(name).unwrap();
            assert_eq!(preset.name, name);
            preset.validate().unwrap();
            let text = serde_json::to_string(&preset).unwrap();
            assert_eq!(serde_json::from_str::<Preset>(&text).unwrap(), preset);
        }
        assert!(
            Preset::named("slow")
                .unwrap_err()
                .to_string()
                .contains("paper, official, fast, base, recolor, auto")
        );
    }

    #[test]
    fn fields_can_be_changed_one_by_one() {
        let changed = Preset::paper()
            .with(&json!({"edit": {"scales": {"text": 5.0}, "scheduler": "ddim"}, "locate": {"select": {"points": 7, "rule": "share"}}}))
            .unwrap();
        let mut want = Preset::paper();
        let edit = want.edit.as_mut().unwrap();
        edit.scales.text = 5.0;
        edit.scheduler = Some(SchedulerKind::Ddim);
        let locate = want.locate.as_mut().unwrap();
        locate.select.points = 7;
        locate.select.rule = Rule::Share;
        assert_eq!(changed, want);
        assert_eq!(
            Preset::fast()
                .with(&json!({"locate": null}))
                .unwrap()
                .locate,
            None
        );
    }

    #[test]
    fn nonsense_is_refused_by_name() {
        let said = |changes| Preset::paper().with(&changes).unwrap_err().to_string();
        assert!(said(json!({"edit": {"stepz": 3}})).contains("stepz"));
        assert!(said(json!({"edit": {"steps": 0}})).contains("edit.steps is 0"));
        assert!(said(json!({"edit": {"scales": {"text": -1.0}}})).contains("edit.scales.text"));
        assert!(
            said(json!({"locate": {"map": {"steps": {"first": 9, "last": 3}}}}))
                .contains("9 to 3 of 100")
        );
        assert!(said(json!({"locate": {"select": {"points": 65537}}})).contains("1 to 65536"));
        assert!(
            said(json!({"locate": {"segments": {"clusters": 300}}})).contains("clusters is 300")
        );
        assert!(said(json!({"edit": {"scheduler": "heun"}})).contains("heun"));
        assert!(said(json!({"edit": null})).contains("nothing would be done"));
        assert!(said(json!({"recolor": {"sure": 1.5}})).contains("recolor.sure is 1.5"));
        let base = Preset::base().with(&json!({"locate": {"select": {"points": 7}}}));
        assert!(
            base.unwrap_err()
                .to_string()
                .contains("`locate` is off in this preset")
        );
        let mut preset = Preset::base();
        preset.edit.as_mut().unwrap().scales.image = f64::NAN;
        assert!(preset.validate().is_err());
    }
}
