//! Which colors are the object's: those that are commoner in its region than in the ring around, found again and again as
//! the region is corrected by them.

use super::histogram::{Histogram, bins};
use super::segments::Segments;
use crate::crop::Crop;
use crate::error::Result;
use crate::plane::{Plane, blur, signed_distance};

/// Rounds of correction.
const ROUNDS: usize = 4;
/// How rough a region's border is taken to be, as a share of the object's size.
const ROUGH: f32 = 0.06;
/// A share below which a color is taken as never seen.
const UNSEEN: f32 = 2e-7;

/// What region and colors say of each cell.
pub(super) struct Ownership {
    /// The bin of each cell's color.
    pub(super) bins: Vec<u32>,
    /// How likely the region alone has each cell inside.
    pub(super) prior: Vec<f32>,
    /// Cells from the region's border; negative outside.
    pub(super) distance: Plane<f32>,
    /// How likely color and region together have it inside.
    pub(super) likely: Vec<f32>,
    /// How much commoner its color is inside: 0.5 is the same.
    pub(super) own: Vec<f32>,
    /// Cells surely inside and surely outside of the region.
    pub(super) core: Vec<bool>,
    pub(super) far: Vec<bool>,
}

impl Ownership {
    pub(super) fn of(crop: &Crop, beat: &(dyn Fn() -> Result<()> + Sync)) -> Result<Self> {
        let bins = bins(&crop.colors);
        let inside = crop.region.map(|value| value > 0.5);
        let count = inside.data.iter().filter(|inside| **inside).count();
        let distance = signed_distance(&inside);
        let rough = (ROUGH * (count as f32).sqrt())
            .max(0.35 * crop.coarse.min(24.0))
            .max(1.0);
        let prior: Vec<f32> = (0..bins.len())
            .map(|i| {
                let attention = crop
                    .attention
                    .as_ref()
                    .map_or(0.0, |plane| 2.0 * (plane.data[i] - 0.5));
                (1.0 / (1.0 + (-distance.data[i] / rough - attention).exp())).clamp(0.01, 0.97)
            })
            .collect();
        let prior = Segments::new(&crop.colors).drawn(&prior);
        let deepest = distance.data.iter().fold(0.0_f32, |most, d| most.max(*d));
        let deep = |d: f32| d > (0.5 * rough).min(0.3 * deepest);
        let mut core: Vec<bool> = distance
            .data
            .iter()
            .zip(&prior)
            .map(|(d, prior)| deep(*d) && *prior > 0.5)
            .collect();
        if !core.contains(&true) {
            core = distance.data.iter().map(|d| deep(*d)).collect();
        }
        let mut far: Vec<bool> = distance
            .data
            .iter()
            .zip(&prior)
            .map(|(d, prior)| *d < -1.2 * rough || *prior < 0.15)
            .collect();
        if far.iter().filter(|far| **far).count() < 50 {
            far = inside.data.iter().map(|inside| !inside).collect();
        }
        let flag = |flag: bool| if flag { 1.0 } else { 0.0 };
        let mut owned: Vec<f32> = core.iter().map(|core| flag(*core)).collect();
        let mut other: Vec<f32> = far.iter().map(|far| flag(*far)).collect();
        let (mut likely, mut own) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            beat()?;
            let within = Histogram::new(&bins, |i| owned[i]);
            let around = Histogram::new(&bins, |i| other[i]);
            let shares = |i: usize| {
                (
                    within.share(bins[i]) + UNSEEN,
                    around.share(bins[i]) + UNSEEN,
                )
            };
            own = (0..bins.len())
                .map(|i| {
                    let (inside, outside) = shares(i);
                    inside / (inside + outside)
                })
                .collect();
            let raw = (0..bins.len()).map(|i| {
                let (inside, outside) = shares(i);
                prior[i] * inside / (prior[i] * inside + (1.0 - prior[i]) * outside)
            });
            likely = blur(
                &Plane {
                    width: distance.width,
                    height: distance.height,
                    data: raw.collect(),
                },
                1.0,
            )
            .data;
            for i in 0..bins.len() {
                owned[i] = likely[i] * prior[i].sqrt() * flag(own[i] > 0.4);
                other[i] = if distance.data[i] < 0.0 {
                    1.0 - likely[i]
                } else {
                    flag(own[i] < 0.2)
                };
            }
        }
        Ok(Self {
            bins,
            prior,
            distance,
            likely,
            own,
            core,
            far,
        })
    }
}
