//! The light of a room: a window at one side, the sky's from everywhere, a lamp that may be on.

use crate::linear::{Light, plus, scaled, smooth};
use crate::object::Object;
use crate::rng::Rng;
use crate::scene::Scene;

/// Where light comes from.
#[derive(Clone, Debug)]
pub(crate) struct Sun {
    /// The window's side: -1 left, 1 right.
    pub(crate) from: f32,
    /// The color of the window's light.
    pub(crate) key: Light,
    ambient: Light,
    height: f32,
    /// How fast the window's light falls off across the room.
    fall: f32,
    patch: Option<Patch>,
    lamp_on: bool,
}

/// Sunlight that comes through the panes and lies slanted on wall and floor.
#[derive(Clone, Copy, Debug)]
struct Patch {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
    slant: f32,
    strength: f32,
}

impl Sun {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let warm = rng.between(-1.0, 1.0);
        let tint = |by: f32| [1.0 + 0.06 * by, 1.0, 1.0 - 0.08 * by];
        let key = rng.between(0.45, 0.75);
        let patch = Patch {
            left: rng.between(0.1, 0.6),
            top: rng.between(0.15, 0.6),
            width: rng.between(0.15, 0.3),
            height: rng.between(0.15, 0.3),
            slant: rng.between(-0.5, 0.5),
            strength: rng.between(0.25, 0.55),
        };
        Self {
            from: if rng.chance(0.5) { 1.0 } else { -1.0 },
            key: scaled(tint(warm), key),
            ambient: scaled(tint(-0.7 * warm), 1.0 - 0.72 * key),
            height: rng.between(0.1, 0.5),
            fall: rng.between(0.5, 1.3),
            patch: rng.chance(0.35).then_some(patch),
            lamp_on: rng.chance(0.6),
        }
    }

    /// The light at a place of `scene`, in fractions of the side; white paper there looks like it.
    pub(crate) fn at(&self, scene: &Scene, x: f32, y: f32) -> Light {
        let across = if self.from > 0.0 { 1.0 - x } else { x };
        let distance = across.powi(2) + 0.6 * (y - self.height).powi(2);
        let mut window = 1.25 * (-self.fall * distance).exp();
        if let Some(patch) = &self.patch {
            window += patch.at(x, y);
        }
        // Corners where wall meets floor are a little darker.
        let corner = 1.0 - 0.16 * (-((y - scene.horizon) / 0.05).powi(2)).exp();
        let mut light = scaled(plus(self.ambient, scaled(self.key, window)), corner);
        if let Some(at) = scene.position(Object::Lamp).filter(|_| self.lamp_on) {
            let place = &scene.items[at].placement;
            let (cx, _) = place.center();
            let far = ((x - cx) / 0.20).powi(2) + ((y - place.top - 0.08) / 0.24).powi(2);
            light = plus(light, scaled([0.34, 0.29, 0.21], (-far).exp()));
        }
        light
    }
}

impl Patch {
    fn at(&self, x: f32, y: f32) -> f32 {
        let (u, v) = (
            (x - self.left + self.slant * (y - self.top)) / self.width,
            (y - self.top) / self.height,
        );
        let soft = 0.06;
        let within = |t: f32| smooth(-soft, soft, t) * smooth(1.0 + soft, 1.0 - soft, t);
        // Two panes and the bar between them.
        let bar = 1.0 - smooth(0.05, 0.02, (u - 0.5).abs());
        self.strength * within(u) * within(v) * bar
    }
}
