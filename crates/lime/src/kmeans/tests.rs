use super::*;
use crate::{
    fuse::{
        Layer,
        tests::{layer, stack},
    },
    preset::Corners,
};

/// Lloyd's rounds on the stack itself, in f64.
fn naive(stack: &[Vec<f64>], picks: &[usize], rounds: usize) -> Clusters {
    let mut centres: Vec<Vec<f64>> = picks.iter().map(|&index| stack[index].clone()).collect();
    let mut labels = vec![0u8; stack.len()];
    let mut inertia = 0.0;
    for _ in 0..rounds {
        inertia = 0.0;
        for (label, pixel) in labels.iter_mut().zip(stack) {
            let distance = |centre: &Vec<f64>| {
                centre
                    .iter()
                    .zip(pixel)
                    .map(|(a, b)| (a - b).powi(2))
                    .sum::<f64>()
            };
            let distances: Vec<f64> = centres.iter().map(distance).collect();
            let best = (0..distances.len())
                .min_by(|a, b| distances[*a].total_cmp(&distances[*b]))
                .unwrap();
            *label = best as u8;
            inertia += distances[best];
        }
        for (label, centre) in centres.iter_mut().enumerate() {
            let own: Vec<&Vec<f64>> = stack
                .iter()
                .zip(&labels)
                .filter(|(_, l)| usize::from(**l) == label)
                .map(|(p, _)| p)
                .collect();
            for (channel, value) in centre.iter_mut().enumerate() {
                *value = own.iter().map(|pixel| pixel[channel]).sum::<f64>() / own.len() as f64;
            }
        }
    }
    Clusters { labels, inertia }
}

#[test]
fn agrees_with_the_stack_clustered_naively() {
    for (corners, shapes) in [
        (Corners::HalfPixel, [(16, 16, 24), (8, 8, 40), (4, 4, 64)]),
        (Corners::Aligned, [(15, 10, 24), (8, 5, 40), (4, 3, 64)]),
    ] {
        let layers: Vec<Layer> = shapes
            .iter()
            .enumerate()
            .map(|(i, &(h, w, c))| layer(h, w, c, i as u64))
            .collect();
        let stack = stack(&layers, 48, corners);
        let fused = Fused::new(layers, 48, corners);
        let mut random = Random::new(3);
        for _ in 0..3 {
            let picks = plus_plus(&fused, 8, &mut random);
            let ours = lloyd(&fused, &picks, 200);
            let theirs = naive(&stack, &picks, 200);
            let same = ours
                .labels
                .iter()
                .zip(&theirs.labels)
                .filter(|(a, b)| a == b)
                .count();
            assert!(
                same as f64 >= 0.999 * stack.len() as f64,
                "{same} of {} labels",
                stack.len()
            );
            assert!(
                (ours.inertia / theirs.inertia - 1.0).abs() < 1e-4,
                "{} {}",
                ours.inertia,
                theirs.inertia
            );
        }
    }
}

#[test]
fn the_same_bytes_on_any_number_of_threads() {
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| {
            let fused = Fused::new(
                vec![layer(32, 24, 20, 1), layer(16, 12, 50, 2)],
                64,
                Corners::HalfPixel,
            );
            cluster(&fused, 6, 9, 3, 50)
        })
    };
    let one = run(1);
    assert_eq!(one, run(3));
    assert_eq!(one, run(8));
    assert_ne!(one.labels, {
        let fused = Fused::new(
            vec![layer(32, 24, 20, 1), layer(16, 12, 50, 2)],
            64,
            Corners::HalfPixel,
        );
        cluster(&fused, 6, 10, 1, 1).labels
    });
}

#[test]
fn a_small_change_everywhere_draws_the_same_first_centres() {
    let features = |change: f32| {
        let mut layers = vec![layer(24, 24, 20, 1), layer(12, 12, 50, 2)];
        for layer in &mut layers {
            for (index, value) in layer.data.iter_mut().enumerate() {
                *value *= 1.0 + change * (index % 7) as f32;
            }
        }
        Fused::new(layers, 48, Corners::HalfPixel)
    };
    let draws = |change| {
        let fused = features(change);
        (0..20).map(move |seed| plus_plus(&fused, 8, &mut Random::new(seed)))
    };
    let same = draws(0.0)
        .zip(draws(1e-5))
        .filter(|(before, after)| before == after)
        .count();
    assert!(same >= 19, "{same} of 20");
}

