//! What surfaces are made of: threads, stripes, grain. Lengths are fractions of the picture's side; what is finer than the
//! picture's pixels fades to its mean, so that a small picture shows what a large one shows when it is shrunk.

use crate::linear::{mix, smooth};
use crate::noise::{cloud, smooth as bumps, visible};
use crate::rng::Rng;

/// One pixel of a picture of 1,024 pixels a side.
pub(crate) const FINE: f32 = 1.0 / 1024.0;

/// A surface without light: how much brighter or darker than its paint, and whose paint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// What the paint is multiplied by.
    pub(crate) tone: f32,
    /// The share of the item's own color; the rest is of the second color that the textile is woven with.
    pub(crate) own: f32,
}

/// Threads, with a pattern woven in.
#[derive(Clone, Debug)]
pub(crate) struct Textile {
    threads: Threads,
    pattern: Pattern,
    /// How uneven it is at large.
    blotches: f32,
    turn: (f32, f32),
    seed: u32,
}

#[derive(Clone, Copy, Debug)]
struct Threads {
    length: f32,
    depth: f32,
    fuzz: f32,
    /// Threads of a twill run aslant, a canvas's cross.
    twill: bool,
}

#[derive(Clone, Copy, Debug)]
enum Pattern {
    Plain,
    /// Bands across, as wide as their gaps.
    Stripes {
        width: f32,
        band: Band,
    },
    Checks {
        width: f32,
        band: Band,
    },
    Dots {
        step: f32,
        band: Band,
    },
}

/// What a pattern's figure is made of.
#[derive(Clone, Copy, Debug)]
struct Band {
    /// The item's color, brighter or darker.
    tone: f32,
    /// Or another color altogether.
    own: f32,
}

impl Textile {
    /// Cloth as on furniture, `coarse` times as thick.
    pub(crate) fn random(rng: &mut Rng, coarse: f32) -> Self {
        let turn = rng.between(-0.12, 0.12);
        Self {
            threads: Threads {
                length: coarse * FINE * rng.between(4.0, 8.0),
                depth: rng.between(0.04, 0.14),
                fuzz: rng.between(0.02, 0.08),
                twill: rng.chance(0.4),
            },
            pattern: Pattern::random(rng),
            blotches: rng.between(0.02, 0.08),
            turn: turn.sin_cos(),
            seed: rng.bits() as u32,
        }
    }

    /// The textile at a place; a pixel is `pixel` wide.
    pub(crate) fn at(&self, x: f32, y: f32, pixel: f32) -> Sample {
        let (sin, cos) = self.turn;
        let (u, v) = (x * cos - y * sin, x * sin + y * cos);
        let pattern = self.pattern.at(u, v, pixel);
        let uneven = self.blotches * cloud(self.seed, 9.0 * u, 9.0 * v);
        Sample {
            tone: pattern.tone * (1.0 + uneven) * self.threads.at(u, v, pixel, self.seed),
            own: pattern.own,
        }
    }
}

impl Threads {
    fn at(&self, u: f32, v: f32, pixel: f32, seed: u32) -> f32 {
        let wave = std::f32::consts::TAU / self.length;
        let woven = if self.twill {
            ((u + v) * wave * 0.7).sin()
        } else {
            (u * wave).sin() * (v * wave).sin()
        };
        let fuzz = bumps(seed ^ 0xf, u / (0.5 * self.length), v / (0.5 * self.length));
        1.0 + visible(self.length / pixel) * self.depth * woven
            + visible(0.8 * self.length / pixel) * self.fuzz * fuzz
    }
}

impl Pattern {
    fn random(rng: &mut Rng) -> Self {
        let band = if rng.chance(0.25) {
            Band {
                tone: 1.0,
                own: 0.0,
            }
        } else {
            let tone = if rng.chance(0.7) {
                rng.between(0.55, 0.8)
            } else {
                rng.between(1.15, 1.35)
            };
            Band { tone, own: 1.0 }
        };
        let kind = rng.unit();
        let width = rng.between(0.008, 0.03);
        if kind < 0.45 {
            Self::Plain
        } else if kind < 0.7 {
            Self::Stripes { width, band }
        } else if kind < 0.88 {
            Self::Checks { width, band }
        } else {
            Self::Dots {
                step: 1.6 * width,
                band,
            }
        }
    }

