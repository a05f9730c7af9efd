//! From the map and the segments to the region of interest (section 4.1).

use limekiln_pictures::Mask;

use crate::preset::{Rule, Select};

/// A clustering of the picture on a square grid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments {
    /// Side of the grid, in pixels of the grid.
    pub side: usize,
    /// How many clusters were asked for; labels are below it.
    pub clusters: usize,
    /// `side * side` labels, row-major.
    pub labels: Vec<u8>,
}

/// Where the instruction acts, on a square grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Side of the grid, in pixels of the grid.
    pub side: usize,
    /// `side * side` values, row-major; higher is more.
    pub values: Vec<f32>,
}

/// The `count` highest pixels of a map, highest first; of equals the first in reading order.
pub fn points(values: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
    order.truncate(count);
    order
}

/// The region that `select` makes of `map` and `segments`, on the map's grid. Without segments the rule is [`Rule::Level`].
pub fn region(map: &Map, segments: Option<&Segments>, select: &Select) -> Mask {
    let points = points(&map.values, select.points);
    let peak = points
        .iter()
        .map(|&index| f64::from(map.values[index]))
        .sum::<f64>()
        / points.len().max(1) as f64;
    let reaches = |index: usize, share: f64| f64::from(map.values[index]) >= share * peak;
    let chosen: Vec<bool> = match segments {
        Some(segments) if select.rule != Rule::Level => {
            let ids = if select.components {
                components(&segments.labels, segments.side)
            } else {
                segments
                    .labels
                    .iter()
                    .map(|&label| usize::from(label))
                    .collect()
            };
            let kept = kept(&ids, &map.values, &points, select, |index| {
                reaches(index, select.level)
            });
            ids.iter().map(|&id| kept[id]).collect()
        }
        _ => (0..map.values.len())
            .map(|index| reaches(index, select.level))
            .collect(),
    };
    let inside = chosen
        .into_iter()
        .enumerate()
        .map(|(index, chosen)| chosen || (select.join > 0.0 && reaches(index, select.join)));
    Mask::new(map.side, map.side, inside.collect())
}

/// Which segments are kept: those whose score is enough, and the best.
fn kept(
    ids: &[usize],
    values: &[f32],
    points: &[usize],
    select: &Select,
    reaches: impl Fn(usize) -> bool,
) -> Vec<bool> {
    let count = ids.iter().max().map_or(0, |id| id + 1);
    let mut area = vec![0f64; count];
    let mut held = vec![0f64; count];
    let mut sum = vec![0f64; count];
    let mut covered = vec![0f64; count];
    for (index, &id) in ids.iter().enumerate() {
        area[id] += 1.0;
        sum[id] += f64::from(values[index]);
        covered[id] += f64::from(u8::from(reaches(index)));
    }
    for &index in points {
        held[ids[index]] += 1.0;
    }
    let each = |total: &[f64]| -> Vec<f64> {
        total
            .iter()
            .zip(&area)
            .map(|(total, area)| total / area.max(1.0))
            .collect()
    };
    let (scores, enough) = match select.rule {
        Rule::AnyPoint => (held, 1.0),
        Rule::Share => (held, select.min * points.len() as f64),
        Rule::Covered => (each(&covered), select.min),
        Rule::Mean | Rule::Level => {
            let means = each(&sum);
            let best = means.iter().copied().fold(f64::MIN, f64::max);
            (means, select.min * best)
        }
    };
    let best =
        scores
            .iter()
            .enumerate()
            .fold(None, |best: Option<usize>, (id, score)| match best {
                Some(other) if scores[other] >= *score => best,
                _ => Some(id),
            });
    // With `min` 0 a segment must still show something.
    scores
        .iter()
        .enumerate()
        .map(|(id, &score)| Some(id) == best || (score >= enough && score > 0.0))
        .collect()
}

