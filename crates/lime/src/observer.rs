//! The attention control of one U-Net call of one edit: biases in, maps and features out.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result, Tensor, bail};
use limekiln_diffusion::control::{Control, Kind, Part, Site, Tap};

use crate::{
    bias::Bias,
    lanes::Lane,
    preset::{FeatureSource, MapSettings, Parts, Segmentation, Sizes},
    sums::Sums,
    window::Rect,
};

/// What one call of one edit wants in attention, and what it read. Rows are the edit's lanes.
#[derive(Clone, Debug)]
pub struct AttentionObserver {
    pub(crate) lanes: Vec<Lane>,
    /// Rows whose features are read.
    pub(crate) feature_rows: Vec<usize>,
    /// Rows whose attention is read.
    pub(crate) map_rows: Vec<usize>,
    /// Height and width of the whole picture's latents.
    pub(crate) latent: (usize, usize),
    /// The part of them that the call computes; none is the whole. A layer's size and mask are the whole picture's all the same.
    pub(crate) window: Option<Rect>,
    /// Which features, if this step is read for them.
    pub(crate) features: Option<Segmentation>,
    /// Attention to the tokens at these positions, if this step is read for it.
    pub(crate) map: Option<(MapSettings, Vec<u32>)>,
    pub(crate) bias: Option<Bias>,
    /// Biases by size: many layers share one.
    pub(crate) built: BTreeMap<(usize, usize), Tensor>,
    pub(crate) device: Device,
    pub(crate) read: Sums,
}

impl AttentionObserver {
    /// Of a call on latents of (height, width). It wants nothing yet.
    pub(crate) fn new(latent: (usize, usize), device: &Device) -> Self {
        Self {
            lanes: Vec::new(),
            feature_rows: Vec::new(),
            map_rows: Vec::new(),
            latent,
            window: None,
            features: None,
            map: None,
            bias: None,
            built: BTreeMap::new(),
            device: device.clone(),
            read: Sums::default(),
        }
    }

    /// The lanes of a guided step; features are the image lane's, the map is the text lane's.
    pub(crate) fn set_lanes(&mut self, lanes: Vec<Lane>) {
        let rows = |wanted: Lane| {
            let rows = lanes.iter().enumerate();
            rows.filter(|(_, lane)| **lane == wanted)
                .map(|(row, _)| row)
                .collect()
        };
        (self.feature_rows, self.map_rows) = (rows(Lane::Image), rows(Lane::Text));
        self.lanes = lanes;
    }

    /// The size that the layer has in a call on the whole picture, and the part of it that this call computes.
    fn layer(&self, site: &Site) -> Result<((usize, usize), Rect)> {
        let size = (site.height, site.width);
        let Some(window) = self.window else {
            return Ok((size, Rect::whole(size)));
        };
        match window.in_layer(self.latent, size) {
            Some(layer) => Ok(layer),
            None => bail!(
                "a layer of {}x{} is no halving of the window's {}x{}",
                size.1,
                size.0,
                window.width,
                window.height
            ),
        }
    }

    /// Whether a layer that has `size` in a call on the whole picture is among those.
    fn in_size(&self, size: (usize, usize), sizes: Sizes) -> bool {
        let (height, width) = self.latent;
        match sizes {
            Sizes::All => true,
            Sizes::BelowFull => size.0 < height || size.1 < width,
            // Each halving rounds up, so a quarter does too.
            Sizes::AboveQuarter => size.0 > height.div_ceil(4) || size.1 > width.div_ceil(4),
        }
    }
}

fn in_part(site: &Site, parts: Parts) -> bool {
    parts == Parts::All || site.part != Part::Mid
}

/// A name for a tap that stays the same from step to step and in a saved edit.
fn name(tap: &Tap) -> String {
    let place = |site: &Site| {
        let part = match site.part {
            Part::Down => "down",
            Part::Mid => "mid",
            Part::Up => "up",
        };
        format!("{part}.{:02}.{:02}", site.block, site.layer)
    };
    match tap {
        Tap::Attention(site) => format!("{}.{:02}.{}", place(site), site.depth, site.order),
        Tap::Transformer(site) => place(site),
    }
}

impl Control for AttentionObserver {
    fn bias(&mut self, site: &Site) -> Result<Option<Tensor>> {
        let Some(bias) = &self.bias else {
            return Ok(None);
        };
        let (whole, part) = self.layer(site)?;
        if !self.in_size(whole, bias.sizes()) {
            return Ok(None);
        }
        let size = (site.height, site.width);
        if let Some(built) = self.built.get(&size) {
            return Ok(Some(built.clone()));
        }
        let built = bias.at(whole, part, &self.lanes, &self.device)?;
        self.built.insert(size, built.clone());
        Ok(Some(built))
    }

    fn wants_probabilities(&self, site: &Site) -> bool {
        let wants = |map: &MapSettings| {
            site.kind == Kind::CrossAttention
                && in_part(site, map.parts)
                && self.in_size((site.height, site.width), map.sizes)
        };
        self.map.as_ref().is_some_and(|(map, _)| wants(map))
    }

