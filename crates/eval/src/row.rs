//! What is scored: the rows of the table.

use limekiln_lime::Preset;
use serde::Serialize;

/// One row: a preset at its scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the table shows.
    pub label: String,
    /// How rooms are edited.
    pub preset: Preset,
    /// Whether the true mask takes the place of locating.
    pub true_mask: bool,
    /// Whether a rough region, made of the true mask, takes the place of locating.
    pub rough: bool,
    /// The color that is given; none: the one of the instruction's words.
    pub color: Option<Given>,
    /// Whether only the words that name the object are read to locate it.
    pub object_words: bool,
}

/// A color that a row is given.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Given {
    /// That of the true edit.
    Truth,
    /// This one, as `--color` takes it.
    Value(String),
}

impl Row {
    /// A preset as it is.
    pub fn new(label: impl Into<String>, preset: Preset) -> Self {
        Self {
            label: label.into(),
            preset,
            true_mask: false,
            rough: false,
            color: None,
            object_words: false,
        }
    }

    /// Whether the row locates.
    pub fn locates(&self) -> bool {
        self.preset.locate.is_some() && !self.true_mask && !self.rough
    }

    /// The same with another text scale in the edit.
    pub(crate) fn at_scale(&self, text: f64) -> Self {
        let mut row = self.clone();
        if let Some(edit) = &mut row.preset.edit {
            edit.scales.text = text;
        }
        row
    }

    fn same_edit(&self, other: &Self) -> bool {
        Self {
            label: String::new(),
            ..self.clone()
        } == Self {
            label: String::new(),
            ..other.clone()
        }
    }
}

/// Plain InstructPix2Pix at the edit scales, steps and scheduler of `row`.
fn base_like(row: &Row) -> Row {
    let mut preset = Preset::base();
    if let (Some(own), Some(edit)) = (&mut preset.edit, &row.preset.edit) {
        (own.scales, own.steps, own.scheduler) = (edit.scales, edit.steps, edit.scheduler);
    }
    Row::new(format!("base at {}'s", row.preset.name), preset)
}

/// The presets with `steps` steps in each stage, where given.
pub(crate) fn with_steps(presets: &[Row], steps: Option<usize>) -> Vec<Row> {
    let mut presets = presets.to_vec();
    for (row, steps) in presets.iter_mut().zip(steps.iter().cycle()) {
        set_steps(&mut row.preset, *steps);
    }
    presets
}

fn set_steps(preset: &mut Preset, steps: usize) {
    if let Some(edit) = &mut preset.edit {
        edit.steps = steps;
    }
    if let Some(locate) = &mut preset.locate {
        locate.steps = steps;
    }
}

/// `base` at its own scales, then each preset and `base` at the preset's; no edit twice.
pub(crate) fn rows(presets: &[Row], steps: Option<usize>) -> Vec<Row> {
    let mut base = Row::new("base", Preset::base());
    if let Some(steps) = steps {
        set_steps(&mut base.preset, steps);
    }
    let wanted = curves(presets).flat_map(|(row, base)| [row, base]);
    distinct(std::iter::once(base).chain(wanted))
}

/// Each preset, and `base` with the preset's scales, steps and scheduler.
pub(crate) fn curves(presets: &[Row]) -> impl Iterator<Item = (Row, Row)> {
    presets.iter().map(|row| (row.clone(), base_like(row)))
}

/// `rows` without those whose edit an earlier one does already.
pub(crate) fn distinct(rows: impl IntoIterator<Item = Row>) -> Vec<Row> {
    rows.into_iter().fold(Vec::new(), |mut kept, row| {
        if position(&kept, &row).is_none() {
            kept.push(row);
        }
        kept
    })
}

/// Where the edit of `row` stands among `rows`.
pub(crate) fn position(rows: &[Row], row: &Row) -> Option<usize> {
    rows.iter().position(|other| other.same_edit(row))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// The preset of this name, as it is.
    pub(crate) fn named(name: &str) -> Row {
        Row::new(name, Preset::named(name).unwrap())
    }

    #[test]
    fn no_edit_is_made_twice() {
        let mut presets = ["official", "official", "base"].map(named);
        presets[1].label = "official+blend".to_owned();
        let blend = named("fast").preset.edit.unwrap().blend;
        presets[1].preset.edit.as_mut().unwrap().blend = blend;
        let labels: Vec<String> = rows(&presets, None)
            .into_iter()
            .map(|row| row.label)
            .collect();
        assert_eq!(
            labels,
            ["base", "official", "base at official's", "official+blend"]
        );
    }

    #[test]
    fn base_takes_scales_steps_and_scheduler() {
        let row = named("fast");
        let base = base_like(&row).preset;
        assert!(base.locate.is_none());
        let (edit, base) = (row.preset.edit.unwrap(), base.edit.unwrap());
        assert_eq!(
            (base.scales, base.steps, base.scheduler),
            (edit.scales, edit.steps, edit.scheduler)
        );
        assert!(base.blend.is_none() && base.regularise.is_none());
    }
}
