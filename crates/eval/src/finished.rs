//! Scores at full size as means, and as a table to read.

use limekiln_lime::canvas::CarryWay;
use serde::Serialize;

use crate::full::FullScore;
use crate::row::{Row, position};
use crate::scene::Score;
use crate::stats::Mean;
use crate::text::{layout, shown};

/// A room whose colored part is further than this from the truth, by its median ΔE00, counts as wrong.
const WRONG: f64 = 8.0;
/// From here on an object counts as sure.
const SURE: f64 = 0.8;

/// The scores of every row and finish; [`crate::fidelity`] says what each is.
#[derive(Debug, Serialize)]
pub struct Finished {
    /// Side of the pictures, in pixels.
    pub side: u32,
    /// Row by row, each finish.
    pub rows: Vec<FinishedLine>,
}

/// The scores of one row in one finish.
#[derive(Debug, Serialize)]
#[expect(missing_docs, reason = "`fidelity` describes them")]
pub struct FinishedLine {
    /// Label of the row: its preset, with the fields that replace its own.
    pub label: String,
    /// How the model's picture became the result.
    pub finish: &'static str,
    pub delta_e_median: Option<Mean>,
    pub delta_e_mean: Option<Mean>,
    /// Share of rooms whose median is above 8.
    pub above_8: Option<Mean>,
    pub texture: Option<Mean>,
    pub ring: Option<Mean>,
    pub edge: Option<Mean>,
    pub boundary_f1: Option<Mean>,
    pub old_hue: Option<Mean>,
    pub stray_matte: Option<Mean>,
    pub changed_outside: Option<Mean>,
    /// ΔE00 of the flat part to the color that was given: median and 95th percentile of a room.
    pub to_color_median: Option<Mean>,
    pub to_color_p95: Option<Mean>,
    /// The same of the true edits to their own colors.
    pub perfect_median: Option<Mean>,
    pub perfect_p95: Option<Mean>,
    /// The rooms whose flat part is furthest from the color that was given, the furthest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub furthest: Vec<Furthest>,
    /// Share of the edits brought into the picture by `detail` whose change of color was carried over; the others were enlarged and joined.
    pub carried: Option<Mean>,
    /// Share of rooms that were recolored.
    pub recolored: Option<Mean>,
    /// Share of rooms, of those in which an object was looked for, whose object was sure to 0.8 or more.
    pub sure: Option<Mean>,
    /// Share of these whose median is above 8.
    pub sure_above_8: Option<Mean>,
    /// Time of an edit with its finish.
    pub seconds: Option<Mean>,
    /// Time of the finish alone.
    pub finish_seconds: Option<Mean>,
}

/// How far a room's flat part is from the color that was given.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Furthest {
    /// The room's number.
    pub scene: u64,
    /// ΔE00, median of the room.
    pub median: f64,
    /// The same, 95th percentile.
    pub p95: f64,
}

/// Rooms that are named as furthest from the color.
const FURTHEST: usize = 3;

impl Finished {
    /// `shown` rows out of all `rows` with their `scores`.
    pub(crate) fn new(side: u32, shown: &[Row], rows: &[Row], scores: &[Vec<Score>]) -> Self {
        let found = shown
            .iter()
            .filter_map(|row| Some((row, scores.get(position(rows, row)?)?)));
        let lines = found.flat_map(|(row, scores)| {
            let finishes = scores.first().map_or(0, |score| score.full.len());
            (0..finishes)
                .filter_map(|finish| line(row, scores, finish))
                .collect::<Vec<_>>()
        });
        Self {
            side,
            rows: lines.collect(),
        }
    }

