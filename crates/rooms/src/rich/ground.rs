//! Wall and floor, without light.

use crate::linear::{Light, albedo, scaled, smooth};
use crate::noise::{grid, visible};
use crate::rng::Rng;
use crate::scene::Scene;

use super::textile::{FINE, specks, wood};

/// The height of the baseboard, as a fraction of the side.
const BASEBOARD: f32 = 0.022;

/// What wall and floor are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ground {
    seed: u32,
    /// Depth of the wall's specks.
    plaster: f32,
    /// Width of the stripes of its paper, where it has one.
    paper: Option<f32>,
    /// Boards across the room's width.
    boards: f32,
}

impl Ground {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let width = rng.between(0.015, 0.05);
        Self {
            seed: rng.bits() as u32,
            plaster: rng.between(0.012, 0.035),
            paper: rng.chance(0.3).then_some(width),
            boards: rng.between(5.0, 11.0),
        }
    }

    pub(crate) fn at(&self, scene: &Scene, x: f32, y: f32, pixel: f32) -> Light {
        let wall = albedo(scene.wall);
        if y >= scene.horizon {
            return scaled(albedo(scene.floor), self.floor(x, y - scene.horizon, pixel));
        }
        let from_floor = scene.horizon - y;
        if from_floor < BASEBOARD {
            // Painted wood: a bright upper edge, dark where it meets the floor.
            let edge = 1.0 + 0.22 * smooth(0.004, 0.0, (from_floor - BASEBOARD + 0.002).abs());
            return scaled(wall, 0.92 * edge * smooth(-0.003, 0.004, from_floor));
        }
        let mut tone = specks(self.seed, x, y, pixel, self.plaster);
        if let Some(width) = self.paper {
            tone *= 1.0
                + 0.05 * (x / width * std::f32::consts::PI).sin() * visible(2.0 * width / pixel);
        }
        let shadow = 1.0 - 0.25 * smooth(BASEBOARD + 0.006, BASEBOARD, from_floor);
        scaled(wall, tone * shadow)
    }

    /// Boards that run away from the viewer; `down` from the wall.
    fn floor(&self, x: f32, down: f32, pixel: f32) -> f32 {
        // Seen from the height of a standing person: what is far is narrow.
        let near = 0.35 + 1.6 * down;
        let across = (x - 0.5) / near * self.boards;
        let board = across.floor();
        let depth = 1.0 / near;
        let of_board = grid(self.seed ^ 0xb0a, board as i32, 0);
        let length = (depth * 2.2 + 5.0 * of_board).floor();
        let tone = 0.88 + 0.24 * grid(self.seed ^ 0xb1b, board as i32, length as i32);
        let grain = wood(
            self.seed.wrapping_add(board as u32),
            3.0 * depth + 11.0 * of_board,
            0.12 * across,
            0.12 * pixel / near * self.boards,
        );
        let seam_wide = 2.2 * FINE * self.boards / near;
        let from_seam = (across - across.round()).abs();
        let seam = smooth(0.0, seam_wide.max(pixel * self.boards / near), from_seam);
        let end = (depth * 2.2 + 5.0 * of_board).rem_euclid(1.0);
        let end = smooth(0.0, 0.02, end.min(1.0 - end));
        tone * grain * (0.72 + 0.28 * seam) * (0.86 + 0.14 * end)
    }
}