    fn at(&self, u: f32, v: f32, pixel: f32) -> Sample {
        let plain = Sample {
            tone: 1.0,
            own: 1.0,
        };
        let figure = |band: Band, share: f32| Sample {
            tone: mix(1.0, band.tone, share),
            own: mix(1.0, band.own, share),
        };
        match *self {
            Self::Plain => plain,
            Self::Stripes { width, band } => figure(band, comb(u, width, pixel)),
            Self::Checks { width, band } => {
                figure(band, 0.5 * (comb(u, width, pixel) + comb(v, width, pixel)))
            }
            Self::Dots { step, band } => {
                let cell = |value: f32| (value / step).rem_euclid(1.0) - 0.5;
                let (a, b) = (
                    cell(u + (v / step).floor().rem_euclid(2.0) * 0.5 * step),
                    cell(v),
                );
                let edge = (pixel / step).max(0.02);
                figure(band, 1.0 - smooth(0.26 - edge, 0.26 + edge, a.hypot(b)))
            }
        }
    }
}

/// 1 on bands of `width`, 0 on the gaps between, half where a pixel sees both.
fn comb(u: f32, width: f32, pixel: f32) -> f32 {
    let phase = (u / (2.0 * width)).rem_euclid(1.0);
    let from_edge = (phase - 0.5).abs() - 0.25;
    let edge = (0.5 * pixel / (2.0 * width)).max(1e-4);
    smooth(-edge, edge, from_edge)
}

/// Wood: streaks along `u`, finer across.
pub(crate) fn wood(seed: u32, u: f32, v: f32, pixel: f32) -> f32 {
    let rings = bumps(seed, u * 3.0, v * 38.0) + 0.35 * bumps(seed ^ 1, u * 7.0, v * 9.0);
    let streak = bumps(seed ^ 2, u * 14.0, v * 190.0) * visible(1.0 / 190.0 / pixel);
    let pore = bumps(seed ^ 3, u * 50.0, v * 420.0) * visible(1.0 / 420.0 / pixel);
    1.0 + 0.10 * rings * visible(1.0 / 38.0 / pixel) + 0.06 * streak + 0.05 * pore
}

/// Plaster, paper, glaze: fine specks of this depth.
pub(crate) fn specks(seed: u32, x: f32, y: f32, pixel: f32, depth: f32) -> f32 {
    let (fine, coarse) = (3.0 * FINE, 11.0 * FINE);
    1.0 + depth * visible(1.6 * fine / pixel) * bumps(seed, x / fine, y / fine)
        + 0.6 * depth * visible(coarse / pixel) * bumps(seed ^ 5, x / coarse, y / coarse)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Domain;

    /// A pixel of a small picture shows the mean of those that it stands for.
    #[test]
    fn what_is_too_fine_fades_to_its_mean() {
        for index in 0..30 {
            let textile = Textile::random(&mut Rng::new(Domain::Train, 3, index), 1.0);
            let mean = |x: f32, y: f32| {
                let fine = (0..64).map(|i| {
                    let (dx, dy) = ((i % 8) as f32 + 0.5, (i / 8) as f32 + 0.5);
                    textile.at(x + dx * FINE, y + dy * FINE, FINE).tone
                });
                fine.sum::<f32>() / 64.0
            };
            let apart: f32 = (0..200)
                .map(|i| {
                    let (x, y) = ((i % 20) as f32 / 23.0, (i / 20) as f32 / 11.0);
                    (mean(x, y) - textile.at(x + 4.0 * FINE, y + 4.0 * FINE, 8.0 * FINE).tone).abs()
                })
                .sum();
            assert!(
                apart / 200.0 < 0.05,
                "{index}: {} of {textile:?}",
                apart / 200.0
            );
        }
    }
}