#[test]
fn pixels_are_drawn_in_proportion_to_their_squared_distance() {
    // On the unit circle: 3 pixels at a squared distance of 2 from the others, 4 at 1. The grid is the features' own size.
    let data: Vec<f32> = (0..64)
        .flat_map(|pixel| match pixel {
            0..3 => [0.0, 1.0],
            3..7 => [0.5, 0.75f32.sqrt()],
            _ => [1.0, 0.0],
        })
        .collect();
    let layer = Layer {
        height: 8,
        width: 8,
        channels: 2,
        data,
    };
    let fused = Fused::new(vec![layer], 8, Corners::HalfPixel);
    let second: Vec<usize> = (0..4000)
        .map(|seed| plus_plus(&fused, 2, &mut Random::new(seed)))
        .filter(|picks| picks[0] >= 7)
        .map(|picks| picks[1])
        .collect();
    let share = |range: std::ops::Range<usize>| {
        second.iter().filter(|pixel| range.contains(pixel)).count() as f64 / second.len() as f64
    };
    assert!((share(0..3) - 0.6).abs() < 0.03, "{}", share(0..3));
    assert!((share(3..7) - 0.4).abs() < 0.03, "{}", share(3..7));
    assert!((share(0..1) - 0.2).abs() < 0.03, "{}", share(0..1));
}

#[test]
fn more_starts_are_never_worse() {
    let fused = Fused::new(
        vec![layer(12, 12, 20, 4), layer(6, 6, 9, 5)],
        32,
        Corners::Aligned,
    );
    let inertia: Vec<f64> = (1..6)
        .map(|starts| cluster(&fused, 7, 1, starts, 100).inertia)
        .collect();
    assert!(
        inertia.windows(2).all(|pair| pair[1] <= pair[0]),
        "{inertia:?}"
    );
}

#[test]
fn every_cluster_is_used_where_pixels_differ_and_none_invented_where_they_do_not() {
    // Two kinds of pixel and a gradient between them.
    let data = vec![1.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0];
    let fused = Fused::new(
        vec![Layer {
            height: 2,
            width: 2,
            channels: 2,
            data,
        }],
        16,
        Corners::HalfPixel,
    );
    // All centres start on one pixel, so three clusters are empty at first.
    let mut used = lloyd(&fused, &[0, 0, 0, 0], 50).labels;
    used.sort_unstable();
    used.dedup();
    assert_eq!(used, [0, 1, 2, 3]);

    let flat = Fused::new(
        vec![Layer {
            height: 2,
            width: 2,
            channels: 2,
            data: vec![1.0; 8],
        }],
        16,
        Corners::HalfPixel,
    );
    let clusters = cluster(&flat, 4, 0, 2, 50);
    assert!(clusters.labels.iter().all(|&label| label == 0));
    assert!(clusters.inertia < 1e-3);
}

#[test]
fn blobs_are_found() {
    // Four quarters, each its own direction; the grid is the features' own size.
    let data: Vec<f32> = (0..64)
        .flat_map(|cell| (0..4).map(move |c| f32::from(c == 2 * (cell / 32) + (cell % 8) / 4)))
        .collect();
    let fused = Fused::new(
        vec![Layer {
            height: 8,
            width: 8,
            channels: 4,
            data,
        }],
        8,
        Corners::HalfPixel,
    );
    let clusters = cluster(&fused, 4, 0, 4, 50);
    assert!(clusters.inertia < 1e-9);
    for (cell, label) in clusters.labels.iter().enumerate() {
        let corner = if cell / 32 == 0 { 0 } else { 32 } + if cell % 8 < 4 { 0 } else { 4 };
        assert_eq!(*label, clusters.labels[corner]);
    }
}

#[test]
fn clustering_shows_signs_of_life_between_its_parts() {
    use std::cell::Cell;
    use std::rc::Rc;

    let beats = Rc::new(Cell::new(0));
    let heard = Rc::clone(&beats);
    pulse::listen(move || heard.set(heard.get() + 1));
    let fused = Fused::new(vec![layer(8, 8, 4, 1)], 8, Corners::HalfPixel);
    cluster(&fused, 4, 9, 3, 5);
    // Three first centres of each start, and a round at least.
    assert!(beats.get() >= 3 * (3 + 1), "{}", beats.get());
}
