//! Scores as means, and as a table to read.

use serde::Serialize;

use crate::row::{Row, position};
use crate::scene::Score;
use crate::stats::{Mean, bootstrap};
use crate::text::{layout, shown};

/// Objects of at least this share of the picture are counted apart.
const LARGE: f64 = 0.04;

/// Whether its object is one of those.
pub(crate) fn is_large(score: &Score) -> bool {
    score.object_share >= LARGE
}

/// The scores of one row.
#[derive(Debug, Serialize)]
pub struct Line {
    /// Label of the row: its preset, with the fields that replace its own.
    pub label: String,
    /// s_T of the edit.
    pub text_scale: Option<f64>,
    /// s_I of the edit.
    pub image_scale: Option<f64>,
    /// Steps of the edit; those of locating come on top.
    pub steps: Option<usize>,
    /// Overlap of the region found with the true mask; none where nothing is located.
    pub iou: Option<Mean>,
    /// IoU for objects of at least 4 % of the picture.
    pub iou_large: Option<Mean>,
    /// IoU for smaller objects.
    pub iou_small: Option<Mean>,
    /// Share of edits with the color asked for.
    pub success: Option<Mean>,
    /// How far the mean color is from the one asked for.
    pub color_error: Option<Mean>,
    /// Mean absolute change outside the true mask, of 255.
    pub outside: Option<Mean>,
    /// Change outside above the VAE floor, as a share of what `base` has at its own scales.
    pub above_floor_of_base: Option<Mean>,
    /// Lanes that the U-Net computed for an edit, those of a window by its share of the picture.
    pub lanes: Option<Mean>,
    /// Share of edits that computed the whole picture though the preset asks for a window.
    pub whole: Option<Mean>,
    /// Time of an edit.
    pub seconds: Option<Mean>,
}

/// All rows and the floor.
#[derive(Debug, Serialize)]
pub struct Summary {
    /// Change outside by encoding and decoding alone.
    pub floor: Option<Mean>,
    /// The rows, `base` first where it is scored.
    pub rows: Vec<Line>,
}

impl Summary {
    /// `shown` rows out of all `rows` with their `scores`; `floors` for each scene. A first shown row that locates nothing is `base`.
    pub(crate) fn new(shown: &[Row], rows: &[Row], scores: &[Vec<Score>], floors: &[f64]) -> Self {
        let found: Vec<(&Row, &Vec<Score>)> = shown
            .iter()
            .filter_map(|row| Some((row, scores.get(position(rows, row)?)?)))
            .collect();
        let base = found
            .first()
            .filter(|(row, _)| row.preset.locate.is_none())
            .map(|(_, scores)| *scores);
        let lines = found
            .iter()
            .map(|(row, scores)| line(row, scores, base, floors))
            .collect();
        Self {
            floor: Mean::of(floors.iter().copied()),
            rows: lines,
        }
    }

    /// The table.
    pub fn text(&self) -> String {
        let head = [
            "",
            "s_T",
            "steps",
            "IoU",
            "IoU >= 4 %",
            "IoU < 4 %",
            "color success",
            "color error",
            "outside",
            "above floor / base",
            "lanes",
            "ran whole",
            "s/edit",
        ];
        let mut cells = vec![head.map(str::to_owned).to_vec()];
        let none = || "-".to_owned();
        let floor = shown(self.floor, 2);
        cells.push(
            [
                "VAE alone".to_owned(),
                none(),
                none(),
                none(),
                none(),
                none(),
                none(),
                none(),
                floor,
                none(),
                none(),
                none(),
                none(),
            ]
            .to_vec(),
        );
        cells.extend(self.rows.iter().map(|line| {
            vec![
                line.label.clone(),
                line.text_scale.map_or_else(none, |scale| scale.to_string()),
                line.steps.map_or_else(none, |steps| steps.to_string()),
                shown(line.iou, 3),
                shown(line.iou_large, 3),
                shown(line.iou_small, 3),
                shown(line.success, 2),
                shown(line.color_error, 1),
                shown(line.outside, 2),
                shown(line.above_floor_of_base, 2),
                shown(line.lanes.map(exact), 1),
                shown(line.whole.map(exact), 2),
                shown(line.seconds.map(exact), 1),
            ]
        }));
        let large = self
            .rows
            .iter()
            .find_map(|line| line.iou_large)
            .map_or(0, |mean| mean.count);
        let count = self.floor.map_or(0, |mean| mean.count);
        format!(
            "{}\n{count} rooms, {large} with an object of 4 % and more; outside: mean absolute change of 255; \
             ± is one standard error",
            layout(&cells)
        )
    }
}

