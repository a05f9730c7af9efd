//! What is scored: the rows of the table.

use limekiln_lime::Preset;

use crate::args::Variant;

/// One row: a preset at its scales.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What the table shows.
    pub(crate) label: String,
    pub(crate) preset: Preset,
    /// Whether the true mask takes the place of locating.
    pub(crate) true_mask: bool,
}

impl Row {
    fn new(variant: &Variant) -> Self {
        Self {
            label: variant.label.clone(),
            preset: variant.preset.clone(),
            true_mask: variant.true_mask,
        }
    }

    /// The same with another text scale in the edit.
    pub(crate) fn at_scale(&self, text: f64) -> Self {
        let mut row = self.clone();
        row.preset.edit.scales.text = text;
        row
    }

    fn same_edit(&self, other: &Self) -> bool {
        self.preset == other.preset && self.true_mask == other.true_mask
    }
}

/// Plain InstructPix2Pix at the edit scales, steps and scheduler of `variant`.
pub(crate) fn base_like(variant: &Variant) -> Row {
    let mut preset = Preset::base();
    let edit = &variant.preset.edit;
    (preset.edit.scales, preset.edit.steps, preset.edit.scheduler) =
        (edit.scales, edit.steps, edit.scheduler);
    Row {
        label: format!("base at {}'s", variant.preset.name),
        preset,
        true_mask: false,
    }
}

/// The variants with `steps` steps in each stage, where given.
pub(crate) fn with_steps(variants: &[Variant], steps: Option<usize>) -> Vec<Variant> {
    let mut variants = variants.to_vec();
    for (variant, steps) in variants.iter_mut().zip(steps.iter().cycle()) {
        set_steps(&mut variant.preset, *steps);
    }
    variants
}

fn set_steps(preset: &mut Preset, steps: usize) {
    preset.edit.steps = steps;
    if let Some(locate) = &mut preset.locate {
        locate.steps = steps;
    }
}

/// `base` at its own scales, then each variant and `base` at the variant's; no edit twice.
pub(crate) fn rows(variants: &[Variant], steps: Option<usize>) -> Vec<Row> {
    let mut base = Row {
        label: "base".to_owned(),
        preset: Preset::base(),
        true_mask: false,
    };
    if let Some(steps) = steps {
        set_steps(&mut base.preset, steps);
    }
    let wanted = variants
        .iter()
        .flat_map(|variant| [Row::new(variant), base_like(variant)]);
    distinct(std::iter::once(base).chain(wanted))
}

/// The curves of a sweep: each variant, and `base` with the variant's steps and scheduler.
pub(crate) fn curves(variants: &[Variant]) -> Vec<(Row, Row)> {
    variants
        .iter()
        .map(|variant| (Row::new(variant), base_like(variant)))
        .collect()
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
mod tests {
    use super::*;

    #[test]
    fn no_edit_is_made_twice() {
        let variants: Vec<Variant> = ["official", "official+blend", "base"]
            .map(|v| v.parse().unwrap())
            .into();
        let labels: Vec<String> = rows(&variants, None)
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
        let variant: Variant = "fast".parse().unwrap();
        let (edit, base) = (&variant.preset.edit, base_like(&variant).preset);
        assert_eq!(
            (base.edit.scales, base.edit.steps, base.edit.scheduler),
            (edit.scales, edit.steps, edit.scheduler)
        );
        assert!(
            base.locate.is_none() && base.edit.blend.is_none() && base.edit.regularise.is_none()
        );
    }
}
