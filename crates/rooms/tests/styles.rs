//! What holds for rooms of every style.

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};
use limekiln_rooms::{
    Drawn, Object, PairOptions, Room, Style, bench_pair, bench_room, score, train_room,
};

const SHADED: [Style; 2] = [Style::Rich, Style::Second];

fn pictures(drawn: &Drawn) -> (RgbImage, RgbImage) {
    (drawn.before.srgb(), drawn.after.srgb())
}

/// Mean absolute difference, of 255.
fn apart(a: &RgbImage, b: &RgbImage) -> f64 {
    let sum: u64 = a
        .iter()
        .zip(b.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / a.len() as f64
}

#[test]
fn the_same_seed_gives_the_same_pictures() {
    for style in Style::ALL {
        let shots = |index| {
            let drawn = bench_room(style, 5, index).draw(96);
            let shots = drawn.shots().unwrap();
            (
                shots.input,
                shots.truth,
                shots.jpeg,
                drawn.object,
                drawn.colored,
            )
        };
        assert!(shots(3) == shots(3), "{style}");
        assert!(shots(3) != shots(4), "{style}");
    }
}

#[test]
fn plain_rooms_are_drawn_as_ever() {
    let (pair, drawn) = (bench_pair(9, 2), bench_room(Style::Plain, 9, 2).draw(128));
    assert_eq!(
        pictures(&drawn),
        (
            limekiln_rooms::draw(&pair.before, 128),
            limekiln_rooms::draw(&pair.after, 128)
        )
    );
    assert_eq!(
        (drawn.mask(), drawn.colored_mask()),
        (pair.region(128), pair.colored(128))
    );
}

/// The paint alone changes: what does not show the object is the same to the last bit, noise and the light that it threw
/// included.
#[test]
fn a_perfect_edit_changes_the_object_alone() {
    for style in SHADED {
        for index in 0..6 {
            let drawn = bench_room(style, 1, index).draw(128);
            let (before, after) = pictures(&drawn);
            let changed = |x: u32, y: u32| before.get_pixel(x, y) != after.get_pixel(x, y);
            for (x, y, share) in drawn.object.enumerate_pixels() {
                assert!(
                    share.0[0] > 0 || !changed(x, y),
                    "{style} {index}: {x}, {y}"
                );
            }
            let colored = drawn
                .colored
                .enumerate_pixels()
                .filter(|(_, _, share)| share.0[0] == 255);
            let (all, moved) = colored.fold((0, 0), |(all, moved), (x, y, _)| {
                (all + 1, moved + u32::from(changed(x, y)))
            });
            assert!(10 * moved >= 9 * all, "{style} {index}: {moved} of {all}");
        }
    }
}

/// A room at two sizes is one room: shrunk, the large picture looks like the small one.
#[test]
fn a_room_looks_the_same_at_every_size() {
    for style in SHADED {
        for index in 0..2 {
            let room = bench_room(style, 2, index);
            let (large, small) = (room.draw(512), room.draw(128));
            let shrunk = imageops::resize(&large.before.srgb(), 128, 128, FilterType::Lanczos3);
            let difference = apart(&shrunk, &small.before.srgb());
            assert!(difference < 5.0, "{style} {index}: {difference}");
            let mask = imageops::resize(&large.mask(), 128, 128, FilterType::Lanczos3);
            let overlap = score::iou(&mask, &small.mask()).unwrap();
            assert!(overlap > 0.75, "{style} {index}: {overlap}");
        }
    }
}

#[test]
fn rich_rooms_have_the_outlines_of_plain_ones() {
    for index in 0..8 {
        let room = bench_room(Style::Rich, 3, index);
        assert_eq!(
            score::iou(&room.draw(128).mask(), &room.pair.region(128)).map(|iou| iou > 0.97),
            Ok(true),
            "{index}"
        );
    }
}

/// Colors are judged under the room's own light: the true edit is a success in every room, and the room as it was in none.
#[test]
fn true_edits_have_the_color_that_was_asked_for() {
    for style in SHADED {
        let (mut seen, mut unedited) = (0, 0);
        for index in 0..40 {
            let room = bench_room(style, 4, index);
            let (drawn, asked) = (room.draw(64), room.color().unwrap());
            let ((before, after), mask) = (pictures(&drawn), drawn.colored_mask());
            let success = |picture| score::color_success_lit(picture, &after, &mask, asked);
            match success(&after) {
                Ok(right) => assert!(right, "{style} {index}"),
                Err(score::Error::Empty) => continue,
                Err(error) => panic!("{error}"),
            }
            seen += 1;
            unedited += u32::from(success(&before).unwrap());
        }
        assert!(seen > 30 && unedited <= 3, "{style}: {unedited} of {seen}");
    }
}

/// Some rooms hide the object: a neighbour has its color. Before and after, alike.
#[test]
fn neighbours_have_like_colors_in_some_rooms() {
    let alike = |index: u64| {
        let (plain, rich) = (bench_pair(6, index), bench_room(Style::Rich, 6, index).pair);
        let target = rich.targets[0].object;
        let colors = |room: &limekiln_rooms::Scene| -> Vec<_> {
            let others = room.items.iter().filter(|item| item.object != target);
            others.map(|item| (item.object, item.color)).collect()
        };
        assert_eq!(colors(&rich.before), colors(&rich.after), "{index}");
        colors(&plain.before) != colors(&rich.before)
    };
    let count = (0..200).filter(|&index| alike(index)).count();
    assert!((15..90).contains(&count), "{count} of 200");
}

#[test]
fn every_other_rich_input_is_a_jpeg_that_both_pictures_went_through() {
    let shots: Vec<_> = (0..40)
        .map(|index| bench_room(Style::Rich, 7, index).draw(32).shots().unwrap())
        .collect();
    let files = shots.iter().filter(|shots| shots.jpeg.is_some()).count();
    assert!((10..=30).contains(&files), "{files} of 40");
    for shots in shots {
        if let Some(bytes) = shots.jpeg {
            let read = image::load_from_memory(&bytes).unwrap().into_rgb8();
            assert_eq!(read, shots.input);
        }
    }
}

/// Its twin in Display P3 holds other codes for the same colors: what is far from gray has lower codes in its strongest channel.
#[test]
fn a_twin_has_the_same_colors_in_other_codes() {
    let drawn = bench_room(Style::Rich, 8, 1).draw(64);
    let (own, twin) = (drawn.before.srgb(), drawn.before.display_p3());
    let spread = |pixel: &image::Rgb<u8>| {
        let (low, high) = (pixel.0.iter().min().unwrap(), pixel.0.iter().max().unwrap());
        i32::from(*high) - i32::from(*low)
    };
    let strong = own
        .pixels()
        .zip(twin.pixels())
        .filter(|(own, _)| spread(own) > 60);
    let (count, less) = strong.fold((0, 0), |(count, less), (own, twin)| {
        (count + 1, less + i32::from(spread(twin) < spread(own)))
    });
    assert!(count > 10 && less == count, "{less} of {count}");
}

#[test]
fn training_rooms_are_labelled_and_never_benchmark_rooms() {
    let options = PairOptions::default();
    let room: Room = train_room(Style::Rich, 0, 0, &options);
    let labels = room.labels(64);
    assert_eq!(labels.len(), 64 * 64);
    assert!(
        labels
            .iter()
            .all(|&label| usize::from(label) < 2 + Object::ALL.len())
    );
    assert_ne!(
        room.draw(64).before.srgb(),
        bench_room(Style::Rich, 0, 0).draw(64).before.srgb()
    );
}

#[test]
fn sizes_that_are_odd_give_pictures_or_none() {
    for style in Style::ALL {
        for size in [0, 1, 3, 33] {
            let drawn = bench_room(style, 0, 0).draw(size);
            assert_eq!(drawn.before.srgb().dimensions(), (size, size), "{style}");
            assert_eq!(
                GrayImage::dimensions(&drawn.object),
                (size, size),
                "{style}"
            );
        }
    }
}
