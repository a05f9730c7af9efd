//! How a surface is bent, and so how light falls on it.

use tiny_skia::Rect;

use crate::linear::smooth;
use crate::noise;

/// The bend of a surface inside its box.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relief {
    Flat,
    /// Stuffed: full in the middle, turned away at its edges.
    Cushion,
    /// Round about an upright axis.
    Column,
    /// Round all over.
    Ball,
    /// Cloth that hangs in folds.
    Folds {
        count: f32,
        seed: u32,
    },
    /// Lit from within.
    Shade,
}

/// Where a point lies in a box: in fractions of the picture's side from its middle, and from -1 to 1.
struct Inside {
    u: f32,
    v: f32,
    /// Distance from the nearest edge, in fractions of the picture's side.
    edge: f32,
}

fn inside(bounds: &Rect, x: f32, y: f32) -> Inside {
    let (half_width, half_height) = (0.5 * bounds.width(), 0.5 * bounds.height());
    let (dx, dy) = (
        x - bounds.left() - half_width,
        y - bounds.top() - half_height,
    );
    Inside {
        u: (dx / half_width).clamp(-1.0, 1.0),
        v: (dy / half_height).clamp(-1.0, 1.0),
        edge: (half_width - dx.abs()).min(half_height - dy.abs()).max(0.0),
    }
}

impl Relief {
    /// How much of the light the surface throws back at a place; `from` is the side that the light comes from, -1 (left) to 1.
    pub(crate) fn shade(&self, bounds: &Rect, x: f32, y: f32, from: f32) -> f32 {
        let Inside { u, v, edge } = inside(bounds, x, y);
        match *self {
            Self::Flat => 1.0,
            Self::Cushion => {
                let turned = 0.34 * (-edge / 0.009).exp() + 0.16 * (-edge / 0.035).exp();
                1.04 - turned * (1.0 - 0.45 * (u * from - v).clamp(0.0, 1.0)) + 0.09 * u * from
                    - 0.10 * v
            }
            Self::Column => {
                let facing = (1.0 - u * u).max(0.0).sqrt();
                0.52 + 0.46 * (0.86 * facing + 0.5 * u * from).max(0.0) + 0.06 * facing
            }
            Self::Ball => {
                let facing = (1.0 - u * u - v * v).max(0.0).sqrt();
                0.45 + 0.62 * (0.78 * facing + 0.42 * u * from - 0.45 * v).max(0.0)
            }
            Self::Folds { count, seed } => {
                let sway = noise::smooth(seed, 3.0 * x + 7.0, 2.5 * y)
                    + 0.4 * noise::smooth(seed ^ 9, 11.0 * x, 5.0 * y);
                let phase = (u * 0.5 + 0.5) * count + 0.22 * sway * smooth(-1.2, 1.0, v);
                let wave = (phase * std::f32::consts::TAU).sin();
                0.93 + 0.23 * wave
                    + 0.06 * (2.0 * phase * std::f32::consts::TAU + 1.0).sin()
                    + 0.05 * u * from
            }
            Self::Shade => {
                1.02 + 0.38 * (1.0 - u * u) * (1.0 - 0.35 * (v - 0.25).powi(2)) - 0.18 * u.powi(4)
            }
        }
    }

    /// The lamp's own image on the surface, in `[0, 1]`: light that the paint does not color.
    pub(crate) fn highlight(&self, bounds: &Rect, x: f32, y: f32, from: f32) -> f32 {
        let Inside { u, v, edge } = inside(bounds, x, y);
        let spot =
            |u: f32, v: f32, wide: f32, high: f32| (-(u / wide).powi(2) - (v / high).powi(2)).exp();
        match *self {
            Self::Ball => {
                spot(u - 0.38 * from, v + 0.42, 0.16, 0.20)
                    + 0.18 * spot(u - 0.3 * from, v + 0.3, 0.5, 0.5)
            }
            Self::Column => spot(u - 0.45 * from, 0.4 * v, 0.16, 1.0),
            Self::Cushion => {
                0.8 * spot(u - 0.35 * from, v + 0.55, 0.55, 0.30)
                    + 0.5 * spot(edge - 0.006, 0.0, 0.004, 1.0) * smooth(0.2, -0.9, v)
            }
            Self::Flat => 0.25 * spot(u - 0.5 * from, v + 0.5, 0.8, 0.8),
            Self::Folds { .. } | Self::Shade => 0.0,
        }
    }
}
