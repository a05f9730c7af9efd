//! The pages of `limekiln batch sheet` as PNG: for whoever wants to print or send them.

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use limekiln_jobs::api::{CatalogView, RowView};

use super::page::{Picture, Shown, common, facts};
use crate::output;
use crate::sheet::{Tile, sheet};

/// Pictures side by side.
const COLUMNS: usize = 8;
/// Rows of pictures on a page, about.
const LINES: usize = 6;
/// Width of a picture, in pixels.
const WIDTH: u32 = 200;

/// Pages that are being drawn.
pub(super) struct Pages {
    path: PathBuf,
    title: String,
    tiles: Vec<Tile>,
    drawn: usize,
}

impl Pages {
    pub(super) fn begin(path: &Path, view: &CatalogView) -> Self {
        let name = match view.name.as_str() {
            "" => "Catalog",
            name => name,
        };
        Self {
            path: path.to_owned(),
            title: format!("{name} {}", view.id),
            tiles: Vec::new(),
            drawn: 0,
        }
    }

    /// Begins a product on a line of its own: its picture, and the region that was found.
    pub(super) fn product(&mut self, rows: &[RowView], input: &Picture, region: &Picture) {
        let mut caption: Vec<String> = common(rows).into_iter().map(|(_, value)| value).collect();
        caption.truncate(3);
        self.tile(input, caption);
        self.tile(region, vec!["region".to_owned()]);
    }

    /// Adds a row to the product.
    pub(super) fn row(&mut self, Shown { row, picture }: &Shown<'_>) {
        let asked = row.color.as_deref().unwrap_or(&row.instruction);
        let mut caption = vec![format!("{asked} {} #{}", row.state, row.row)];
        // The font has ASCII alone.
        caption.extend(facts(row).iter().map(|fact| fact.replace('Δ', "d")));
        self.tile(picture, caption);
    }

    /// Ends the product, and the page where it is full.
    ///
    /// # Errors
    ///
    /// When the page can't be written.
    pub(super) fn product_end(&mut self) -> anyhow::Result<()> {
        while !self.tiles.len().is_multiple_of(COLUMNS) {
            self.tiles.push(Tile {
                picture: RgbImage::from_pixel(1, 1, Rgb([250, 249, 246])),
                caption: Vec::new(),
            });
        }
        if self.tiles.len() >= COLUMNS * LINES {
            return self.flush();
        }
        Ok(())
    }

    /// Writes what is left.
    ///
    /// # Errors
    ///
    /// When the page can't be written.
    pub(super) fn end(mut self) -> anyhow::Result<usize> {
        if !self.tiles.is_empty() {
            self.flush()?;
        }
        Ok(self.drawn)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.drawn += 1;
        let stem = self.path.file_stem().unwrap_or_default().to_string_lossy();
        let name = format!("{stem}-{}.png", self.drawn);
        let title = format!("{} ({})", self.title, self.drawn);
        let page = sheet(&title, &self.tiles, COLUMNS, WIDTH);
        self.tiles.clear();
        output::png_write(&self.path.with_file_name(name), page)
    }

    fn tile(&mut self, picture: &Picture, caption: Vec<String>) {
        let picture = match picture {
            Picture::Jpeg(bytes) => image::load_from_memory(bytes).ok().map(|it| it.into_rgb8()),
            Picture::None | Picture::Gone => None,
        };
        let none = || RgbImage::from_pixel(WIDTH, WIDTH, Rgb([238, 236, 230]));
        self.tiles.push(Tile {
            picture: picture.unwrap_or_else(none),
            caption,
        });
    }
}
