//! Where one material of the object ends, in cells.

use super::histogram::Histogram;
use super::holes;
use super::materials::Group;
use super::ownership::Ownership;
use super::walker::Walls;
use crate::crop::Crop;
use crate::error::Result;
use crate::plane::Plane;

/// Rounds in which the colors inside and outside are learned again from what was decided.
const ROUNDS: usize = 3;
const UNSEEN: f32 = 1e-7;

/// A material's cells.
pub(super) struct Decision {
    /// How much each cell is the material's, 0..1.
    pub(super) soft: Plane<f32>,
    /// The cells that are the material's.
    pub(super) inside: Plane<bool>,
    /// What its color alone said of each cell.
    pub(super) evidence: Vec<f32>,
    /// How alike its colors and all others are, 0..1.
    pub(super) alike: f32,
}

/// Decides for one material: its color against all others, the region, and edges. Fails where `beat` does.
pub(super) fn decide(
    crop: &Crop,
    owned: &Ownership,
    group: &Group,
    walls: &Walls,
    beat: &(dyn Fn() -> Result<()> + Sync),
) -> Result<Decision> {
    let colors = &crop.colors;
    let count = colors.data.len();
    let (width, height) = (colors.width, colors.height);
    let is: Vec<bool> = colors.data.iter().map(|color| group.has(*color)).collect();
    let flag = |flag: bool| if flag { 1.0 } else { 0.0 };
    let region_cells = owned.distance.data.iter().filter(|d| **d > 0.0).count();
    let mut within: Vec<f32> = (0..count)
        .map(|i| owned.likely[i] * owned.prior[i].sqrt() * flag(is[i] && owned.own[i] > 0.4))
        .collect();
    let mut without: Vec<f32> = (0..count)
        .map(|i| (1.0 - owned.likely[i]).max(flag(!is[i])))
        .collect();
    let body = holes::median(
        (0..count)
            .filter(|i| is[*i] && owned.likely[*i] > 0.5)
            .map(|i| colors.data[i]),
    );
    let lit: Vec<bool> = (0..count)
        .map(|i| group.strength() > 0.06 && owned.prior[i] > 0.5 && highlight(colors.data[i], body))
        .collect();
    // Color can't be told in the dark, and so the dark goes with what is beside it.
    let dim: Vec<f32> = colors
        .data
        .iter()
        .map(|color| ((color[0] - 0.10) / 0.15).clamp(0.08, 1.0))
        .collect();
    let mut soft = owned.likely.clone();
    let mut evidence = Vec::new();
    let mut inside = Plane::filled(width, height, false);
    let mut alike = 0.0;
    for _ in 0..ROUNDS {
        beat()?;
        let own = Histogram::new(&owned.bins, |i| within[i]);
        let rest = Histogram::new(&owned.bins, |i| without[i]);
        alike = own.alike(&rest);
        evidence = (0..count)
            .map(|i| {
                let region = owned.prior[i].clamp(0.03, 0.8);
                let odds = (region / (1.0 - region)).powf(dim[i]);
                let (own, rest) = (
                    own.share(owned.bins[i]) + UNSEEN,
                    rest.share(owned.bins[i]) + UNSEEN,
                );
                let told = odds * own / (odds * own + rest);
                if lit[i] { told.max(0.7) } else { told }
            })
            .collect::<Vec<f32>>();
        let trust: Vec<f32> = (0..count)
            .map(|i| (0.02 + 0.6 * (2.0 * evidence[i] - 1.0).powi(2)) * dim[i])
            .collect();
        soft = walls.settle(&evidence, &trust, soft);
        inside = Plane {
            width,
            height,
            data: soft.iter().map(|value| *value > 0.5).collect(),
        };
        holes::drop_strays(&mut inside, &owned.prior, region_cells);
        for i in 0..count {
            if !inside.data[i] {
                soft[i] = soft[i].min(0.49);
            }
            within[i] = flag(inside.data[i] && owned.distance.data[i] > 0.0)
                * owned.prior[i]
                * owned.own[i];
            without[i] = if inside.data[i] {
                flag(owned.prior[i] < 0.8) * (1.0 - owned.own[i])
            } else {
                1.0
            };
        }
    }
    holes::fill(&mut inside, colors, &owned.prior, group);
    for (soft, inside) in soft.iter_mut().zip(&inside.data) {
        if *inside {
            *soft = soft.max(0.51);
        }
    }
    Ok(Decision {
        soft: Plane {
            width,
            height,
            data: soft,
        },
        inside,
        evidence,
        alike,
    })
}

/// Whether a color is a material's body under more of the lamp's own light: lighter, of the same hue, and with much of the
/// body's own color still in it.
fn highlight(color: [f32; 3], body: [f32; 3]) -> bool {
    color[0] > body[0] - 0.02
        && color[1].hypot(color[2]) > 0.4 * body[1].hypot(body[2])
        && holes::hue_apart(color, body) < 14.0
}
