//! The text scale varied: what an edit changes outside at equal color success (figure 5 of the paper, on rooms).

use serde::Serialize;

use crate::row::{Row, curves, position};
use crate::scene::Score;
use crate::stats::{Mean, Point, bootstrap, outside_at};
use crate::text::{layout, shown};

/// Color successes at which curves are compared.
const LEVELS: [f64; 8] = [0.5, 0.6, 0.7, 0.8, 0.85, 0.9, 0.95, 1.0];

/// A preset's curve beside that of `base` with the same steps and scheduler.
#[derive(Debug, Serialize)]
pub struct Sweep {
    label: String,
    base: String,
    points: Vec<Both>,
    levels: Vec<Level>,
}

/// One scale: success and change outside of the preset and of `base`.
#[derive(Debug, Serialize)]
struct Both {
    text_scale: f64,
    success: f64,
    outside: Option<Mean>,
    base_success: f64,
    base_outside: Option<Mean>,
}

/// One color success: the least change outside that reaches it.
#[derive(Debug, Serialize)]
struct Level {
    success: f64,
    outside: f64,
    base_outside: f64,
    /// The preset's less base's; rooms resampled for the error.
    difference: Mean,
}

/// Every row that the sweep needs.
pub(crate) fn rows(presets: &[Row], scales: &[f64]) -> Vec<Row> {
    curves(presets)
        .flat_map(|(row, base)| [row, base])
        .flat_map(|row| {
            scales
                .iter()
                .map(move |&scale| row.at_scale(scale))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Compares each preset with `base` at equal success.
pub(crate) fn compare(
    presets: &[Row],
    scales: &[f64],
    rows: &[Row],
    scores: &[Vec<Score>],
) -> Vec<Sweep> {
    let mut scales = scales.to_vec();
    scales.sort_by(f64::total_cmp);
    let curve = |row: &Row| -> Option<Vec<&Vec<Score>>> {
        scales
            .iter()
            .map(|&scale| scores.get(position(rows, &row.at_scale(scale))?))
            .collect()
    };
    let sweep = |(row, base): (Row, Row)| {
        let (own, theirs) = (curve(&row)?, curve(&base)?);
        let points =
            scales
                .iter()
                .zip(own.iter().zip(&theirs))
                .map(|(&text_scale, (own, theirs))| Both {
                    text_scale,
                    success: success(own),
                    outside: Mean::of(own.iter().map(|score| score.outside)),
                    base_success: success(theirs),
                    base_outside: Mean::of(theirs.iter().map(|score| score.outside)),
                });
        let levels = LEVELS
            .into_iter()
            .filter_map(|level| at_level(level, &own, &theirs));
        Some(Sweep {
            label: row.label,
            base: base.label,
            points: points.collect(),
            levels: levels.collect(),
        })
    };
    curves(presets).filter_map(sweep).collect()
}

fn at_level(success: f64, own: &[&Vec<Score>], base: &[&Vec<Score>]) -> Option<Level> {
    let count = own.first()?.len();
    let least = |curve: &[&Vec<Score>], scenes: &[usize]| {
        let points: Vec<Point> = curve.iter().map(|scores| point(scores, scenes)).collect();
        outside_at(&points, success)
    };
    let all: Vec<usize> = (0..count).collect();
    let difference = bootstrap(count, |scenes| {
        Some(least(own, scenes)? - least(base, scenes)?)
    })?;
    Some(Level {
        success,
        outside: least(own, &all)?,
        base_outside: least(base, &all)?,
        difference,
    })
}

fn point(scores: &[Score], scenes: &[usize]) -> Point {
    let mean = |value: &dyn Fn(&Score) -> f64| {
        scenes.iter().map(|&i| value(&scores[i])).sum::<f64>() / scenes.len() as f64
    };
    (
        mean(&|score| f64::from(u8::from(score.success))),
        mean(&|score| score.outside),
    )
}

fn success(scores: &[Score]) -> f64 {
    Mean::of(
        scores
            .iter()
            .map(|score| f64::from(u8::from(score.success))),
    )
    .map_or(0.0, |mean| mean.mean)
}

impl Sweep {
    /// Both curves, then the comparison.
    pub fn text(&self) -> String {
        let mut points = vec![
            [
                "s_T",
                "color success",
                "outside",
                "base success",
                "base outside",
            ]
            .map(str::to_owned)
            .to_vec(),
        ];
        points.extend(self.points.iter().map(|both| {
            vec![
                both.text_scale.to_string(),
                format!("{:.2}", both.success),
                shown(both.outside, 2),
                format!("{:.2}", both.base_success),
                shown(both.base_outside, 2),
            ]
        }));
        let mut levels = vec![
            ["at success", "outside", "base outside", "difference"]
                .map(str::to_owned)
                .to_vec(),
        ];
        levels.extend(self.levels.iter().map(|level| {
            vec![
                format!("{:.2}", level.success),
                format!("{:.2}", level.outside),
                format!("{:.2}", level.base_outside),
                shown(Some(level.difference), 2),
            ]
        }));
        let compared = if self.levels.is_empty() {
            "no color success that both reach".to_owned()
        } else {
            layout(&levels)
        };
        format!(
            "\nSweep of {}, beside {} steps and scheduler\n{}\n{compared}",
            self.label,
            self.base,
            layout(&points)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::distinct;
    use crate::row::tests::named;

    #[test]
    fn curves_are_compared_at_equal_success() {
        let presets = [named("official")];
        let scales = [2.0, 4.0];
        let rows = distinct(rows(&presets, &scales));
        assert_eq!(rows.len(), 4);
        // Success 0.5 and 1 at both scales; the preset changes half as much outside.
        let scores: Vec<Vec<Score>> = rows
            .iter()
            .map(|row| {
                let scale = row.preset.edit.as_ref().unwrap().scales.text;
                let lime = row.preset.locate.is_some();
                (0..10)
                    .map(|scene| Score {
                        scene,
                        iou: None,
                        object_share: 0.1,
                        success: scale > 3.0 || scene % 2 == 0,
                        color_error: 0.0,
                        outside: if lime { scale / 2.0 } else { scale },
                        lanes: 1.0,
                        window: None,
                        seconds: 1.0,
                        full: Vec::new(),
                    })
                    .collect()
            })
            .collect();
        let sweep = &compare(&presets, &scales, &rows, &scores)[0];
        let level = sweep
            .levels
            .iter()
            .find(|level| level.success == 0.5)
            .unwrap();
        assert_eq!(
            (level.outside, level.base_outside, level.difference.mean),
            (1.0, 2.0, -1.0)
        );
        let level = sweep
            .levels
            .iter()
            .find(|level| level.success == 1.0)
            .unwrap();
        assert_eq!((level.outside, level.base_outside), (2.0, 4.0));
        assert!(sweep.text().contains("difference"));
    }
}
