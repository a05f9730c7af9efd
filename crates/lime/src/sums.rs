//! What is read from the U-Net: of one step, or summed over the steps so far.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor};

use crate::{
    error::Result,
    fuse::{Layer, upsample},
    preset::Corners,
    roi::Map,
};

/// Sums at each layer's own size. All tensors are f32, on the model's device.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sums {
    /// `[h, w, channels]` by the layer's name.
    pub(crate) features: BTreeMap<String, Tensor>,
    /// `[n, h, w]` by size, summed over layers: one map per token read, then, where it is needed, their total over all tokens.
    pub(crate) maps: BTreeMap<(usize, usize), Tensor>,
    /// How many layers were summed in `maps`.
    pub(crate) layers: usize,
}

impl Sums {
    pub(crate) fn feature(&mut self, name: String, value: Tensor) -> candle_core::Result<()> {
        add(&mut self.features, name, value)
    }

    pub(crate) fn map(&mut self, size: (usize, usize), value: Tensor) -> candle_core::Result<()> {
        self.layers += 1;
        add(&mut self.maps, size, value)
    }

    /// Adds what one step read.
    pub(crate) fn merge(&mut self, step: Self) -> Result<()> {
        for (name, value) in step.features {
            add(&mut self.features, name, value)?;
        }
        for (size, value) in step.maps {
            add(&mut self.maps, size, value)?;
        }
        self.layers += step.layers;
        Ok(())
    }

    /// Takes the features out, as layers on the processor. Sums serve as well as means: each pixel is normalised later.
    pub(crate) fn take_layers(&mut self) -> Result<Vec<Layer>> {
        let mut layers = Vec::with_capacity(self.features.len());
        while let Some((_, value)) = self.features.pop_first() {
            let (height, width, channels) = value.dims3()?;
            layers.push(Layer {
                height,
                width,
                channels,
                data: value.flatten_all()?.to_vec1()?,
            });
        }
        Ok(layers)
    }

    /// The mean over tokens and layers on a grid of `side * side`; with `total`, the last map of each size is what every
    /// pixel is divided by. Means and enlarging are linear, so tokens are averaged first.
    pub(crate) fn map_on(&self, side: usize, corners: Corners, total: bool) -> Result<Map> {
        let mut values = vec![0f32; side * side];
        let mut totals = vec![0f32; side * side];
        for (&(height, width), maps) in &self.maps {
            let tokens = maps.dim(0)? - usize::from(total);
            let enlarged = |map: Tensor| -> Result<Vec<f32>> {
                Ok(upsample(
                    &map.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?,
                    height,
                    width,
                    side,
                    corners,
                ))
            };
            let sum = |into: &mut [f32], from: Vec<f32>| {
                into.iter_mut()
                    .zip(from)
                    .for_each(|(into, from)| *into += from)
            };
            sum(&mut values, enlarged(maps.narrow(0, 0, tokens)?.mean(0)?)?);
            if total {
                sum(&mut totals, enlarged(maps.narrow(0, tokens, 1)?)?);
            }
        }
        for (value, sum) in values.iter_mut().zip(&totals) {
            *value /= if total {
                sum.max(f32::MIN_POSITIVE)
            } else {
                self.layers.max(1) as f32
            };
        }
        Ok(Map { side, values })
    }
}

fn add<K: Ord>(into: &mut BTreeMap<K, Tensor>, key: K, value: Tensor) -> candle_core::Result<()> {
    let value = value.to_dtype(DType::F32)?;
    let sum = match into.get(&key) {
        Some(sum) => (sum + value)?,
        None => value.contiguous()?,
    };
    into.insert(key, sum);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_of_all_sizes_are_averaged_and_normalised() {
        let device = &Device::Cpu;
        let mut sums = Sums::default();
        // Two tokens and the total. Two layers of one size, one of another.
        let map = |values: &[f32], h: usize, w: usize| {
            Tensor::from_slice(values, (3, h, w), device).unwrap()
        };
        sums.map((1, 2), map(&[0.1, 0.2, 0.3, 0.4, 1.0, 1.0], 1, 2))
            .unwrap();
        sums.map((1, 2), map(&[0.3, 0.2, 0.1, 0.0, 1.0, 1.0], 1, 2))
            .unwrap();
        let mut step = Sums::default();
        step.map((1, 1), map(&[0.6, 0.2, 2.0], 1, 1)).unwrap();
        sums.merge(step).unwrap();
        let map = sums.map_on(2, Corners::HalfPixel, true).unwrap();
        // Token means: (0.2, 0.3) + (0.2, 0.1) + 0.4, over totals 1 + 1 + 2.
        assert!(
            map.values.iter().all(|value| (value - 0.2).abs() < 1e-6),
            "{map:?}"
        );
        assert_eq!(sums.layers, 3);
    }

    #[test]
    fn without_totals_layers_are_averaged() {
        let mut sums = Sums::default();
        for value in [1f32, 2.0, 6.0] {
            sums.map(
                (1, 1),
                Tensor::full(value, (2, 1, 1), &Device::Cpu).unwrap(),
            )
            .unwrap();
        }
        assert_eq!(
            sums.map_on(1, Corners::Aligned, false).unwrap().values,
            [3.0]
        );
    }
}