/// Numbers the 4-connected parts of equal labels, in reading order.
pub(crate) fn components(labels: &[u8], side: usize) -> Vec<usize> {
    const NEW: usize = usize::MAX;
    let mut ids = vec![NEW; labels.len()];
    let mut next = 0;
    let mut open = Vec::new();
    for start in 0..labels.len() {
        if ids[start] != NEW {
            continue;
        }
        ids[start] = next;
        open.push(start);
        while let Some(index) = open.pop() {
            let (x, y) = (index % side, index / side);
            let neighbours = [
                (x > 0).then(|| index - 1),
                (x + 1 < side).then_some(index + 1),
                (y > 0).then(|| index - side),
                (y + 1 < side).then_some(index + side),
            ];
            for neighbour in neighbours.into_iter().flatten() {
                if ids[neighbour] == NEW && labels[neighbour] == labels[start] {
                    ids[neighbour] = next;
                    open.push(neighbour);
                }
            }
        }
        next += 1;
    }
    ids
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Columns 0-3 are segment 0, 4-6 segment 1, column 7 segment 0 again; the map is high in segment 1 and on one pixel at
    /// (7, 0).
    fn scene() -> (Map, Segments) {
        let labels = (0..64)
            .map(|i| u8::from((4..7).contains(&(i % 8))))
            .collect();
        let values = (0..64)
            .map(|i| {
                if i == 7 || (4..7).contains(&(i % 8)) {
                    1.0
                } else {
                    0.1
                }
            })
            .collect();
        (
            Map { side: 8, values },
            Segments {
                side: 8,
                clusters: 2,
                labels,
            },
        )
    }

    fn share(select: Select) -> f64 {
        let (map, segments) = scene();
        region(&map, Some(&segments), &select).share() * 64.0
    }

    #[test]
    fn one_stray_pixel_brings_in_a_wall_only_where_the_rule_says_so() {
        let any = Select::any_of(25);
        assert_eq!(share(any.clone()), 64.0);
        assert_eq!(
            share(Select {
                rule: Rule::Share,
                min: 0.1,
                ..any.clone()
            }),
            24.0
        );
        assert_eq!(
            share(Select {
                rule: Rule::Mean,
                min: 0.5,
                ..any.clone()
            }),
            24.0
        );
        assert_eq!(
            share(Select {
                rule: Rule::Covered,
                min: 0.5,
                ..any.clone()
            }),
            24.0
        );
        // The stray pixel's own component is a column of eight.
        assert_eq!(
            share(Select {
                components: true,
                ..any.clone()
            }),
            32.0
        );
        assert_eq!(
            share(Select {
                rule: Rule::Share,
                min: 0.1,
                join: 0.5,
                ..any.clone()
            }),
            25.0
        );
        assert_eq!(
            share(Select {
                rule: Rule::Level,
                ..any
            }),
            25.0
        );
    }

    #[test]
    fn the_best_segment_always_stays() {
        let (mut map, segments) = scene();
        map.values = vec![0.0; 64];
        map.values[9] = 0.001;
        for rule in [Rule::Share, Rule::Mean, Rule::Covered] {
            let mask = region(
                &map,
                Some(&segments),
                &Select {
                    rule,
                    min: 1.0,
                    level: 1.0,
                    ..Select::any_of(60)
                },
            );
            assert_eq!(mask.share() * 64.0, 40.0, "{rule:?}");
        }
    }

    #[test]
    fn points_break_ties_in_reading_order() {
        assert_eq!(points(&[1.0, 3.0, 3.0, 2.0, 3.0], 3), [1, 2, 4]);
        assert_eq!(points(&[1.0, 3.0], 9), [1, 0]);
    }

    proptest! {
        #[test]
        fn a_region_is_a_union_of_segments_that_hold_points(
            labels in proptest::collection::vec(0u8..5, 144), seeds in proptest::collection::vec(0u32..1000, 144), count in 1usize..20, split: bool,
        ) {
            let map = Map { side: 12, values: seeds.iter().map(|seed| *seed as f32).collect() };
            let segments = Segments { side: 12, clusters: 5, labels: labels.clone() };
            let mask = region(&map, Some(&segments), &Select { components: split, ..Select::any_of(count) });
            let ids = if split { components(&labels, 12) } else { labels.iter().map(|l| usize::from(*l)).collect() };
            let held: Vec<usize> = points(&map.values, count).into_iter().map(|index| ids[index]).collect();
            for (index, id) in ids.iter().enumerate() {
                prop_assert_eq!(mask.inside()[index], held.contains(id));
            }
        }

        #[test]
        fn components_are_connected_and_apart(labels in proptest::collection::vec(0u8..3, 100)) {
            let ids = components(&labels, 10);
            for index in 0..100 {
                for neighbour in [(index % 10 < 9).then_some(index + 1), (index < 90).then_some(index + 10)].into_iter().flatten() {
                    prop_assert_eq!(labels[index] == labels[neighbour], ids[index] == ids[neighbour]);
                }
            }
        }
    }
}
