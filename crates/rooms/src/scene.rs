//! A furnished room: wall, floor, and objects with their places and colors.

use crate::color::{Color, Rgb, vary};
use crate::object::{Object, Placement};
use crate::rng::{Domain, Rng};

/// An object in a room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// What it is.
    pub object: Object,
    /// Where it is.
    pub placement: Placement,
    /// What color it has.
    pub color: Color,
    /// Fixes how the drawn color varies from [`Color::rgb`]; it stays when the item is recolored.
    pub seed: u64,
}

impl Item {
    /// The color that the item is drawn in: each channel within 12 of [`Color::rgb`].
    #[must_use]
    pub fn rgb(&self) -> Rgb {
        vary(
            self.color.rgb(),
            12.0,
            &mut Rng::new(Domain::Tint, self.seed, 0),
        )
    }

    /// Moves it to where `old` is, as far as the picture's edges allow; what stands keeps the old one's distance, what
    /// hangs or lies its own height.
    pub(crate) fn take_place_of(&mut self, old: &Self) {
        let place = &mut self.placement;
        let (cx, _) = old.placement.center();
        place.left = (cx - place.width / 2.0).clamp(0.01, 0.99 - place.width);
        if self.object.stands() {
            place.top = old.placement.base() - place.height;
        }
    }
}

/// A furnished room. Items are drawn in order, later ones in front; each object occurs at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Where the floor begins, as a fraction of the picture's height from the top.
    pub horizon: f32,
    /// The wall's color.
    pub wall: Rgb,
    /// The floor's color.
    pub floor: Rgb,
    /// Whether left and right are swapped.
    pub mirrored: bool,
    /// What furnishes it, from back to front.
    pub items: Vec<Item>,
}

#[rustfmt::skip]
const WALLS: [Rgb; 6] = [
    [225, 215, 200], [200, 210, 220], [215, 225, 210], [230, 220, 225], [190, 190, 185], [240, 235, 220],
];
#[rustfmt::skip]
const FLOORS: [Rgb; 5] = [
    [160, 120, 85], [130, 100, 75], [180, 150, 115], [110, 105, 100], [190, 175, 150],
];

impl Scene {
    /// A room with two to seven objects.
    #[must_use]
    pub fn random(rng: &mut Rng) -> Self {
        loop {
            let scene = Self::draft(rng);
            if scene.items.len() >= 2 {
                return scene;
            }
        }
    }

    fn draft(rng: &mut Rng) -> Self {
        let horizon = rng.between(0.55, 0.68);
        let wall = rng.pick(&WALLS);
        let floor = rng.pick(&FLOORS);
        let mut scene = Self {
            horizon,
            wall: vary(wall, 10.0, rng),
            floor: vary(floor, 10.0, rng),
            mirrored: rng.chance(0.5),
            items: Vec::new(),
        };
        for object in Object::ALL {
            if rng.chance(object.frequency()) {
                let color = rng.pick(&Color::ALL);
                let item = scene.furnish(rng, object, color);
                scene.items.push(item);
            }
        }
        scene
    }

    /// An item that would suit this room; it is not placed yet.
    #[must_use]
    pub fn furnish(&self, rng: &mut Rng, object: Object, color: Color) -> Item {
        let placement = Placement::random(rng, object, self.horizon, self.mirrored);
        Item {
            object,
            placement,
            color,
            seed: rng.bits(),
        }
    }

    /// The position in drawing order of `object`, if the room has one.
    #[must_use]
    pub fn position(&self, object: Object) -> Option<usize> {
        self.items.iter().position(|item| item.object == object)
    }

    /// The objects that the room lacks, in drawing order.
    #[must_use]
    pub fn absent(&self) -> Vec<Object> {
        Object::ALL
            .into_iter()
            .filter(|&object| self.position(object).is_none())
            .collect()
    }
}
