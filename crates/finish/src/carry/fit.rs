//! Whether an edit is a change of color or light at all.

use serde::{Deserialize, Serialize};

use super::cells::Cells;
use super::map::{Map, apart};
use crate::coded::{code, light};
use crate::light::Light;
use crate::plane::{Plane, blur};

/// How far the decoder spreads an edge, in cells.
const BLUR: f32 = 0.8;
/// Reach of what is around an object, in cells.
const AROUND: f32 = 3.0;

/// How well maps of colors explain an edit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// The share of the change, in squares of OKLab over the cells of the materials that changed, that the maps give. Below 0 where
    /// they do harm.
    pub explained: f32,
    /// The share of all change that lies in these cells.
    pub covered: f32,
    /// How far these materials moved: the mean, in OKLab (black and white are 1 apart).
    pub change: f32,
    /// How much the materials stand out from what is around them, over how much they did: next to nothing where they are gone.
    pub stands_out: f32,
}

impl Fit {
    /// The share explained from which an edit counts as a change of color or light.
    pub const ENOUGH: f32 = 0.5;
    /// What stands out less than this is gone, and what stands out more than this was not there before.
    pub const THERE: std::ops::RangeInclusive<f32> = 0.45..=8.0;

    /// The share that is enough where the words ask for a color.
    pub const ENOUGH_ASKED: f32 = 0.25;

    /// Whether this is a change of color or light. What took on the color of all that is around it is taken for gone, unless a color
    /// was `asked` for.
    pub fn is_color(self, asked: bool) -> bool {
        if asked {
            return self.explained >= Self::ENOUGH_ASKED;
        }
        self.explained >= Self::ENOUGH && Self::THERE.contains(&self.stands_out)
    }

    /// Of maps, each with its share of each cell.
    pub(super) fn of(space: &Light, cells: &Cells, maps: &[(&Map, &Plane<f32>)]) -> Self {
        let soft: Vec<Plane<f32>> = maps.iter().map(|(_, share)| blur(share, BLUR)).collect();
        let near: Vec<Plane<f32>> = maps.iter().map(|(_, share)| blur(share, AROUND)).collect();
        let width = cells.size().0;
        let mut sums = Sums::default();
        for (i, before) in cells.before.data.iter().enumerate() {
            let within = cells.allowed.data[i];
            if within == 0.0 {
                continue;
            }
            let after = cells.after.data[i];
            let place = ((i % width) as f32, (i / width) as f32);
            let coded = before.map(code);
            let (mut foreseen, mut share) = (coded, 0.0);
            for ((map, _), soft) in maps.iter().zip(&soft) {
                let soft = within * soft.data[i];
                if soft > 0.0 {
                    let new = map.over(space, *before, place).map(code);
                    (0..3).for_each(|c| foreseen[c] += soft * (new[c] - coded[c]));
                    share += soft;
                }
            }
            let changed = apart(space, *before, after);
            sums.all += f64::from(changed);
            sums.own += f64::from(share.min(1.0) * changed);
            sums.left += f64::from(share.min(1.0) * apart(space, foreseen.map(light), after));
            if share < 0.02 {
                for ((map, _), near) in maps.iter().zip(&near) {
                    let (old, new) = map.paints(place);
                    let near = near.data[i];
                    sums.stood += f64::from(near * apart(space, old, *before).sqrt());
                    sums.stands += f64::from(near * apart(space, new, after).sqrt());
                }
            }
        }
        let share = |of: f64, all: f64| if all > 1e-9 { (of / all) as f32 } else { 1.0 };
        Self {
            explained: 1.0 - share(sums.left, sums.own),
            covered: share(sums.own, sums.all),
            change: maps
                .iter()
                .fold(0.0, |most, (map, _)| most.max(map.change())),
            stands_out: share(sums.stands, sums.stood),
        }
    }
}

/// Squares and distances, summed over cells.
#[derive(Default)]
struct Sums {
    all: f64,
    own: f64,
    left: f64,
    stood: f64,
    stands: f64,
}