    fn probabilities(&mut self, site: &Site, probabilities: &Tensor) -> Result<()> {
        let Some((map, positions)) = &self.map else {
            return Ok(());
        };
        let positions = Tensor::from_slice(positions, positions.len(), probabilities.device())?;
        for row in &self.map_rows {
            let mean = probabilities.get(*row)?.to_dtype(DType::F32)?.mean(0)?;
            let mut kept = mean.index_select(&positions, 1)?;
            if map.normalise {
                kept = Tensor::cat(&[kept, mean.sum_keepdim(1)?], 1)?;
            }
            let maps = kept
                .t()?
                .contiguous()?
                .reshape(((), site.height, site.width))?;
            self.read.map((site.height, site.width), maps)?;
        }
        Ok(())
    }

    fn wants_features(&self, tap: &Tap) -> bool {
        let Some(features) = &self.features else {
            return false;
        };
        let site = match (tap, features.source) {
            (Tap::Attention(site), FeatureSource::Attentions)
            | (Tap::Transformer(site), FeatureSource::Transformers) => site,
            _ => return false,
        };
        in_part(site, features.parts) && self.in_size((site.height, site.width), features.sizes)
    }

    fn features(&mut self, tap: &Tap, features: &Tensor) -> Result<()> {
        for row in &self.feature_rows {
            let features = features.get(*row)?;
            let cells = match tap {
                Tap::Attention(site) => features.reshape((site.height, site.width, ()))?,
                Tap::Transformer(_) => features.permute((1, 2, 0))?,
            };
            self.read.feature(name(tap), cells)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{lanes::LANES, preset::Preset};

    fn site(part: Part, height: usize, width: usize) -> Site {
        Site {
            part,
            block: 1,
            layer: 0,
            depth: 0,
            order: 1,
            kind: Kind::CrossAttention,
            height,
            width,
        }
    }

    fn observer(preset: &Preset) -> AttentionObserver {
        let locate = preset.locate.clone().unwrap();
        let mut observer = AttentionObserver::new((62, 41), &Device::Cpu);
        observer.set_lanes(LANES.to_vec());
        observer.features = Some(locate.segments);
        observer.map = Some((locate.map, vec![2, 3]));
        observer
    }

    #[test]
    fn paper_and_official_read_their_own_layers() {
        let (paper, official) = (observer(&Preset::paper()), observer(&Preset::official()));
        let (full, half, mid) = (
            site(Part::Down, 62, 41),
            site(Part::Up, 31, 21),
            site(Part::Mid, 8, 6),
        );
        let wants = |observer: &AttentionObserver, site: &Site| {
            (
                observer.wants_probabilities(site),
                observer.wants_features(&Tap::Attention(*site)),
                observer.wants_features(&Tap::Transformer(*site)),
            )
        };
        assert_eq!(wants(&paper, &full), (true, false, true));
        assert_eq!(wants(&paper, &half), (true, false, true));
        assert_eq!(wants(&paper, &mid), (false, false, false));
        assert_eq!(wants(&official, &full), (false, false, false));
        assert_eq!(wants(&official, &half), (true, true, false));
        assert_eq!(wants(&official, &mid), (true, true, false));
        let own = Site {
            kind: Kind::SelfAttention,
            order: 0,
            ..half
        };
        assert_eq!(wants(&official, &own), (false, true, false));
    }

    #[test]
    fn a_quarter_of_an_odd_side_is_rounded_up() {
        let observer = observer(&Preset::official());
        let above = |height, width| observer.in_size((height, width), Sizes::AboveQuarter);
        assert!(above(62, 41) && above(31, 21));
        assert!(!above(16, 11) && !above(8, 6));
    }

    #[test]
    fn maps_are_the_text_lanes_and_features_the_image_lanes() {
        let mut observer = observer(&Preset::paper());
        let device = &Device::Cpu;
        let site = site(Part::Up, 2, 1);
        // Row r, head h: token t has probability (t == 2 + r) at pixel 0, and 1/77 everywhere at pixel 1.
        let mut values = vec![0f32; 3 * 2 * 2 * 77];
        for (row, values) in values.chunks_exact_mut(2 * 2 * 77).enumerate() {
            for head in values.chunks_exact_mut(2 * 77) {
                head[2 + row] = 1.0;
                head[77..].fill(1.0 / 77.0);
            }
        }
        observer
            .probabilities(
                &site,
                &Tensor::from_vec(values, (3, 2, 2, 77), device).unwrap(),
            )
            .unwrap();
        let map: Vec<f32> = observer.read.maps[&(2, 1)]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        let want = [1.0, 1.0 / 77.0, 0.0, 1.0 / 77.0, 1.0, 1.0];
        assert!(
            map.iter().zip(want).all(|(a, b)| (a - b).abs() < 1e-6),
            "{map:?}"
        );

        let features = Tensor::arange(0f32, 12.0, device)
            .unwrap()
            .reshape((3, 2, 2, 1))
            .unwrap();
        observer
            .features(&Tap::Transformer(site), &features)
            .unwrap();
        let read: Vec<f32> = observer.read.features["up.01.00"]
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(read, [4.0, 6.0, 5.0, 7.0]);
    }
}
