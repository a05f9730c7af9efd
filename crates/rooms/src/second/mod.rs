//! A second style, drawn by other means than the rich one, that nothing is trained or tuned on: round bodies under two lamps of
//! different color, light that bodies throw on each other, mirrors in the floor, a lens that is sharp at one depth, fringe and
//! leaves.
//!
//! The light that bodies throw on each other is that of the room before the edit, in the edited twin, too: an edit of an
//! object's paint does not reach beyond the object.

mod shapes;

use tiny_skia::Path;

use crate::canvas::{Canvas, Point, center};
use crate::linear::{Light, albedo, dot, mix, mixed, plus, scaled, smooth, times};
use crate::noise::cloud;
use crate::object::Object;
use crate::plane::{Cover, Plane};
use crate::rng::Rng;
use crate::scene::{Item, Scene};

use shapes::{Body, bodies};

/// What a room's looks are drawn from, beside its scene.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    lamps: [Lamp; 2],
    ambient: Light,
    /// The share of light that the floor mirrors.
    mirror: f32,
    /// The depth that is sharp, from 0 (wall) to 1 (the viewer's feet), and how fast sharpness goes.
    focus: f32,
    lens: f32,
    tiles: f32,
    seed: u32,
}

/// A lamp far away.
#[derive(Clone, Copy, Debug)]
struct Lamp {
    /// Where it is: right, down, towards the viewer; of length 1.
    direction: Light,
    color: Light,
}

impl Lamp {
    fn random(rng: &mut Rng, side: f32, color: Light) -> Self {
        let (x, y, z) = (
            side * rng.between(0.3, 0.8),
            rng.between(-0.7, -0.3),
            rng.between(0.4, 0.9),
        );
        Self {
            direction: unit([x, y, z]),
            color,
        }
    }
}

/// The light that a room's bodies throw on each other, in three channels.
struct Bounce([Plane; 3]);

/// Side of the planes that hold it: it is soft.
const COARSE: usize = 128;

