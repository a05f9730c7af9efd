//! The stages of an edit as files.

use std::path::{Path, PathBuf};

use anyhow::Result;
use image::GrayImage;
use limekiln_lime::canvas::{Stages, View};

use crate::output::{self, png_write};

const MATTE: &str = "matte.png";
const REPORT: &str = "report.json";
const LATENTS: &str = "latents.safetensors";

/// A folder that was found fit for the stages' files.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder if need be; none of its files may be one of `inputs` or the `result`.
    ///
    /// # Errors
    ///
    /// Says what is in the way.
    pub(crate) fn new(folder: &Path, inputs: &[&Path], result: Option<&Path>) -> Result<Self> {
        let views = View::ALL.map(file_name);
        let own = [MATTE, REPORT, LATENTS];
        let names = views.iter().map(String::as_str).chain(own);
        output::artifacts_folder(folder, names, inputs, result)?;
        Ok(Self(folder.to_owned()))
    }

    /// Writes the pictures of the stages that the edit had, its matte and its latents, and says which files those are, the
    /// report included. An edit of the whole picture has no stage to show.
    ///
    /// # Errors
    ///
    /// When a file can't be written.
    pub(crate) fn write(&self, stages: &Stages, matte: Option<&GrayImage>) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for (view, pixels) in stages.views() {
            let name = file_name(view);
            png_write(&self.0.join(&name), pixels)?;
            files.push(name);
        }
        if let Some(matte) = matte {
            png_write(&self.0.join(MATTE), matte.clone())?;
            files.push(MATTE.to_owned());
        }
        if let Some(latents) = &stages.latents {
            output::write_with(&self.0.join(LATENTS), |file| {
                let saved = latents.save_safetensors("latents", file.path());
                Ok(saved.map_err(limekiln_diffusion::plain)?)
            })?;
            files.push(LATENTS.to_owned());
        }
        files.push(REPORT.to_owned());
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

fn file_name(view: View) -> String {
    format!("{}.png", view.name())
}
