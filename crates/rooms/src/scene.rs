//! A furnished room: wall, floor, and objects with their places and colors.

use crate::rng::Rng;

/// An opaque sRGB color.
pub type Rgb = [u8; 3];

/// The 12 colors that objects come in and that instructions ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[rustfmt::skip]
pub enum Color { Red, Orange, Yellow, Green, Teal, Blue, Purple, Pink, Brown, Black, White, Gray }

impl Color {
    /// All colors, in the palette's order.
    #[rustfmt::skip]
    pub const ALL: [Self; 12] = [
        Self::Red, Self::Orange, Self::Yellow, Self::Green, Self::Teal, Self::Blue,
        Self::Purple, Self::Pink, Self::Brown, Self::Black, Self::White, Self::Gray,
    ];

    /// The color itself; objects are drawn in slight variations of it.
    #[must_use]
    pub const fn rgb(self) -> Rgb {
        match self {
            Self::Red => [200, 40, 40],
            Self::Orange => [230, 130, 40],
            Self::Yellow => [235, 205, 60],
            Self::Green => [60, 150, 70],
            Self::Teal => [40, 150, 150],
            Self::Blue => [50, 90, 200],
            Self::Purple => [130, 60, 170],
            Self::Pink => [235, 130, 170],
            Self::Brown => [125, 80, 45],
            Self::Black => [35, 35, 38],
            Self::White => [240, 240, 238],
            Self::Gray => [135, 135, 138],
        }
    }

    /// The English word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Red => "red",
            Self::Orange => "orange",
            Self::Yellow => "yellow",
            Self::Green => "green",
            Self::Teal => "teal",
            Self::Blue => "blue",
            Self::Purple => "purple",
            Self::Pink => "pink",
            Self::Brown => "brown",
            Self::Black => "black",
            Self::White => "white",
            Self::Gray => "gray",
        }
    }
}

/// The objects that furnish a room, from the one drawn first to the one drawn last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[rustfmt::skip]
pub enum Object { Carpet, Curtain, Picture, Sofa, Lamp, Ottoman, Vase }

impl Object {
    /// All objects, in drawing order.
    #[rustfmt::skip]
    pub const ALL: [Self; 7] = [
        Self::Carpet, Self::Curtain, Self::Picture, Self::Sofa, Self::Lamp, Self::Ottoman, Self::Vase,
    ];

    /// The English word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Carpet => "carpet",
            Self::Curtain => "curtain",
            Self::Picture => "picture",
            Self::Sofa => "sofa",
            Self::Lamp => "lamp",
            Self::Ottoman => "ottoman",
            Self::Vase => "vase",
        }
    }

    /// How often a room has one.
    const fn frequency(self) -> f64 {
        match self {
            Self::Carpet | Self::Curtain | Self::Lamp => 0.6,
            Self::Picture => 0.55,
            Self::Sofa => 0.75,
            Self::Ottoman | Self::Vase => 0.5,
        }
    }
}

/// The box of an object's body, in fractions of the picture's side (origin at top left).
/// Legs reach below it and stems above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
}

impl Placement {
    fn centered(cx: f32, cy: f32, width: f32, height: f32) -> Self {
        Self { left: cx - width / 2.0, top: cy - height / 2.0, width, height }
    }

    fn standing(cx: f32, base: f32, width: f32, height: f32) -> Self {
        Self { left: cx - width / 2.0, top: base - height, width, height }
    }

    /// A place for `object` in a room whose floor begins at `horizon`; `mirrored` rooms have
    /// the curtain on the right and the lamp on the left.
    #[must_use]
    pub fn random(rng: &mut Rng, object: Object, horizon: f32, mirrored: bool) -> Self {
        let across = |cx: f32| if mirrored { 1.0 - cx } else { cx };
        match object {
            Object::Carpet => {
                let (cx, cy) = (rng.between(0.35, 0.65), horizon + rng.between(0.15, 0.24));
                Self::centered(cx, cy, 2.0 * rng.between(0.25, 0.4), 2.0 * rng.between(0.07, 0.11))
            }
            Object::Curtain => {
                let (cx, width) = (across(rng.between(0.1, 0.16)), rng.between(0.12, 0.2));
                let (top, bottom) = (rng.between(0.02, 0.08), horizon + rng.between(-0.03, 0.06));
                Self::standing(cx, bottom, width, bottom - top)
            }
            Object::Picture => {
                let (cx, cy) = (across(rng.between(0.42, 0.62)), rng.between(0.16, 0.26));
                Self::centered(cx, cy, rng.between(0.14, 0.24), rng.between(0.12, 0.18))
            }
            Object::Sofa => {
                let (cx, base) = (across(rng.between(0.42, 0.55)), horizon + rng.between(0.06, 0.12));
                Self::standing(cx, base, rng.between(0.36, 0.5), rng.between(0.2, 0.28))
            }
            Object::Lamp => {
                let (cx, base) = (across(rng.between(0.84, 0.92)), horizon + rng.between(0.04, 0.1));
                Self::standing(cx, base, rng.between(0.12, 0.17), rng.between(0.42, 0.55))
            }
            Object::Ottoman => {
                let (cx, base) = (across(rng.between(0.2, 0.34)), horizon + rng.between(0.22, 0.28));
                Self::standing(cx, base, rng.between(0.16, 0.22), rng.between(0.09, 0.13))
            }
            Object::Vase => {
                let (cx, base) = (across(rng.between(0.66, 0.8)), horizon + rng.between(0.18, 0.28));
                Self::standing(cx, base, rng.between(0.08, 0.12), rng.between(0.14, 0.2))
            }
        }
    }

    #[must_use]
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// The lower edge: where a standing object meets the floor.
    #[must_use]
    pub fn base(&self) -> f32 {
        self.top + self.height
    }

    #[must_use]
    pub fn center(&self) -> (f32, f32) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }
}

/// An object in a room.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    pub object: Object,
    pub placement: Placement,
    pub color: Color,
    /// Fixes how the drawn color varies from [`Color::rgb`]; it stays when the item is recolored.
    pub seed: u64,
}

impl Item {
    /// The color that the item is drawn in: each channel within 12 of [`Color::rgb`].
    #[must_use]
    pub fn rgb(&self) -> Rgb {
        vary(self.color.rgb(), 12.0, &mut Rng::new(crate::rng::Domain::Tint, self.seed, 0))
    }
}

/// A furnished room. Items are drawn in order, later ones in front; each object occurs
/// at most once.
#[derive(Clone, Debug, PartialEq)]
pub struct Scene {
    /// Where the floor begins, as a fraction of the picture's height from the top.
    pub horizon: f32,
    pub wall: Rgb,
    pub floor: Rgb,
    pub mirrored: bool,
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
        Item { object, placement, color, seed: rng.bits() }
    }

    /// The position in drawing order of `object`, if the room has one.
    #[must_use]
    pub fn position(&self, object: Object) -> Option<usize> {
        self.items.iter().position(|item| item.object == object)
    }

    /// The objects that the room lacks, in drawing order.
    #[must_use]
    pub fn absent(&self) -> Vec<Object> {
        Object::ALL.into_iter().filter(|&object| self.position(object).is_none()).collect()
    }
}

fn vary(color: Rgb, spread: f32, rng: &mut Rng) -> Rgb {
    // `as u8` saturates and drops the fraction.
    color.map(|channel| (f32::from(channel) + rng.between(-spread, spread)) as u8)
}
