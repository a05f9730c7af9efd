//! What furnishes a room, and where it can stand.

use crate::rng::Rng;

/// The objects that furnish a room, from the one drawn first to the one drawn last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Object {
    Carpet,
    Curtain,
    Picture,
    Sofa,
    Lamp,
    Ottoman,
    Vase,
}

impl Object {
    /// All objects, in drawing order.
    pub const ALL: [Self; 7] = [
        Self::Carpet,
        Self::Curtain,
        Self::Picture,
        Self::Sofa,
        Self::Lamp,
        Self::Ottoman,
        Self::Vase,
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
    pub(crate) const fn frequency(self) -> f64 {
        match self {
            Self::Carpet | Self::Curtain | Self::Lamp => 0.6,
            Self::Picture => 0.55,
            Self::Sofa => 0.75,
            Self::Ottoman | Self::Vase => 0.5,
        }
    }
    /// Whether it can stand, hang or lie where `other` does.
    pub(crate) fn replaces(self, other: Self) -> bool {
        Kind::of(self) == Kind::of(other)
    }

    /// Whether it stands on the floor, at a distance of its own.
    pub(crate) fn stands(self) -> bool {
        Kind::of(self) == Kind::Standing
    }
}

/// What can take the place of what.
#[derive(PartialEq)]
enum Kind {
    Lying,
    Hanging,
    Standing,
}

impl Kind {
    fn of(object: Object) -> Self {
        match object {
            Object::Carpet => Self::Lying,
            Object::Curtain | Object::Picture => Self::Hanging,
            Object::Sofa | Object::Lamp | Object::Ottoman | Object::Vase => Self::Standing,
        }
    }
}

/// The box of an object's body, in fractions of the picture's side (origin at top left). Legs reach below it and stems
/// above it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// The left edge.
    pub left: f32,
    /// The upper edge.
    pub top: f32,
    /// From the left edge to the right.
    pub width: f32,
    /// From the upper edge to the lower.
    pub height: f32,
}

impl Placement {
    fn centered(cx: f32, cy: f32, width: f32, height: f32) -> Self {
        Self {
            left: cx - width / 2.0,
            top: cy - height / 2.0,
            width,
            height,
        }
    }

    fn standing(cx: f32, base: f32, width: f32, height: f32) -> Self {
        Self {
            left: cx - width / 2.0,
            top: base - height,
            width,
            height,
        }
    }

    /// A place for `object` in a room whose floor begins at `horizon`; `mirrored` rooms have the curtain on the right
    /// and the lamp on the left.
    #[must_use]
    pub fn random(rng: &mut Rng, object: Object, horizon: f32, mirrored: bool) -> Self {
        let across = |cx: f32| if mirrored { 1.0 - cx } else { cx };
        match object {
            Object::Carpet => {
                let (cx, cy) = (rng.between(0.35, 0.65), horizon + rng.between(0.15, 0.24));
                Self::centered(
                    cx,
                    cy,
                    2.0 * rng.between(0.25, 0.4),
                    2.0 * rng.between(0.07, 0.11),
                )
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
                let (cx, base) = (
                    across(rng.between(0.42, 0.55)),
                    horizon + rng.between(0.06, 0.12),
                );
                Self::standing(cx, base, rng.between(0.36, 0.5), rng.between(0.2, 0.28))
            }
            Object::Lamp => {
                let (cx, base) = (
                    across(rng.between(0.84, 0.92)),
                    horizon + rng.between(0.04, 0.1),
                );
                Self::standing(cx, base, rng.between(0.12, 0.17), rng.between(0.42, 0.55))
            }
            Object::Ottoman => {
                let (cx, base) = (
                    across(rng.between(0.2, 0.34)),
                    horizon + rng.between(0.22, 0.28),
                );
                Self::standing(cx, base, rng.between(0.16, 0.22), rng.between(0.09, 0.13))
            }
            Object::Vase => {
                let (cx, base) = (
                    across(rng.between(0.66, 0.8)),
                    horizon + rng.between(0.18, 0.28),
                );
                Self::standing(cx, base, rng.between(0.08, 0.12), rng.between(0.14, 0.2))
            }
        }
    }

    /// Whether the boxes meet.
    pub(crate) fn touches(&self, other: &Self) -> bool {
        let apart = |low: f32, high: f32, other_low: f32, other_high: f32| {
            low > other_high || other_low > high
        };
        !apart(self.left, self.right(), other.left, other.right())
            && !apart(self.top, self.base(), other.top, other.base())
    }

    /// The right edge.
    #[must_use]
    pub fn right(&self) -> f32 {
        self.left + self.width
    }

    /// The lower edge: where a standing object meets the floor.
    #[must_use]
    pub fn base(&self) -> f32 {
        self.top + self.height
    }

    /// The middle, as (across, down).
    #[must_use]
    pub fn center(&self) -> (f32, f32) {
        (self.left + self.width / 2.0, self.top + self.height / 2.0)
    }
}
