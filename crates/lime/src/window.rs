//! The rectangle of latents that stage 2 computes: around the region, with sides that the windows of many pictures share.

use candle_core::{Result, Tensor};
use limekiln_pictures::Mask;
use serde::{Deserialize, Serialize};

use crate::preset::EditWindow;

/// Least side where neither preset nor model says: half of what published checkpoints were trained at.
const LEAST: usize = 32;

/// What a network asks of windows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grain {
    /// Least side, in latent pixels; none is 32 or half the picture, whichever is larger.
    pub least: Option<usize>,
    /// How many latent pixels one pixel of the coarsest layer stands for, along a side: offsets and sides are multiples of it.
    pub halving: usize,
}

/// A rectangle of latent pixels, or of a layer's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rect {
    /// Pixels to the left of it.
    pub left: usize,
    /// Pixels above it.
    pub top: usize,
    /// Its width.
    pub width: usize,
    /// Its height.
    pub height: usize,
}

/// The sides that windows may have along an axis of `length`, the shortest first; the last is `length` itself. One above three
/// quarters would not pay.
pub fn sides(length: usize, least: usize, halving: usize) -> Vec<usize> {
    let halving = halving.max(1);
    let least = least.max(1).next_multiple_of(halving);
    let step = length.div_ceil(8).max(1).next_multiple_of(halving);
    let mut sides = Vec::new();
    let mut side = least;
    while 4 * side <= 3 * length {
        sides.push(side);
        side = (side + 1).next_multiple_of(step);
    }
    sides.push(length);
    sides
}

/// Offset and side of the window along an axis of `length` that holds pixels `from` to `to` (not included): the shortest, as
/// centred as offsets allow.
fn along(
    length: usize,
    (from, to): (usize, usize),
    least: usize,
    halving: usize,
) -> (usize, usize) {
    let shorter = sides(length, least, halving).into_iter().find_map(|side| {
        let last = (length - side) / halving * halving;
        // Twice the offset that would be in the middle, to the nearest that is allowed.
        let middle = (from + to).saturating_sub(side);
        let offset = ((middle + halving) / (2 * halving) * halving).min(last);
        (offset <= from && to <= offset + side).then_some((offset, side))
    });
    shorter.unwrap_or((0, length))
}

/// The first pixel that is inside along each axis, and the one after the last: columns, then rows. None where all are outside.
fn bounds(mask: &Mask) -> Option<[(usize, usize); 2]> {
    let inside = mask.inside().iter().enumerate();
    let inside = inside.filter(|(_, inside)| **inside);
    inside.fold(None, |bounds: Option<[(usize, usize); 2]>, (index, _)| {
        let at = [index % mask.width(), index / mask.width()];
        let [columns, rows] = bounds.unwrap_or(at.map(|at| (at, at + 1)));
        let with = |(first, end): (usize, usize), at: usize| (first.min(at), end.max(at + 1));
        Some([with(columns, at[0]), with(rows, at[1])])
    })
}

impl Rect {
    /// All of a picture of (height, width).
    pub fn whole((height, width): (usize, usize)) -> Self {
        Self {
            left: 0,
            top: 0,
            width,
            height,
        }
    }

    /// The window around what is `inside`, a mask of the latents' size, with `more` times the margin. None where that is nothing.
    pub fn around(inside: &Mask, settings: &EditWindow, more: f64, grain: Grain) -> Option<Self> {
        let [columns, rows] = bounds(inside)?;
        let longer = (columns.1 - columns.0).max(rows.1 - rows.0);
        let margin = (settings.margin as f64).max(settings.margin_share * longer as f64);
        let margin = (margin * more).ceil() as usize;
        let axis = |length: usize, (first, end): (usize, usize)| {
            let span = (first.saturating_sub(margin), (end + margin).min(length));
            let least = settings.least.or(grain.least);
            let least = least.unwrap_or(LEAST.max(length.div_ceil(2)));
            along(length, span, least, grain.halving.max(1))
        };
        let ((left, width), (top, height)) =
            (axis(inside.width(), columns), axis(inside.height(), rows));
        Some(Self {
            left,
            top,
            width,
            height,
        })
    }

