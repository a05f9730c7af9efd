//! Files of `tests/jpeg/`, whose coefficients jpeglib has read.

use std::path::PathBuf;

use image::{GrayImage, Luma, Rgb, RgbImage};
use proptest::prelude::*;
use serde_json::Value;

use super::coded::{Block, Coded};
use super::cover::{Grid, reaches};
use super::replace::replace;
use super::*;
use crate::{Limits, Original};

const NAMES: [&str; 6] = ["420", "420-turned", "422-progressive", "444", "rgb", "gray"];

/// Of each, as it is stored.
const SIZE: (u32, u32) = (61, 45);

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "jpeg"]
        .iter()
        .collect()
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(format!("{name}.jpg"))).unwrap()
}

fn blocks(coded: &mut Coded<'_>) -> Vec<Vec<Block>> {
    let components = coded.components.clone();
    let all = components.iter().enumerate().map(|(index, component)| {
        let rows = 0..component.blocks.1;
        rows.flat_map(|row| coded.row(index, row).unwrap().to_vec())
            .collect()
    });
    all.collect()
}

fn round(size: (u32, u32)) -> GrayImage {
    GrayImage::from_fn(size.0, size.1, |x, y| {
        let (x, y) = (i64::from(x) - 25, i64::from(y) - 20);
        Luma([if x * x + y * y < 100 { 200 } else { 0 }])
    })
}

#[test]
fn coefficients_are_those_that_another_reader_finds() {
    let found = std::fs::read(folder().join("coefficients.json")).unwrap();
    let found: Value = serde_json::from_slice(&found).unwrap();
    for name in NAMES {
        let bytes = file(name);
        let mut coded = Coded::read(&bytes, SIZE).unwrap();
        for (index, blocks) in blocks(&mut coded).iter().enumerate() {
            let bytes: Vec<u8> = blocks
                .iter()
                .flatten()
                .flat_map(|v| v.to_le_bytes())
                .collect();
            let digest = blake3::hash(&bytes).to_hex().to_string();
            assert_eq!(found[name][index]["blake3"], digest, "{name} {index}");
        }
    }
}

#[test]
fn what_is_coded_again_has_the_same_coefficients_and_pixels() {
    for name in NAMES {
        let bytes = file(name);
        let mut coded = Coded::read(&bytes, SIZE).unwrap();
        let before = blocks(&mut coded);
        let again = coded.write().unwrap();
        let mut coded = Coded::read(&again, SIZE).unwrap();
        assert_eq!(blocks(&mut coded), before, "{name}");
        // Without the header an RGB file is not known as that.
        let keep = Kept {
            profile: true,
            metadata: true,
            adobe: true,
        };
        let again = header::with(&again, &bytes, Orientation::NoTransforms, keep);
        let read = |bytes| Original::read(bytes, &Limits::FILE).unwrap().0.colors;
        assert!(read(&again) == read(&bytes), "{name}");
    }
}

#[test]
fn blocks_out_of_reach_stay_and_the_others_show_the_edit() {
    for name in &NAMES[..5] {
        let bytes = file(name);
        let mut coded = Coded::read(&bytes, SIZE).unwrap();
        let (size, before) = (coded.size, blocks(&mut coded));
        let edited = RgbImage::from_pixel(size.0, size.1, Rgb([200, 40, 90]));
        let matte = round(size);
        let counts = replace(&mut coded, &edited, &matte).unwrap();
        let after = blocks(&mut coded);
        let (mut touched, mut kept) = (0, 0);
        for (index, component) in coded.components.clone().iter().enumerate() {
            let grid = Grid::new(&coded, component);
            for (i, (one, other)) in before[index].iter().zip(&after[index]).enumerate() {
                let (column, row) = (i as u32 % component.blocks.0, i as u32 / component.blocks.0);
                if reaches(&matte, &grid.block(column, row)) {
                    touched += 1;
                } else {
                    assert_eq!(one, other, "{name} {index} {column} {row}");
                    kept += 1;
                }
            }
        }
        let of = |count: fn(&Count) -> u64| counts.iter().map(count).sum::<u64>();
        let found = (of(|count| count.touched), of(|count| count.kept));
        assert_eq!(found, (touched, kept), "{name}");
        assert!(touched > 0 && kept > 0, "{name}");

        let keep = Kept {
            profile: true,
            metadata: true,
            adobe: true,
        };
        let shown = header::with(
            &coded.write().unwrap(),
            &bytes,
            Orientation::NoTransforms,
            keep,
        );
        let stored = |bytes: &[u8]| {
            let (read, _) = Original::read(bytes, &Limits::FILE).unwrap();
            as_stored(DynamicImage::from(read.picture()), read.metadata.stored).into_rgb8()
        };
        let (was, shown) = (stored(&bytes), stored(&shown));
        let (mut off, mut inside, mut moved, mut outside) = (0, 0, 0, 0);
        for (x, y, pixel) in shown.enumerate_pixels() {
            let difference = |to: &Rgb<u8>| {
                let channels = pixel.0.iter().zip(&to.0);
                channels
                    .map(|(a, b)| u32::from(a.abs_diff(*b)))
                    .sum::<u32>()
            };
            let (across, down) = (i64::from(x) - 25, i64::from(y) - 20);
            if matte.get_pixel(x, y).0[0] == 0 {
                outside += 1;
                moved += difference(was.get_pixel(x, y));
            } else if across * across + down * down < 36 {
                inside += 1;
                off += difference(edited.get_pixel(x, y));
            }
        }
        // Coarse tables ring at so hard an edge.
        assert!(off < inside * 45, "{name}: {off} of {inside} pixels");
        assert!(moved < outside * 30, "{name}: {moved} of {outside} pixels");
    }
}

