//! A plane of values.

/// `width * height` values, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plane<T> {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) data: Vec<T>,
}

impl<T: Copy> Plane<T> {
    pub(crate) fn filled(width: usize, height: usize, value: T) -> Self {
        Self {
            width,
            height,
            data: vec![value; width * height],
        }
    }

    pub(crate) fn from_fn(
        width: usize,
        height: usize,
        mut value: impl FnMut(usize, usize) -> T,
    ) -> Self {
        let data = (0..height)
            .flat_map(|y| (0..width).map(move |x| (x, y)))
            .map(|(x, y)| value(x, y))
            .collect();
        Self {
            width,
            height,
            data,
        }
    }

    pub(crate) fn map<U: Copy>(&self, value: impl Fn(T) -> U) -> Plane<U> {
        Plane {
            width: self.width,
            height: self.height,
            data: self.data.iter().map(|v| value(*v)).collect(),
        }
    }

    /// Two planes of one size, as one.
    pub(crate) fn with<U: Copy, V: Copy>(
        &self,
        other: &Plane<U>,
        value: impl Fn(T, U) -> V,
    ) -> Plane<V> {
        debug_assert_eq!(self.data.len(), other.data.len());
        let data = self
            .data
            .iter()
            .zip(&other.data)
            .map(|(a, b)| value(*a, *b))
            .collect();
        Plane {
            width: self.width,
            height: self.height,
            data,
        }
    }

    pub(crate) fn at(&self, x: usize, y: usize) -> T {
        self.data[y * self.width + x]
    }

    /// The four cells around a place (in cells, from the first one's center), and how much each weighs.
    pub(crate) fn around(&self, x: f32, y: f32) -> [(usize, f32); 4] {
        let axis = |at: f32, length: usize| {
            let at = at.clamp(0.0, (length - 1) as f32);
            let low = (at as usize).min(length.saturating_sub(2));
            (low, (low + 1).min(length - 1), at - low as f32)
        };
        let (x0, x1, u) = axis(x, self.width);
        let (y0, y1, v) = axis(y, self.height);
        let (top, bottom) = (y0 * self.width, y1 * self.width);
        [
            (top + x0, (1.0 - u) * (1.0 - v)),
            (top + x1, u * (1.0 - v)),
            (bottom + x0, (1.0 - u) * v),
            (bottom + x1, u * v),
        ]
    }
}

impl Plane<f32> {
    pub(crate) fn sampled(&self, x: f32, y: f32) -> f32 {
        self.around(x, y)
            .iter()
            .map(|(i, weight)| self.data[*i] * weight)
            .sum()
    }

    pub(crate) fn sum(&self) -> f32 {
        // Of many small numbers: in f64, so that the last ones count.
        self.data.iter().map(|v| f64::from(*v)).sum::<f64>() as f32
    }
}

impl Plane<[f32; 3]> {
    pub(crate) fn sampled(&self, x: f32, y: f32) -> [f32; 3] {
        let mut out = [0.0; 3];
        for (i, weight) in self.around(x, y) {
            for (out, value) in out.iter_mut().zip(self.data[i]) {
                *out += value * weight;
            }
        }
        out
    }
}

impl Plane<[u8; 3]> {
    /// Of steps of 8 bits, 0..1.
    pub(crate) fn sampled(&self, x: f32, y: f32) -> [f32; 3] {
        let mut out = [0.0; 3];
        for (i, weight) in self.around(x, y) {
            for (out, value) in out.iter_mut().zip(self.data[i]) {
                *out += f32::from(value) / 255.0 * weight;
            }
        }
        out
    }
}
