//! Stage 1 in one call: the picture's own latents, noised, are shown to the U-Net at a few levels at once (the idea of DiffEdit and
//! Watch Your Steps, here for features and attention). No run, no guidance: `z_t = sqrt(a_t) z_0 + sqrt(1 - a_t) noise`.

use candle_core::Tensor;
use limekiln_diffusion::noise::TorchRng;

use super::{locate::nothing, machine::Edit, setup::Setup, stage::Stage};
use crate::{
    error::Result,
    known::Kind,
    lanes::Lane,
    observer::AttentionObserver,
    preset::{Evidence, Locate, LocateFrom},
    trajectory,
};

/// The rows of the call.
pub(super) struct Reading {
    rows: Vec<Row>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    lane: Lane,
    /// Which draw of noise it sees.
    draw: usize,
    /// The training timestep that it is noised to.
    level: usize,
}

impl Reading {
    /// Text lanes first, as in every other call.
    /// `features`: whether features are read, for segments.
    pub(super) fn new(locate: &Locate, features: bool) -> Self {
        let rows = |lane: Lane, levels: &[usize]| -> Vec<Row> {
            let draws = levels.iter().enumerate();
            draws
                .map(|(draw, &level)| Row { lane, draw, level })
                .collect()
        };
        let mut wanted = rows(Lane::Text, &locate.levels.map);
        if features {
            wanted.extend(rows(Lane::Image, &locate.levels.features));
        }
        if locate.map.evidence == Evidence::Relevance {
            wanted.extend(rows(Lane::Image, &locate.levels.map));
        }
        let rows = wanted.into_iter().fold(Vec::new(), |mut rows, row| {
            if !rows.contains(&row) {
                rows.push(row);
            }
            rows
        });
        Self { rows }
    }

    /// How many rows there are.
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    fn position(&self, row: Row) -> Option<usize> {
        self.rows.iter().position(|other| *other == row)
    }

    fn positions(&self, lane: Lane, levels: &[usize]) -> Vec<usize> {
        let draws = levels.iter().enumerate();
        draws
            .filter_map(|(draw, &level)| self.position(Row { lane, draw, level }))
            .collect()
    }

    /// What each row sees: latents as the U-Net takes them (no solver scales them), and the timestep.
    pub(super) fn shown(&self, setup: &Setup) -> Result<Vec<(Tensor, f64)>> {
        let clean = (&setup.picture * setup.scaling_factor)?;
        let mut rng = TorchRng::new(setup.request.locate_seed());
        let draws = self.rows.iter().map(|row| row.draw + 1).max().unwrap_or(0);
        let noises = (0..draws)
            .map(|_| trajectory::draw(&mut rng, setup.shape, &setup.device))
            .collect::<Result<Vec<_>>>()?;
        let shown = |row: &Row| {
            let level = setup.scheduler.training_level(row.level)?;
            let noised = ((&clean * level.alpha)? + (&noises[row.draw] * level.sigma)?)?;
            Ok((noised, row.level as f64))
        };
        self.rows.iter().map(shown).collect()
    }
}

impl Edit {
    /// The one call of stage 1, where it stands there and takes one.
    pub(super) fn reading(&self) -> Option<Reading> {
        let locate = self
            .setup
            .locate()
            .filter(|locate| self.stage == Stage::Locate && locate.from == LocateFrom::Input)?;
        Some(self.reading_of(locate))
    }

    /// The one call of such a stage 1. Segments that are known are not made again.
    pub(super) fn reading_of(&self, locate: &Locate) -> Reading {
        Reading::new(locate, self.segments(locate))
    }

    /// Whether segments are to be made.
    pub(super) fn segments(&self, locate: &Locate) -> bool {
        locate.segmented() && !self.reused.contains(&Kind::Segments)
    }

    pub(super) fn observe_reading(&self, reading: &Reading, observer: &mut AttentionObserver) {
        let Some(locate) = self.setup.locate() else {
            return;
        };
        observer.lanes = reading.rows.iter().map(|row| row.lane).collect();
        observer.map_rows = reading.positions(Lane::Text, &locate.levels.map);
        if self.segments(locate) {
            observer.feature_rows = reading.positions(Lane::Image, &locate.levels.features);
            observer.features = Some(locate.segments.clone());
        }
        self.observe_map(locate, observer);
    }

    pub(super) fn advance_reading(
        &mut self,
        reading: &Reading,
        output: &Tensor,
        observer: AttentionObserver,
    ) -> Result<()> {
        let locate = self.setup.locate().ok_or_else(nothing)?.clone();
        self.sums.merge(observer.read)?;
        if locate.map.evidence == Evidence::Relevance {
            self.relevance_read(reading, &locate, output)?;
        }
        if self.segments(&locate) {
            self.cluster(&locate)?;
        }
        self.choose(&locate, 1)
    }

    /// Adds |eps_text - eps_image| of each draw to the map: differences of predicted noise, whatever the network predicts, so that
    /// those at several levels can be added.
    fn relevance_read(
        &mut self,
        reading: &Reading,
        locate: &Locate,
        output: &Tensor,
    ) -> Result<()> {
        for (draw, &level) in locate.levels.map.iter().enumerate() {
            let row = |lane| reading.position(Row { lane, draw, level });
            if let (Some(text), Some(image)) = (row(Lane::Text), row(Lane::Image)) {
                let scale = self.setup.scheduler.training_level(level)?.noise_per_output;
                let (text, image) = (output.narrow(0, text, 1)?, output.narrow(0, image, 1)?);
                self.difference(&text, &image, scale.abs())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::preset::Preset;

    /// Lane, draw and level of each row.
    fn rows(changes: serde_json::Value) -> Vec<(Lane, usize, usize)> {
        let preset = Preset::fast().with(&json!({ "locate": changes })).unwrap();
        let locate = preset.locate.unwrap();
        let reading = Reading::new(&locate, locate.segmented());
        let rows = reading.rows.iter();
        rows.map(|row| (row.lane, row.draw, row.level)).collect()
    }

    #[test]
    fn only_what_is_read_has_a_row() {
        use Lane::{Image, Text};
        let levels = json!({"features": [500], "map": [600, 700]});
        let draws = [(Text, 0, 600), (Text, 1, 700)];
        assert_eq!(
            rows(json!({ "levels": levels })),
            [&draws[..], &[(Image, 0, 500)]].concat()
        );
        assert_eq!(
            rows(json!({ "levels": levels, "select": {"rule": "level"} })),
            draws
        );
        let relevance = rows(json!({"levels": levels, "map": {"evidence": "relevance"}}));
        assert_eq!(relevance.len(), 5);
        let shared = rows(json!({
            "levels": {"features": [600], "map": [600]},
            "map": {"evidence": "relevance"},
        }));
        assert_eq!(shared, [(Text, 0, 600), (Image, 0, 600)]);
    }
}
