//! Where to edit, as the user says it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::EditId;

/// Parts that a region adds, and that it subtracts, at most.
const PARTS_MAX: usize = 32;
/// Segments or points of a part, at most.
const NAMED_MAX: usize = 1000;

/// A region: what `segments`, `points` or `edit` says, of which exactly one is given, then what `add` says, without what `subtract`
/// says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"points": [[120, 340]]}))]
pub struct Region {
    /// Segmentation that `segments` counts by, as `GET .../segmentation` gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<EditId>,
    /// Numbers of segments, as the segmentation counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 1000, example = json!([3, 7]))]
    pub segments: Option<Vec<u32>>,
    /// Pixels of the upright picture at its full size, as `[x, y]`: the segment under each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 1000, example = json!([[120, 340]]))]
    pub points: Option<Vec<[u32; 2]>>,
    /// Edit of the same picture: its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditId>,
    /// What is added.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub add: Vec<RegionPart>,
    /// What is taken away at last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub subtract: Vec<RegionPart>,
}

/// A part of a region. Exactly one of `segments`, `points` and `edit` is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"points": [[120, 340]]}))]
pub struct RegionPart {
    /// Segmentation that `segments` counts by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segmentation: Option<EditId>,
    /// Numbers of segments, as the segmentation counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 1000, example = json!([3, 7]))]
    pub segments: Option<Vec<u32>>,
    /// Pixels of the upright picture at its full size, as `[x, y]`: the segment under each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(min_items = 1, max_items = 1000, example = json!([[120, 340]]))]
    pub points: Option<Vec<[u32; 2]>>,
    /// Edit of the same picture: its region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edit: Option<EditId>,
}

impl Region {
    /// The parts in the order in which they are laid over each other: the name of each, whether it is taken away, and what it is.
    pub fn parts(&self) -> impl Iterator<Item = (String, bool, RegionPart)> {
        let first = RegionPart {
            segmentation: self.segmentation,
            segments: self.segments.clone(),
            points: self.points.clone(),
            edit: self.edit,
        };
        let named = |name: &'static str, taken, parts: &[RegionPart]| {
            let parts: Vec<_> = parts.iter().cloned().enumerate().collect();
            let part = move |(at, part)| (format!("region.{name}.{at}"), taken, part);
            parts.into_iter().map(part)
        };
        std::iter::once(("region".to_owned(), false, first))
            .chain(named("add", false, &self.add))
            .chain(named("subtract", true, &self.subtract))
    }

    pub(super) fn check(&self) -> Result<(), String> {
        if self.add.len().max(self.subtract.len()) > PARTS_MAX {
            return Err(format!(
                "may add and subtract at most {PARTS_MAX} parts each"
            ));
        }
        for (name, _, part) in self.parts() {
            let within = name.strip_prefix("region.").map(|name| format!("{name}: "));
            part.check()
                .map_err(|says| format!("{}{says}", within.unwrap_or_default()))?;
        }
        Ok(())
    }
}

impl RegionPart {
    fn check(&self) -> Result<(), String> {
        let given = [
            self.segments.is_some(),
            self.points.is_some(),
            self.edit.is_some(),
        ];
        if given.into_iter().filter(|given| *given).count() != 1 {
            return Err("must have exactly one of segments, points and edit".to_owned());
        }
        let count = self.segments.as_ref().map(Vec::len);
        let count = count.or_else(|| self.points.as_ref().map(Vec::len));
        if !(1..=NAMED_MAX).contains(&count.unwrap_or(1)) {
            return Err(format!("must name 1 to {NAMED_MAX} segments or points"));
        }
        match (&self.segments, self.segmentation) {
            (Some(_), None) => {
                Err("segments are counted by a segmentation: name it in segmentation".to_owned())
            }
            (None, Some(_)) => {
                Err("segmentation goes with segments alone: leave it out".to_owned())
            }
            _ => Ok(()),
        }
    }
}