impl Look {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let side = if rng.chance(0.5) { 1.0 } else { -1.0 };
        let (warm, strong) = (rng.between(0.15, 0.4), rng.between(0.65, 0.85));
        let key = scaled([1.0 + 0.5 * warm, 1.0, 1.0 - warm], strong);
        let fill = match rng.below(3) {
            0 => [0.12, 0.20, 0.42],
            1 => [0.34, 0.14, 0.30],
            _ => [0.10, 0.30, 0.30],
        };
        Self {
            lamps: [Lamp::random(rng, side, key), Lamp::random(rng, -side, fill)],
            ambient: scaled([0.95, 1.0, 1.08], rng.between(0.26, 0.36)),
            mirror: rng.between(0.06, 0.2),
            focus: rng.between(0.2, 0.9),
            lens: rng.between(0.002, 0.006),
            tiles: rng.between(3.0, 6.0),
            seed: rng.bits() as u32,
        }
    }

    /// The light that reaches the camera, `side` x `side` pixels; `about` are the objects of an edit, `lit` is the room whose
    /// bodies throw light.
    pub(crate) fn canvas(
        &self,
        scene: &Scene,
        about: &[Object],
        side: usize,
        lit: &Scene,
    ) -> Canvas {
        let dark = Bounce(std::array::from_fn(|_| Plane::new(1)));
        let first = self.pass(lit, &[], COARSE, &dark);
        let bounce = Bounce(std::array::from_fn(|channel| {
            let mut plane = Plane::new(COARSE);
            for (value, point) in plane.values.iter_mut().zip(&first.points) {
                *value = point.light[channel];
            }
            plane.blur(5.0);
            plane
        }));
        self.pass(scene, about, side, &bounce)
    }

    fn pass(&self, scene: &Scene, about: &[Object], side: usize, bounce: &Bounce) -> Canvas {
        let mut canvas = Canvas::new(side, |x, y| self.ground(scene, x, y, bounce));
        self.soften(&mut canvas, scene.horizon);
        for item in &scene.items {
            let bodies = bodies(item);
            self.shadow(&mut canvas, item, &bodies);
            self.lay(
                &mut canvas,
                item,
                &bodies,
                about.contains(&item.object),
                bounce,
            );
        }
        canvas
    }

    /// Wall and floor under both lamps; the floor mirrors what is above it.
    fn ground(&self, scene: &Scene, x: f32, y: f32, bounce: &Bounce) -> Light {
        let glow = |lamp: &Lamp| {
            let far = (x - 0.5 - 0.9 * lamp.direction[0]).powi(2) + (y - 0.2).powi(2);
            scaled(lamp.color, 0.45 + 0.75 * (-far / 0.5).exp())
        };
        let light = plus(
            self.ambient,
            plus(glow(&self.lamps[0]), glow(&self.lamps[1])),
        );
        let near = smooth(0.12, 0.0, (y - scene.horizon).abs());
        let light = scaled(light, 1.0 - 0.22 * near);
        if y < scene.horizon {
            let uneven = 1.0 + 0.03 * cloud(self.seed, 4.0 * x, 4.0 * y);
            return scaled(times(albedo(scene.wall), light), 0.85 * uneven);
        }
        let down = y - scene.horizon;
        let depth = 1.0 / (0.3 + 1.4 * down);
        let (u, v) = ((x - 0.5) * depth * self.tiles, depth * self.tiles * 0.9);
        let checker = (u.floor() + v.floor()).rem_euclid(2.0);
        let grout = smooth(0.0, 0.05, (u - u.round()).abs().min((v - v.round()).abs()));
        let tile = mix(0.84, 1.0, checker) * mix(0.8, 1.0, grout);
        let floor = scaled(times(albedo(scene.floor), light), tile);
        let seen = bounce.at(x, scene.horizon - 0.8 * down);
        mixed(floor, seen, self.mirror)
    }

    /// Blurs wall and floor as the lens does: the wall is far, the floor comes nearer towards the lower border.
    fn soften(&self, canvas: &mut Canvas, horizon: f32) {
        let side = canvas.side;
        let sigma = self.lens * self.focus.max(1.0 - self.focus);
        if sigma * (side as f32) < 0.5 {
            return;
        }
        for channel in 0..3 {
            let mut plane = Plane {
                side,
                values: canvas
                    .points
                    .iter()
                    .map(|point| point.light[channel])
                    .collect(),
            };
            plane.blur(sigma * side as f32);
            for (i, (point, soft)) in canvas.points.iter_mut().zip(plane.values).enumerate() {
                let (_, y) = center(i % side, i / side, side);
                let depth = ((y - horizon) / (1.0 - horizon)).max(0.0);
                let share = (self.blur(depth) / sigma).min(1.0);
                point.light[channel] = mix(point.light[channel], soft, share);
            }
        }
    }

    fn blur(&self, depth: f32) -> f32 {
        self.lens * ((depth - self.focus).abs() - 0.15).max(0.0)
    }

    fn lay(&self, canvas: &mut Canvas, item: &Item, bodies: &[Body], about: bool, bounce: &Bounce) {
        let side = canvas.side;
        // The item alone: light times share, so that its soft edge mixes with what is behind.
        let mut layer = vec![(0.0f32, Point::default()); side * side];
        for body in bodies {
            let height = self.height(&body.path, body.bulge, side);
            let paint = albedo(body.fixed.unwrap_or_else(|| item.rgb()));
            let (object, of_item) = (
                f32::from(u8::from(about)),
                f32::from(u8::from(body.fixed.is_none())),
            );
            for (x, y, share) in Cover::of(&body.path, side, (0.0, 0.0)).pixels() {
                let (u, v) = center(x, y, side);
                let (normal, deep) = bent(height.as_ref(), u, v);
                let mut light = plus(self.ambient, scaled(bounce.at(u, v), 0.45));
                let mut shine = 0.0;
                for lamp in &self.lamps {
                    // Light wraps a little around soft bodies.
                    let facing = (dot(normal, lamp.direction) + 0.25).max(0.0) / 1.25;
                    light = plus(light, scaled(lamp.color, facing));
                    let half = unit(plus(lamp.direction, [0.0, 0.0, 1.0]));
                    shine += body.gloss * dot(normal, half).max(0.0).powi(40) * lamp.color[1];
                }
                let light = plus(scaled(times(paint, light), deep), [shine; 3]);
                let (cover, below) = &mut layer[y * side + x];
                let keep = 1.0 - share;
                below.light = plus(scaled(below.light, keep), scaled(light, share));
                below.object = below.object * keep + object * share;
                below.colored = below.colored * keep + object * of_item * share;
                *cover = *cover * keep + share;
            }
        }
        let depth = depth(item);
        let sigma = self.blur(depth) * side as f32;
        if sigma >= 0.5 {
            let mut soften = |get: &dyn Fn(&(f32, Point)) -> f32,
                              put: &dyn Fn(&mut (f32, Point), f32)| {
                let mut plane = Plane {
                    side,
                    values: layer.iter().map(get).collect(),
                };
                plane.blur(sigma);
                for (pixel, value) in layer.iter_mut().zip(plane.values) {
                    put(pixel, value);
                }
            };
            soften(&|p| p.0, &|p, v| p.0 = v);
            for channel in 0..3 {
                soften(&|p| p.1.light[channel], &|p, v| p.1.light[channel] = v);
            }
            if about {
                soften(&|p| p.1.object, &|p, v| p.1.object = v);
                soften(&|p| p.1.colored, &|p, v| p.1.colored = v);
            }
        }
        for (below, (cover, above)) in canvas.points.iter_mut().zip(&layer) {
            let keep = 1.0 - cover;
            below.light = plus(scaled(below.light, keep), above.light);
            below.object = below.object * keep + above.object;
            below.colored = below.colored * keep + above.colored;
        }
    }

    /// How far a body stands out at every place: its outline, blurred at two widths, rounds it.
    fn height(&self, path: &Path, bulge: f32, side: usize) -> Option<Plane> {
        if bulge <= 0.0 {
            return None;
        }
        // Bodies are smooth: a coarser plane holds their height.
        let side = (side / 2).clamp(64, 512);
        let mut plane = Plane::new(side);
        for (x, y, share) in Cover::of(path, side, (0.0, 0.0)).pixels() {
            plane.values[y * side + x] = share;
        }
        let mut wide = plane.clone();
        plane.blur(0.25 * bulge * side as f32);
        wide.blur(0.7 * bulge * side as f32);
        for (value, wide) in plane.values.iter_mut().zip(&wide.values) {
            *value = bulge * (value.max(0.0) * wide.max(0.0)).sqrt();
        }
        Some(plane)
    }

    fn shadow(&self, canvas: &mut Canvas, item: &Item, bodies: &[Body]) {
        let side = (canvas.side / 4).max(32);
        let [x, y, z] = self.lamps[0].direction;
        let hangs = !item.object.stands();
        let reach = if hangs { 0.012 } else { 0.04 };
        let mut plane = Plane::new(side);
        for body in bodies {
            let shift = (-x / z * reach, -y / z * reach * 0.6);
            for (x, y, share) in Cover::of(&body.path, side, shift).pixels() {
                let value = &mut plane.values[y * side + x];
                *value = value.max(share);
            }
        }
        let mut near = plane.clone();
        plane.blur(if hangs { 0.01 } else { 0.024 } * side as f32);
        near.blur(0.01 * side as f32);
        for (i, point) in canvas.points.iter_mut().enumerate() {
            let (u, v) = center(i % canvas.side, i / canvas.side, canvas.side);
            let dark = 0.34 * plane.at(u, v) + 0.2 * near.at(u, v - 0.012);
            // What is left is the second lamp's and the room's, and has their color.
            point.light =
                std::array::from_fn(|c| point.light[c] * (1.0 - dark * [1.0, 0.95, 0.85][c]));
        }
    }
}

impl Bounce {
    fn at(&self, x: f32, y: f32) -> Light {
        [0, 1, 2].map(|channel: usize| self.0[channel].at(x, y))
    }
}

/// The direction that a surface faces, and how open it is: creases are darker.
fn bent(height: Option<&Plane>, x: f32, y: f32) -> (Light, f32) {
    let Some(height) = height else {
        return ([0.0, 0.0, 1.0], 1.0);
    };
    let step = 1.5 / height.side as f32;
    let slope =
        |dx: f32, dy: f32| (height.at(x + dx, y + dy) - height.at(x - dx, y - dy)) / (2.0 * step);
    let normal = unit([-1.6 * slope(step, 0.0), -1.6 * slope(0.0, step), 1.0]);
    (normal, 0.82 + 0.18 * normal[2])
}

/// From 0 (the wall) to 1 (the viewer's feet).
fn depth(item: &Item) -> f32 {
    match item.object {
        Object::Curtain | Object::Picture => 0.05,
        _ => ((item.placement.base() - 0.58) / 0.38).clamp(0.0, 1.0),
    }
}

fn unit(v: Light) -> Light {
    scaled(v, 1.0 / dot(v, v).sqrt().max(1e-6))
}