#[test]
fn samples_that_stay_in_a_touched_block_find_their_coefficients_again() {
    for name in NAMES {
        let bytes = file(name);
        let mut coded = Coded::read(&bytes, SIZE).unwrap();
        let before = blocks(&mut coded);
        // All of them go through samples and back.
        for index in 0..coded.components.len() {
            let component = coded.components[index].clone();
            for row in 0..component.blocks.1 {
                for block in coded.row(index, row).unwrap() {
                    *block = replace::there_and_back(block, &component);
                }
            }
        }
        assert_eq!(blocks(&mut coded), before, "{name}");
    }
}

#[test]
fn what_is_turned_back_lies_as_it_was_stored() {
    let stored = RgbImage::from_fn(3, 2, |x, y| Rgb([x as u8, y as u8, 9]));
    for exif in 1..=8 {
        let orientation = Orientation::from_exif(exif).unwrap();
        let mut upright = DynamicImage::from(stored.clone());
        upright.apply_orientation(orientation);
        assert_eq!(
            as_stored(upright, orientation).into_rgb8(),
            stored,
            "{exif}"
        );
    }
}

#[test]
fn what_has_no_blocks_to_keep_says_so() {
    let keep = Kept {
        profile: true,
        metadata: true,
        adobe: true,
    };
    let of = |bytes: &[u8], size: (u32, u32)| {
        let (edited, matte) = (RgbImage::new(size.0, size.1), round(size));
        edit(bytes, Orientation::NoTransforms, &edited, &matte, keep)
    };
    assert!(of(&file("420"), SIZE).is_ok());
    assert!(of(&file("420"), (45, 61)).is_err(), "another size");
    assert!(of(&file("cmyk"), SIZE).is_err());
    // Of the last bytes, some may be padding.
    let whole = file("420");
    for end in 0..whole.len() - 6 {
        assert!(of(&whole[..end], SIZE).is_err(), "{end}");
    }
    // Where a progressive file ends between two scans, coefficients are coarse, and none is unknown.
    let whole = file("422-progressive");
    assert!((0..whole.len()).any(|end| of(&whole[..end], SIZE).is_err()));
}

proptest! {
    /// Whatever stands in a file, reading and writing it ends in an error or a file.
    #[test]
    fn damage_is_an_error(name in 0usize..NAMES.len(), at in prop::collection::vec((0usize..6000, any::<u8>()), 1..4)) {
        let mut bytes = file(NAMES[name]);
        for (place, value) in at {
            let place = place % bytes.len();
            bytes[place] = value;
        }
        if let Ok(mut coded) = Coded::read(&bytes, SIZE) {
            let (edited, matte) = (RgbImage::new(coded.size.0, coded.size.1), round(coded.size));
            let colored = coded.add_color().is_ok();
            let _ = replace(&mut coded, &edited, &matte);
            let _ = coded.write();
            if colored {
                coded.drop_color();
                let _ = coded.write();
            }
        }
    }
}
