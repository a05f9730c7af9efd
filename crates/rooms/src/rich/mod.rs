//! Rooms as a camera sees them: cloth and wood, light from a window, soft shadows, highlights.
//!
//! A pixel is `paint * texture * light + highlight`, layer over layer in linear light. A recolored twin has another paint and
//! everything else alike, so it is what a perfect edit gives.
//!
//! - `textile`: threads, patterns, wood, plaster
//! - `relief`: how surfaces are bent
//! - `forms`: the outlines of an item, each with what it is made of
//! - `sun`: where light comes from
//! - `ground`: wall and floor

mod forms;
mod ground;
mod relief;
mod sun;
mod textile;

use tiny_skia::PathBuilder;

use crate::canvas::{Canvas, Point, center};
use crate::linear::{Light, albedo, mixed, plus, scaled, times};
use crate::object::Object;
use crate::plane::{Cover, Plane};
use crate::rng::Rng;
use crate::scene::{Item, Scene};

use forms::{Form, Paint, cream, forms};
use ground::Ground;
use sun::Sun;

/// What a room's looks are drawn from, beside its scene.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    sun: Sun,
    ground: Ground,
}

impl Look {
    pub(crate) fn random(rng: &mut Rng) -> Self {
        Self {
            sun: Sun::random(rng),
            ground: Ground::random(rng),
        }
    }

    /// The light that reaches the camera, `side` x `side` pixels; `about` are the objects of an edit.
    pub(crate) fn canvas(&self, scene: &Scene, about: &[Object], side: usize) -> Canvas {
        let pixel = 1.0 / side as f32;
        let sun: Vec<Light> = (0..side * side)
            .map(|i| {
                let (x, y) = center(i % side, i / side, side);
                self.sun.at(scene, x, y)
            })
            .collect();
        let mut canvas = Canvas::new(side, |x, y| self.ground.at(scene, x, y, pixel));
        for (point, sun) in canvas.points.iter_mut().zip(&sun) {
            point.light = times(point.light, *sun);
        }
        for item in &scene.items {
            let forms = forms(item);
            self.shadow(&mut canvas, item, &forms);
            for form in &forms {
                self.lay(&mut canvas, &sun, item, form, about.contains(&item.object));
            }
        }
        canvas
    }

    fn lay(&self, canvas: &mut Canvas, sun: &[Light], item: &Item, form: &Form, about: bool) {
        let (side, pixel) = (canvas.side, 1.0 / canvas.side as f32);
        let bounds = form.path.bounds();
        let (paint, of_item) = match form.paint {
            Paint::Item(shade) => (scaled(albedo(item.rgb()), shade), 1.0),
            Paint::Fixed(light) => (light, 0.0),
        };
        let second = cream();
        for (x, y, share) in Cover::of(&form.path, side, (0.0, 0.0)).pixels() {
            let (u, v) = center(x, y, side);
            let sample = form.stuff.at(u, v, pixel);
            let own = if of_item > 0.0 { sample.own } else { 1.0 };
            let tone = sample.tone * form.relief.shade(&bounds, u, v, self.sun.from);
            let paint = scaled(mixed(second, paint, own), tone.max(0.0));
            let gloss = form.gloss * form.relief.highlight(&bounds, u, v, self.sun.from);
            let light = plus(times(paint, sun[y * side + x]), scaled(self.sun.key, gloss));
            let object = f32::from(u8::from(about));
            canvas.over(
                x,
                y,
                share,
                Point {
                    light,
                    object,
                    colored: object * of_item * own,
                },
            );
        }
    }

    /// Takes away the window's light that an item keeps from what is behind and below it.
    fn shadow(&self, canvas: &mut Canvas, item: &Item, forms: &[Form]) {
        // Shadows are soft: a coarse plane holds them.
        let side = canvas.side.div_ceil(4).max(32);
        let fine = side as f32;
        let cast =
            |shift: (f32, f32), sigma: f32, forms: &mut dyn Iterator<Item = &tiny_skia::Path>| {
                let mut plane = Plane::new(side);
                for path in forms {
                    for (x, y, share) in Cover::of(path, side, shift).pixels() {
                        let value = &mut plane.values[y * side + x];
                        *value = value.max(share);
                    }
                }
                plane.blur(sigma * fine);
                plane
            };
        let (away, down, sigma, depth) = match item.object {
            Object::Carpet => (0.003, 0.004, 0.004, 0.3),
            Object::Curtain => (0.02, 0.006, 0.012, 0.35),
            Object::Picture => (0.012, 0.014, 0.008, 0.45),
            Object::Sofa | Object::Lamp | Object::Ottoman | Object::Vase => {
                (0.035, 0.02, 0.02, 0.42)
            }
        };
        let mut paths = forms.iter().map(|form| &form.path);
        let long = cast((-self.sun.from * away, down), sigma, &mut paths);
        let contact = item.object.stands().then(|| {
            let p = &item.placement;
            let half = 0.52
                * if item.object == Object::Lamp {
                    0.1
                } else {
                    p.width
                };
            let foot = if item.object == Object::Sofa {
                0.022
            } else {
                0.0
            };
            let ((cx, _), base) = (p.center(), p.base() + foot);
            let oval = tiny_skia::Rect::from_ltrb(cx - half, base - 0.016, cx + half, base + 0.014);
            let path = oval.and_then(PathBuilder::from_oval);
            cast((0.0, 0.0), 0.006, &mut path.iter())
        });
        // The sky's light fills shadows, and it is bluer.
        let color = [1.0, 0.97, 0.92];
        for (i, point) in canvas.points.iter_mut().enumerate() {
            let (x, y) = center(i % canvas.side, i / canvas.side, canvas.side);
            let mut dark = depth * long.at(x, y);
            if let Some(contact) = &contact {
                dark = 1.0 - (1.0 - dark) * (1.0 - 0.6 * contact.at(x, y));
            }
            if dark > 1e-4 {
                point.light = std::array::from_fn(|c| point.light[c] * (1.0 - dark * color[c]));
            }
        }
    }
}
