//! The forms of an item: the outlines that plain rooms have, each with what it is made of.

use tiny_skia::Path;

use crate::furniture::{Material, Shapes};
use crate::linear::{Light, albedo};
use crate::object::Object;
use crate::rng::{Domain, Rng};
use crate::scene::Item;

use super::relief::Relief;
use super::textile::{Sample, Textile, specks, wood};

/// One outline and all that the light meets there.
pub(crate) struct Form {
    pub(crate) path: Path,
    pub(crate) paint: Paint,
    pub(crate) stuff: Stuff,
    pub(crate) relief: Relief,
    /// How strongly it mirrors the lamp.
    pub(crate) gloss: f32,
}

/// Whose color a form is painted in.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Paint {
    /// The item's, times this.
    Item(f32),
    Fixed(Light),
}

/// What it is made of.
#[derive(Clone, Debug)]
pub(crate) enum Stuff {
    Cloth(Textile),
    Wood(u32),
    /// Leather, glaze, paper, metal: specks of a depth.
    Specks(u32, f32),
}

impl Stuff {
    pub(crate) fn at(&self, x: f32, y: f32, pixel: f32) -> Sample {
        let own = |tone: f32| Sample { tone, own: 1.0 };
        match self {
            Self::Cloth(textile) => textile.at(x, y, pixel),
            Self::Wood(seed) => own(wood(*seed, y, x, pixel)),
            Self::Specks(seed, depth) => own(specks(*seed, x, y, pixel, *depth)),
        }
    }
}

/// The second color that a textile is woven with: unbleached.
pub(crate) fn cream() -> Light {
    albedo([232, 222, 200])
}

/// The forms of `item`, from back to front. All that its seed decides stays when it is recolored.
pub(crate) fn forms(item: &Item) -> Vec<Form> {
    let mut rng = Rng::new(Domain::Surface, item.seed, 0);
    let coarse = if item.object == Object::Carpet {
        1.8
    } else {
        1.0
    };
    let cloth = Stuff::Cloth(Textile::random(&mut rng, coarse));
    let leather = rng.chance(0.3);
    let seed = rng.bits() as u32;
    let skin = Stuff::Specks(seed, rng.between(0.03, 0.06));
    let folds = Relief::Folds {
        count: rng.between(5.0, 9.0),
        seed,
    };
    let glaze = rng.between(0.35, 0.9);
    let shapes = Shapes::of(item).0.into_iter().enumerate();
    shapes
        // A curtain's folds are its relief, not shapes of their own.
        .filter(|(i, _)| item.object != Object::Curtain || *i == 0)
        .map(|(i, (path, material))| {
            let wide = path.bounds().width() > 0.04;
            let (stuff, relief, gloss) = match (item.object, material) {
                (Object::Sofa | Object::Ottoman, Material::Colored(_)) if leather => {
                    (skin.clone(), Relief::Cushion, 0.10)
                }
                (Object::Sofa | Object::Ottoman, Material::Colored(_)) => {
                    (cloth.clone(), Relief::Cushion, 0.0)
                }
                (Object::Carpet, _) => (cloth.clone(), Relief::Flat, 0.0),
                (Object::Curtain, _) => (cloth.clone(), folds, 0.0),
                (Object::Picture, Material::Colored(_)) if i == 0 => {
                    (Stuff::Wood(seed), Relief::Cushion, 0.08)
                }
                (Object::Lamp, Material::Colored(_)) => (cloth.clone(), Relief::Shade, 0.0),
                (Object::Vase, Material::Colored(_)) if wide => {
                    (Stuff::Specks(seed, 0.03), Relief::Ball, glaze)
                }
                (Object::Sofa, Material::Fixed(_)) => (Stuff::Wood(seed), Relief::Column, 0.1),
                (Object::Lamp, Material::Fixed(_)) => {
                    (Stuff::Specks(seed, 0.02), Relief::Column, 0.5)
                }
                (Object::Vase, _) => (Stuff::Specks(seed, 0.05), Relief::Column, 0.3),
                _ => (Stuff::Specks(seed, 0.03), Relief::Flat, 0.0),
            };
            let paint = match material {
                // Relief and shadow say what plain rooms say with shades.
                Material::Colored(shade) => Paint::Item(1.0 + 0.5 * (shade - 1.0)),
                Material::Fixed(rgb) => Paint::Fixed(albedo(rgb)),
            };
            Form {
                path,
                paint,
                stuff,
                relief,
                gloss,
            }
        })
        .collect()
}