fn line(row: &Row, scores: &[Score], base: Option<&Vec<Score>>, floors: &[f64]) -> Line {
    let iou = |wanted: fn(&Score) -> bool| {
        let scores = scores.iter().filter(|score| wanted(score));
        Mean::of(scores.filter_map(|score| score.iou))
    };
    let whole = scores.iter().filter_map(|score| score.window);
    let edit = row.preset.edit.as_ref();
    Line {
        label: row.label.clone(),
        text_scale: edit.map(|edit| edit.scales.text),
        image_scale: edit.map(|edit| edit.scales.image),
        steps: edit.map(|edit| edit.steps),
        iou: iou(|_| true),
        iou_large: iou(is_large),
        iou_small: iou(|score| !is_large(score)),
        success: Mean::of(
            scores
                .iter()
                .map(|score| f64::from(u8::from(score.success))),
        ),
        color_error: Mean::of(scores.iter().map(|score| score.color_error)),
        outside: Mean::of(scores.iter().map(|score| score.outside)),
        above_floor_of_base: base.and_then(|base| above_floor(scores, base, floors)),
        lanes: Mean::of(scores.iter().map(|score| score.lanes)),
        whole: Mean::of(whole.map(|window| f64::from(u8::from(window.whole.is_some())))),
        seconds: Mean::of(scores.iter().map(|score| score.seconds)),
    }
}

/// A mean whose spread says nothing of noise.
fn exact(mean: Mean) -> Mean {
    Mean { error: 0.0, ..mean }
}

/// A ratio of means, resampled over scenes; none where `base` is not above the floor.
fn above_floor(scores: &[Score], base: &[Score], floors: &[f64]) -> Option<Mean> {
    let above = |scores: &[Score], scenes: &[usize]| {
        scenes
            .iter()
            .map(|&i| scores[i].outside - floors[i])
            .sum::<f64>()
    };
    bootstrap(scores.len(), |scenes| {
        let below = above(base, scenes);
        (below > 0.0).then(|| above(scores, scenes) / below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::rows;
    use crate::row::tests::named;

    fn score(scene: u64, iou: Option<f64>, share: f64, success: bool, outside: f64) -> Score {
        Score {
            scene,
            iou,
            object_share: share,
            success,
            color_error: 30.0,
            outside,
            lanes: 73.0,
            window: None,
            seconds: 1.0,
            full: Vec::new(),
        }
    }

    #[test]
    fn rows_are_summed_up() {
        let rows = rows(&[named("official")], None);
        let base = vec![
            score(0, None, 0.1, true, 13.0),
            score(1, None, 0.01, true, 11.0),
        ];
        let lime = vec![
            score(0, Some(0.8), 0.1, true, 5.0),
            score(1, Some(0.2), 0.01, false, 5.0),
        ];
        let summary = Summary::new(
            &rows,
            &rows,
            &[base, lime.clone(), lime.clone()],
            &[3.0, 3.0],
        );
        let line = &summary.rows[1];
        assert_eq!(
            [line.iou, line.iou_large, line.iou_small].map(|iou| iou.unwrap().mean),
            [0.5, 0.8, 0.2]
        );
        assert_eq!(
            (
                line.success.unwrap().mean,
                line.above_floor_of_base.unwrap().mean
            ),
            (0.5, 4.0 / 18.0)
        );
        assert_eq!(summary.rows[0].above_floor_of_base.unwrap().mean, 1.0);
        let alone = Summary::new(&rows[1..2], &rows[1..2], &[lime], &[3.0, 3.0]);
        assert!(alone.rows[0].above_floor_of_base.is_none());
        let text = summary.text();
        assert!(
            text.contains("2 rooms, 1 with an object") && text.contains("0.500 ±0.300"),
            "{text}"
        );
    }
}
