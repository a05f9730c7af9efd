//! Rows compared room by room: what the rooms have in common falls out.

use serde::Serialize;

use crate::row::Row;
use crate::scene::Score;
use crate::stats::{Mean, bootstrap};
use crate::table::is_large;
use crate::text::{layout, signed};

/// By how much one row differs from another, of the same rooms.
#[derive(Debug, Serialize)]
pub struct Paired {
    /// Label of the row: its preset, with the fields that replace its own.
    pub label: String,
    /// The label of the row that it is compared with.
    pub with: String,
    /// Differences of IoU; none where one of them locates nothing.
    pub iou: Option<Mean>,
    /// Of objects of at least 4 % of the picture.
    pub iou_large: Option<Mean>,
    /// Of smaller objects.
    pub iou_small: Option<Mean>,
    /// Of color success.
    pub success: Option<Mean>,
    /// Of the color error.
    pub color_error: Option<Mean>,
    /// Of the change outside.
    pub outside: Option<Mean>,
    /// All lanes by all lanes, rooms resampled for the error.
    pub lanes: Option<Mean>,
    /// All seconds by all seconds, rooms resampled for the error.
    pub seconds: Option<Mean>,
}

/// Each row but the first, with the first. `scores` of each row are of the same rooms in the same order.
pub(crate) fn compare(rows: &[(&Row, &[Score])]) -> Vec<Paired> {
    let Some(((first, base), others)) = rows.split_first() else {
        return Vec::new();
    };
    let compared = others
        .iter()
        .map(|(row, scores)| paired(row, scores, first, base));
    compared.collect()
}

fn paired(row: &Row, scores: &[Score], with: &Row, base: &[Score]) -> Paired {
    let pairs = || scores.iter().zip(base);
    let difference =
        |value: fn(&Score) -> f64| Mean::of(pairs().map(|(own, other)| value(own) - value(other)));
    let iou = |wanted: fn(&Score) -> bool| {
        let pairs = pairs().filter(|(own, _)| wanted(own));
        Mean::of(pairs.filter_map(|(own, other)| Some(own.iou? - other.iou?)))
    };
    let ratio = |value: fn(&Score) -> f64| {
        bootstrap(scores.len().min(base.len()), |rooms| {
            let sum =
                |scores: &[Score]| rooms.iter().map(|&room| value(&scores[room])).sum::<f64>();
            let other = sum(base);
            (other > 0.0).then(|| sum(scores) / other)
        })
    };
    Paired {
        label: row.label.clone(),
        with: with.label.clone(),
        iou: iou(|_| true),
        iou_large: iou(is_large),
        iou_small: iou(|score| !is_large(score)),
        success: difference(|score| f64::from(u8::from(score.success))),
        color_error: difference(|score| score.color_error),
        outside: difference(|score| score.outside),
        lanes: ratio(|score| score.lanes),
        seconds: ratio(|score| score.seconds),
    }
}

/// The rows as a table.
pub fn text(rows: &[Paired]) -> String {
    let Some(first) = rows.first() else {
        return String::new();
    };
    let head = [
        "",
        "IoU",
        "IoU >= 4 %",
        "IoU < 4 %",
        "color success",
        "color error",
        "outside",
        "lanes",
        "time",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    cells[0][0] = format!("less {}", first.with);
    cells.extend(rows.iter().map(|row| {
        vec![
            row.label.clone(),
            signed(row.iou, 3),
            signed(row.iou_large, 3),
            signed(row.iou_small, 3),
            signed(row.success, 2),
            signed(row.color_error, 1),
            signed(row.outside, 2),
            times(row.lanes),
            times(row.seconds),
        ]
    }));
    format!(
        "\n{}\ndifferences room by room; lanes and time as multiples; ± is one standard error",
        layout(&cells)
    )
}

fn times(ratio: Option<Mean>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| format!("x {:.2}", ratio.mean))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::tests::named;

    fn score(scene: u64, iou: Option<f64>, object_share: f64, lanes: f64) -> Score {
        Score {
            scene,
            iou,
            object_share,
            success: scene == 0,
            color_error: 10.0 * lanes,
            outside: 1.0,
            lanes,
            window: None,
            seconds: 2.0 * lanes,
            full: Vec::new(),
        }
    }

    #[test]
    fn what_rooms_have_in_common_falls_out() {
        let (old, new) = (named("official"), named("fast"));
        let base = [
            score(0, Some(0.9), 0.1, 4.0),
            score(1, Some(0.3), 0.01, 2.0),
        ];
        let own = [
            score(0, Some(0.8), 0.1, 2.0),
            score(1, Some(0.5), 0.01, 1.0),
        ];
        let compared = compare(&[(&old, &base), (&new, &own)]);
        let [paired] = &compared[..] else {
            panic!("{compared:?}")
        };
        let mean = |value: Option<Mean>| (value.unwrap().mean * 1e9).round() / 1e9;
        assert_eq!(
            (paired.label.as_str(), paired.with.as_str()),
            ("fast", "official")
        );
        assert_eq!(
            [paired.iou, paired.iou_large, paired.iou_small].map(mean),
            [0.05, -0.1, 0.2]
        );
        assert_eq!(
            [paired.success, paired.color_error, paired.outside].map(mean),
            [0.0, -15.0, 0.0]
        );
        assert_eq!([paired.lanes, paired.seconds].map(mean), [0.5, 0.5]);
        let text = text(&compared);
        assert!(
            text.contains("less official") && text.contains("-0.100") && text.contains("x 0.50"),
            "{text}"
        );
        assert!(compare(&[]).is_empty());
    }
}