    /// Share of a picture of (height, width) that it takes.
    pub fn share(self, (height, width): (usize, usize)) -> f64 {
        (self.width * self.height) as f64 / (width * height).max(1) as f64
    }

    /// Whether it is a part of a picture of (height, width), and not nothing.
    pub fn fits(self, (height, width): (usize, usize)) -> bool {
        let within = |offset: usize, side: usize, length: usize| {
            side > 0 && offset.checked_add(side).is_some_and(|end| end <= length)
        };
        within(self.left, self.width, width) && within(self.top, self.height, height)
    }

    /// Its part of `[rows, channels, h, w]`.
    pub fn cut(self, tensor: &Tensor) -> Result<Tensor> {
        let rows = tensor.narrow(2, self.top, self.height)?;
        rows.narrow(3, self.left, self.width)
    }

    /// The reverse of [`Rect::cut`] for a picture of (height, width): zeros around it.
    pub fn paste(self, part: &Tensor, (height, width): (usize, usize)) -> Result<Tensor> {
        let (below, right) = (
            height - self.top - self.height,
            width - self.left - self.width,
        );
        let rows = part.pad_with_zeros(2, self.top, below)?;
        rows.pad_with_zeros(3, self.left, right)
    }

    /// Its part of a mask of the whole picture, row by row.
    pub fn inside(self, mask: &Mask) -> Vec<bool> {
        let rows = mask.inside().chunks(mask.width().max(1));
        let rows = rows.skip(self.top).take(self.height);
        rows.flat_map(|row| row.iter().skip(self.left).take(self.width))
            .copied()
            .collect()
    }