    /// The table.
    #[must_use]
    pub fn text(&self) -> String {
        let head = [
            "",
            "finish",
            "ΔE00 median",
            "mean",
            "above 8",
            "texture",
            "0-40 px outside",
            "8 px of the edge",
            "boundary F1",
            "old hue",
            "matte astray",
            "changed outside",
            "to the color",
            "95 %",
            "true edit's",
            "95 %",
            "carried",
            "recolored",
            "sure",
            "sure, above 8",
            "s/edit",
            "s/finish",
        ];
        let mut cells = vec![head.map(str::to_owned).to_vec()];
        cells.extend(self.rows.iter().map(|line| {
            vec![
                line.label.clone(),
                line.finish.to_owned(),
                shown(line.delta_e_median, 2),
                shown(line.delta_e_mean, 2),
                shown(line.above_8, 2),
                shown(line.texture, 3),
                shown(line.ring, 2),
                shown(line.edge, 2),
                shown(line.boundary_f1, 2),
                shown(line.old_hue, 3),
                shown(line.stray_matte, 3),
                shown(line.changed_outside, 0),
                shown(line.to_color_median, 2),
                shown(line.to_color_p95, 2),
                shown(line.perfect_median, 2),
                shown(line.perfect_p95, 2),
                shown(line.carried, 2),
                shown(line.recolored, 2),
                shown(line.sure, 2),
                shown(line.sure_above_8, 2),
                shown(line.seconds, 2),
                shown(line.finish_seconds, 2),
            ]
        }));
        let count = self
            .rows
            .iter()
            .filter_map(|line| line.delta_e_median)
            .map(|mean| mean.count)
            .max();
        format!(
            "\nAt {side} pixels, beside the true edit\n{}\n{} rooms; colored part: ΔE00 (median and mean of a room, share of rooms whose \
             median is above 8), texture (correlation of what is fine); to the color: ΔE00 of the flat part to the one given, median and \
             95th percentile, and the true edit's to its own; carried: share of edits carried over as a change of color; sure: 0.8 and more; \
             `none` is enlarged to the picture's size{}",
            layout(&cells),
            count.unwrap_or(0),
            self.rows.iter().map(furthest).collect::<String>(),
            side = self.side,
        )
    }
}

/// A line on the rooms that are furthest from the color, where one was given.
fn furthest(line: &FinishedLine) -> String {
    if line.furthest.is_empty() {
        return String::new();
    }
    let rooms = line.furthest.iter().map(|room| {
        let Furthest { scene, median, p95 } = room;
        format!("room {scene} ({median:.2}, {p95:.2})")
    });
    let rooms = rooms.collect::<Vec<_>>().join(", ");
    format!(
        "\nfurthest from the color, {} {}: {rooms}",
        line.label, line.finish
    )
}

fn above(score: &FullScore) -> f64 {
    f64::from(u8::from(score.fidelity.delta_e_median > WRONG))
}

