//! The stages of an edit as files.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use image::{GrayImage, RgbImage};
use limekiln_lime::Outcome;
use limekiln_pictures::paint;

use crate::output::{self, folder_make, png_write, same_file};

const ROI: &str = "roi.png";
const SEGMENTS: &str = "segments.png";
const ATTENTION: &str = "attention.png";
const OVERLAY: &str = "overlay.png";
const REPORT: &str = "report.json";
const LATENTS: &str = "latents.safetensors";

/// A folder that the stages can be written to.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if need be; none of its files may be one of `kept`.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub(crate) fn new(folder: &Path, kept: &[&Path]) -> Result<Self> {
        folder_make(folder)?;
        for name in [ROI, SEGMENTS, ATTENTION, OVERLAY, REPORT, LATENTS] {
            let path = folder.join(name);
            if kept.iter().any(|kept| same_file(kept, &path)) {
                bail!(
                    "{}: --artifacts would overwrite the input: name another folder",
                    path.display()
                );
            }
            if path.is_dir() {
                bail!(
                    "{}: is a folder, and --artifacts writes a file of that name: name another folder",
                    path.display()
                );
            }
        }
        Ok(Self(folder.to_owned()))
    }

    /// Writes what the edit has of its stages, at the size of `picture` (and of `roi`), and says which files those
    /// are. An edit of the whole picture has latents alone.
    ///
    /// # Errors
    ///
    /// When a file can't be written.
    pub(crate) fn write(
        &self,
        picture: &RgbImage,
        roi: Option<&GrayImage>,
        outcome: &Outcome,
    ) -> Result<Vec<String>> {
        let size = picture.dimensions();
        let mut files = Vec::new();
        let mut png = |name: &str, pixels: image::DynamicImage| {
            files.push(name.to_owned());
            png_write(&self.0.join(name), pixels)
        };
        if let Some(roi) = roi {
            png(ROI, roi.clone().into())?;
            png(OVERLAY, paint::overlay(picture, roi).into())?;
        }
        if let Some(segments) = &outcome.segments {
            png(
                SEGMENTS,
                paint::segments(&segments.labels, segments.side, size).into(),
            )?;
        }
        if let Some(map) = &outcome.attention {
            png(ATTENTION, paint::heat(&map.values, map.side, size).into())?;
        }
        output::write_with(&self.0.join(LATENTS), |file| {
            Ok(outcome.latents.save_safetensors("latents", file.path())?)
        })?;
        files.extend([LATENTS, REPORT].map(str::to_owned));
        Ok(files)
    }

    /// Writes the report.
    ///
    /// # Errors
    ///
    /// When the file can't be written.
    pub(crate) fn report(&self, json: &str) -> Result<()> {
        output::write(&self.0.join(REPORT), json.as_bytes())
    }
}
