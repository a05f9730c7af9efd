//! Pictures side by side, with captions.

use font8x8::legacy::BASIC_LEGACY;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

const MARGIN: u32 = 12;
/// Captions are drawn at twice the font's 8 pixels, to be read beside pictures of some hundred pixels.
const SCALE: u32 = 2;
const GLYPH: u32 = 8 * SCALE;
const LINE: u32 = GLYPH + 4;
const PAPER: Rgb<u8> = Rgb([250, 249, 246]);
const INK: Rgb<u8> = Rgb([30, 30, 34]);

/// A picture and the lines of its caption.
pub(crate) struct Tile {
    pub(crate) picture: RgbImage,
    pub(crate) caption: Vec<String>,
}

/// Lays `tiles` out in rows of `columns`, each picture enlarged or shrunk to `width` pixels, under `title`.
pub(crate) fn sheet(title: &str, tiles: &[Tile], columns: usize, width: u32) -> RgbImage {
    let columns = columns.max(1);
    let captions: Vec<Vec<String>> = tiles
        .iter()
        .map(|tile| wrapped(&tile.caption, (width / GLYPH) as usize))
        .collect();
    let height = tiles
        .iter()
        .map(|tile| scaled_height(tile, width))
        .max()
        .unwrap_or(0);
    let lines = captions.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let (step_x, step_y) = (width + MARGIN, height + lines * LINE + 2 * MARGIN);
    let rows = tiles.len().div_ceil(columns) as u32;
    let top = LINE + 2 * MARGIN;
    let mut paper =
        RgbImage::from_pixel(MARGIN + columns as u32 * step_x, top + rows * step_y, PAPER);
    write(&mut paper, title, MARGIN, MARGIN);
    for (at, (tile, caption)) in tiles.iter().zip(&captions).enumerate() {
        let (x, y) = (
            MARGIN + (at % columns) as u32 * step_x,
            top + (at / columns) as u32 * step_y,
        );
        let filter = if tile.picture.width() < width {
            FilterType::CatmullRom
        } else {
            FilterType::Lanczos3
        };
        let picture = imageops::resize(&tile.picture, width, scaled_height(tile, width), filter);
        imageops::replace(&mut paper, &picture, i64::from(x), i64::from(y));
        for (line, text) in (0..).zip(caption) {
            write(&mut paper, text, x, y + height + MARGIN / 2 + line * LINE);
        }
    }
    paper
}

fn scaled_height(tile: &Tile, width: u32) -> u32 {
    let (w, h) = tile.picture.dimensions();
    (u64::from(h) * u64::from(width) / u64::from(w.max(1))).max(1) as u32
}

/// `lines`, broken between words where they are longer than `most` characters.
fn wrapped(lines: &[String], most: usize) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        out.push(String::new());
        for word in line.split(' ') {
            match out.last_mut() {
                Some(last) if last.is_empty() => last.push_str(word),
                Some(last) if last.len() + 1 + word.len() <= most => {
                    last.push(' ');
                    last.push_str(word);
                }
                _ => out.push(word.to_owned()),
            }
        }
    }
    out
}

/// Writes ASCII text; other characters show as "?", and what does not fit is left out.
fn write(paper: &mut RgbImage, text: &str, left: u32, top: u32) {
    for (at, character) in (0..).zip(text.chars()) {
        let glyph = BASIC_LEGACY
            .get(character as usize)
            .unwrap_or(&BASIC_LEGACY['?' as usize]);
        for y in 0..GLYPH {
            for x in 0..GLYPH {
                let lit = glyph[(y / SCALE) as usize] >> (x / SCALE) & 1 == 1;
                if let (true, Some(pixel)) = (
                    lit,
                    paper.get_pixel_mut_checked(left + at * GLYPH + x, top + y),
                ) {
                    *pixel = INK;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_are_wrapped_between_words() {
        let lines = [
            "make the sofa red".to_owned(),
            String::new(),
            "b".to_owned(),
        ];
        assert_eq!(wrapped(&lines, 9), ["make the", "sofa red", "", "b"]);
        assert_eq!(wrapped(&["unbreakable".to_owned()], 4), ["unbreakable"]);
    }

    #[test]
    fn tiles_stand_in_rows_with_their_captions() {
        let tile = |v: u8| Tile {
            picture: RgbImage::from_pixel(4, 4, Rgb([v; 3])),
            caption: vec!["abc".to_owned()],
        };
        let paper = sheet("title", &[tile(1), tile(2), tile(3)], 2, 64);
        assert_eq!(paper.width(), MARGIN + 2 * (64 + MARGIN));
        let top = LINE + 2 * MARGIN;
        assert_eq!(*paper.get_pixel(MARGIN + 5, top + 5), Rgb([1; 3]));
        assert_eq!(*paper.get_pixel(2 * MARGIN + 64 + 5, top + 5), Rgb([2; 3]));
        let second = top + 64 + LINE + 2 * MARGIN;
        assert_eq!(*paper.get_pixel(MARGIN + 5, second + 5), Rgb([3; 3]));
        let inked = (top + 64..second).flat_map(|y| (0..100).map(move |x| (x, y)));
        assert!(inked.map(|(x, y)| paper.get_pixel(x, y)).any(|p| *p == INK));
    }
}