    /// The layer that has `size` in a call on this part of a picture of (height, width) alone: its size in a call on the whole
    /// picture, and the part of it that is seen here. None where no number of halvings leads there. Each halving rounds up.
    pub fn in_layer(
        self,
        picture: (usize, usize),
        size: (usize, usize),
    ) -> Option<((usize, usize), Self)> {
        let (mut whole, mut part) = (picture, self);
        while (part.height, part.width) != size {
            if part.height.max(part.width) <= 1 {
                return None;
            }
            whole = (whole.0.div_ceil(2), whole.1.div_ceil(2));
            part = Self {
                left: part.left / 2,
                top: part.top / 2,
                width: part.width.div_ceil(2),
                height: part.height.div_ceil(2),
            };
        }
        Some((whole, part))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use proptest::prelude::*;

    use super::*;

    const ROOMS: Grain = Grain {
        least: Some(12),
        halving: 4,
    };

    #[test]
    fn sides_are_few_and_shared() {
        assert_eq!(sides(32, 12, 4), [12, 16, 20, 24, 32]);
        assert_eq!(sides(64, 32, 8), [32, 40, 48, 64]);
        assert_eq!(sides(96, 48, 8), [48, 64, 96]);
        assert_eq!(sides(62, 32, 8), [32, 40, 62]);
        assert_eq!(sides(32, 32, 4), [32]);
        assert_eq!(sides(1, 1, 8), [1]);
        assert!(sides(512, 12, 4).len() < 9);
    }

    #[test]
    fn a_window_has_the_least_side_and_grows_by_its_margin() {
        let mask = |side: usize, first: usize, end: usize| {
            let inside = |at: usize| {
                (first..end).contains(&(at % side)) && (first..end).contains(&(at / side))
            };
            Mask::new(side, side, (0..side * side).map(inside).collect())
        };
        let settings = EditWindow::default();
        let side = |mask: &Mask, grain: Grain| {
            let rect = Rect::around(mask, &settings, 1.0, grain).unwrap();
            (rect.left, rect.width)
        };
        assert_eq!(side(&mask(32, 16, 20), ROOMS), (12, 12));
        // No 12 from a multiple of 4 on would hold 11 to 21.
        assert_eq!(side(&mask(32, 15, 17), ROOMS), (8, 16));
        assert_eq!(side(&mask(32, 10, 20), ROOMS), (4, 20));
        // The corner needs no margin beyond the picture.
        assert_eq!(side(&mask(32, 0, 8), ROOMS), (0, 12));
        assert_eq!(side(&mask(32, 24, 32), ROOMS), (20, 12));
        // A quarter of 20 is more than 4.
        assert_eq!(side(&mask(64, 20, 40), ROOMS).1, 40);
        assert_eq!(side(&mask(64, 20, 36), ROOMS).1, 24);
        let published = Grain {
            least: None,
            halving: 8,
        };
        assert_eq!(side(&mask(64, 30, 34), published), (16, 32));
        assert_eq!(side(&mask(96, 30, 34), published).1, 48);
        assert_eq!(side(&mask(32, 3, 5), published), (0, 32));
        let nothing = Mask::new(4, 4, Vec::new());
        assert_eq!(Rect::around(&nothing, &settings, 1.0, ROOMS), None);
        // Twice a margin of 4, and of a quarter of 16.
        let twice = |mask: &Mask| Rect::around(mask, &settings, 2.0, ROOMS).unwrap().width;
        assert_eq!(twice(&mask(32, 16, 20)), 20);
        assert_eq!(twice(&mask(64, 20, 36)), 32);
    }

    proptest! {
        #[test]
        fn windows_hold_the_region_on_the_coarsest_layers_grid(
            width in 1usize..80, height in 1usize..80, at in prop::collection::vec((0.0f64..1.0, 0.0f64..1.0), 1..4),
            margin in 0usize..6, least in 1usize..40, halving in prop::sample::select(vec![1usize, 2, 4, 8]),
        ) {
            let mut inside = vec![false; width * height];
            for (x, y) in at {
                inside[(y * height as f64) as usize * width + (x * width as f64) as usize] = true;
            }
            let mask = Mask::new(width, height, inside);
            let settings = EditWindow { margin, margin_share: 0.0, least: Some(least), ..EditWindow::default() };
            let grain = Grain { least: None, halving };
            let rect = Rect::around(&mask, &settings, 1.0, grain).unwrap();
            prop_assert!(rect.fits((height, width)));
            let grown = mask.grown(margin);
            let held = rect.inside(&grown).into_iter().filter(|inside| *inside).count();
            prop_assert_eq!(held, grown.inside().iter().filter(|inside| **inside).count());
            for (offset, side, length) in [(rect.left, rect.width, width), (rect.top, rect.height, height)] {
                prop_assert!(sides(length, least, halving).contains(&side));
                prop_assert!(offset.is_multiple_of(halving));
                prop_assert!(side == length || (side.is_multiple_of(halving) && side >= least));
            }
            // The layers of both calls coincide, down to the coarsest.
            for level in 0..=halving.ilog2() {
                let halved = |length: usize| length.div_ceil(1 << level);
                let size = (halved(rect.height), halved(rect.width));
                let (whole, part) = rect.in_layer((height, width), size).unwrap();
                prop_assert_eq!(whole, (halved(height), halved(width)));
                prop_assert_eq!((part.left << level, part.top << level), (rect.left, rect.top));
                prop_assert!(part.fits(whole));
            }
        }
    }

    #[test]
    fn what_is_cut_is_pasted_where_it_was() {
        let tensor = Tensor::arange(0f32, 2.0 * 6.0 * 5.0, &Device::Cpu).unwrap();
        let tensor = tensor.reshape((1, 2, 6, 5)).unwrap();
        let rect = Rect {
            left: 2,
            top: 1,
            width: 3,
            height: 2,
        };
        let cut = rect.cut(&tensor).unwrap();
        assert_eq!(cut.dims(), [1, 2, 2, 3]);
        let pasted = rect.paste(&cut, (6, 5)).unwrap();
        let values =
            |tensor: &Tensor| -> Vec<f32> { tensor.flatten_all().unwrap().to_vec1().unwrap() };
        for (index, (pasted, value)) in values(&pasted).iter().zip(values(&tensor)).enumerate() {
            let (x, y) = (index % 5, index / 5 % 6);
            let inside = (2..5).contains(&x) && (1..3).contains(&y);
            assert_eq!(*pasted, if inside { value } else { 0.0 });
        }
        let mask = Mask::new(5, 6, (0..30).map(|i| i % 5 == 2).collect());
        assert_eq!(rect.inside(&mask), [true, false, false, true, false, false]);
    }
}
