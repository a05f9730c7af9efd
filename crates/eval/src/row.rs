//! What is scored: the rows of the table.

use limekiln_lime::Preset;

/// One row: a preset at its scales.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What the table shows.
    pub label: String,
    /// How rooms are edited.
    pub preset: Preset,
    /// Whether the true mask takes the place of locating.
    pub true_mask: bool,
    /// Whether only the words that name the object are read to locate it.
    pub object_words: bool,
}

impl Row {
    /// The same with another text scale in the edit.
    pub(crate) fn at_scale(&self, text: f64) -> Self {
        let mut row = self.clone();
        row.preset.edit.scales.text = text;
        row
    }

    fn same_edit(&self, other: &Self) -> bool {
        self.preset == other.preset
            && self.true_mask == other.true_mask
            && self.object_words == other.object_words
    }
}

/// Plain InstructPix2Pix at the edit scales, steps and scheduler of `row`.
fn base_like(row: &Row) -> Row {
    let mut preset = Preset::base();
    let edit = &row.preset.edit;
    (preset.edit.scales, preset.edit.steps, preset.edit.scheduler) =
        (edit.scales, edit.steps, edit.scheduler);
    Row {
        label: format!("base at {}'s", row.preset.name),
        preset,
        true_mask: false,
        object_words: false,
    }
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
    preset.edit.steps = steps;
    if let Some(locate) = &mut preset.locate {
        locate.steps = steps;
    }
}

/// `base` at its own scales, then each preset and `base` at the preset's; no edit twice.
pub(crate) fn rows(presets: &[Row], steps: Option<usize>) -> Vec<Row> {
    let mut base = Row {
        label: "base".to_owned(),
        preset: Preset::base(),
        true_mask: false,
        object_words: false,
    };
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
        Row {
            label: name.to_owned(),
            preset: Preset::named(name).unwrap(),
            true_mask: false,
            object_words: false,
        }
    }

    #[test]
    fn no_edit_is_made_twice() {
        let mut presets = ["official", "official", "base"].map(named);
        presets[1].label = "official+blend".to_owned();
        presets[1].preset.edit.blend = named("fast").preset.edit.blend;
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
        let (edit, base) = (&row.preset.edit, base_like(&row).preset);
        assert_eq!(
            (base.edit.scales, base.edit.steps, base.edit.scheduler),
            (edit.scales, edit.steps, edit.scheduler)
        );
        assert!(
            base.locate.is_none() && base.edit.blend.is_none() && base.edit.regularise.is_none()
        );
    }
}