fn line(row: &Row, scores: &[Score], finish: usize) -> Option<FinishedLine> {
    let full = || scores.iter().filter_map(|score| score.full.get(finish));
    let of = |value: fn(&FullScore) -> f64| Mean::of(full().map(value));
    let some = |value: fn(&FullScore) -> Option<f64>| Mean::of(full().filter_map(value));
    let to_color = scores.iter().filter_map(|score| {
        let (median, p95) = score.full.get(finish)?.to_color?;
        Some(Furthest {
            scene: score.scene,
            median,
            p95,
        })
    });
    let mut furthest: Vec<Furthest> = to_color.collect();
    furthest.sort_by(|a, b| b.median.total_cmp(&a.median));
    furthest.truncate(FURTHEST);
    let seconds = scores
        .iter()
        .filter_map(|score| Some(score.seconds + score.full.get(finish)?.finish_seconds));
    Some(FinishedLine {
        label: row.label.clone(),
        finish: full().next()?.finish,
        delta_e_median: of(|score| score.fidelity.delta_e_median),
        delta_e_mean: of(|score| score.fidelity.delta_e_mean),
        above_8: of(above),
        texture: some(|score| score.fidelity.texture),
        ring: of(|score| score.fidelity.ring),
        edge: of(|score| score.fidelity.edge),
        boundary_f1: some(|score| score.fidelity.boundary_f1),
        old_hue: some(|score| score.fidelity.old_hue),
        stray_matte: some(|score| score.fidelity.stray_matte),
        changed_outside: of(|score| score.fidelity.changed_outside as f64),
        to_color_median: some(|score| score.to_color.map(|(median, _)| median)),
        to_color_p95: some(|score| score.to_color.map(|(_, most)| most)),
        perfect_median: some(|score| score.perfect.map(|(median, _)| median)),
        perfect_p95: some(|score| score.perfect.map(|(_, most)| most)),
        furthest,
        carried: some(|score| {
            score
                .way
                .map(|way| f64::from(u8::from(way == CarryWay::Color)))
        }),
        recolored: of(|score| f64::from(u8::from(score.recolored))),
        sure: some(|score| score.sure.map(|sure| f64::from(u8::from(sure >= SURE)))),
        sure_above_8: some(|score| {
            let sure = score.sure.is_some_and(|sure| sure >= SURE);
            sure.then(|| above(score))
        }),
        seconds: Mean::of(seconds),
        finish_seconds: of(|score| score.finish_seconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fidelity::Fidelity;
    use crate::row::tests::named;

    #[test]
    fn finishes_are_summed_up_row_by_row() {
        let rows = [named("fast")];
        let full = |finish: &'static str, median: f64| FullScore {
            finish,
            fidelity: Fidelity {
                delta_e_median: median,
                delta_e_mean: median + 1.0,
                texture: (median > 5.0).then_some(0.5),
                ring: 1.0,
                edge: 2.0,
                boundary_f1: None,
                old_hue: Some(0.25),
                stray_matte: None,
                changed_outside: 10,
            },
            to_color: (median > 5.0).then_some((1.0, 2.0)),
            perfect: (median > 5.0).then_some((0.5, 1.5)),
            way: (finish == "paste").then_some(CarryWay::Color),
            sure: Some(if median > 8.0 { 0.9 } else { 0.5 }),
            recolored: true,
            finish_seconds: 0.5,
        };
        let score = |scene: u64, median: f64| Score {
            scene,
            iou: None,
            object_share: 0.1,
            success: true,
            color_error: 0.0,
            outside: 0.0,
            lanes: 1.0,
            window: None,
            seconds: 2.0,
            full: vec![full("none", median), full("paste", median + 3.0)],
        };
        let finished = Finished::new(1024, &rows, &rows, &[vec![score(0, 4.0), score(1, 6.0)]]);
        assert_eq!(finished.rows.len(), 2);
        let mean = |mean: Option<Mean>| mean.unwrap().mean;
        let [none, paste] = [&finished.rows[0], &finished.rows[1]];
        assert_eq!(
            (none.finish, mean(none.delta_e_median), mean(none.above_8)),
            ("none", 5.0, 0.0)
        );
        assert_eq!(
            (
                paste.finish,
                mean(paste.delta_e_median),
                mean(paste.above_8)
            ),
            ("paste", 8.0, 0.5)
        );
        assert_eq!(
            (
                none.texture.unwrap().count,
                mean(none.seconds),
                none.boundary_f1
            ),
            (1, 2.5, None)
        );
        // One of two is sure, and that one is wrong.
        assert_eq!(
            (
                mean(paste.sure),
                mean(paste.sure_above_8),
                mean(paste.to_color_p95)
            ),
            (0.5, 1.0, 2.0)
        );
        assert_eq!(
            none.furthest
                .iter()
                .map(|room| room.scene)
                .collect::<Vec<_>>(),
            [1]
        );
        assert_eq!(
            (mean(none.perfect_median), mean(paste.carried), none.carried),
            (0.5, 1.0, None)
        );
        let text = finished.text();
        assert!(
            text.contains("furthest from the color, fast none: room 1 (1.00, 2.00)"),
            "{text}"
        );
        assert!(
            text.contains("5.00 ±1.00")
                && text.contains("At 1024 pixels")
                && text.contains("2 rooms"),
            "{text}"
        );
    }
}
