//! The saved form of an edit between two steps: safetensors bytes with a version, digests, and everything that the next step
//! reads. Going on from it gives the same bytes as never having stopped, on the same kind of device.
//!
//! # Layout
//!
//! | module | holds |
//! |---|---|
//! | `digest` | the digests of picture, region and run |
//! | `tensors` | the tensors of a saved edit, by name |
//! | `located` | segments, map and region |
//! | `window` | the window and its check |
//! | `run` | latents, noise, the solver's history, and what was read so far |

mod digest;
pub(crate) mod located;
mod run;
pub(crate) mod tensors;
mod window;

use std::collections::HashMap;
use std::fmt::Display;

use candle_core::{Device, safetensors::load_buffer};
use limekiln_diffusion::model::Model;
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};

use crate::{
    edit::{Edit, Judged, Request, Setup, Stage},
    error::{Error, Result},
    known::Kind,
    report::Way,
    timings::Timings,
};
use located::LocatedHead;
use run::RunHead;
use tensors::Tensors;
use window::WindowHead;

pub use digest::Digests;
pub(crate) use digest::digest;

/// Goes up whenever an older build could not go on from the bytes, or would reach others.
const VERSION: u32 = 1;

/// Key of the metadata that holds [`Head`] as JSON.
const HEAD: &str = "limekiln_edit";

/// Only this is read before the version is known to be ours.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    /// [`Digests::run`]: an edit goes on from its own state only.
    digest: String,
    /// Instructions that it was computed with, where their results have bits of their own: it goes on with none but these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    stage: Stage,
    /// Steps that stage 1 took.
    #[serde(rename = "located")]
    locate_steps_done: usize,
    timings: Timings,
    #[serde(flatten)]
    located: LocatedHead,
    #[serde(flatten)]
    run: RunHead,
    /// Of the edit's window, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    window: Option<WindowHead>,
    /// Which way was taken, where that was decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    way: Option<Way>,
    /// What was known beforehand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reused: Vec<Kind>,
    /// Which edit found the region, where it was for other words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    region_from: Option<String>,
}

/// The model's path, where it is more than a number type.
fn own_path(model: &Model) -> Option<String> {
    (model.path() != model.dtype.as_str()).then(|| model.path().to_owned())
}

fn damaged(what: impl Display) -> Error {
    Error::State(format!("it is damaged ({what})"))
}

/// An error of one part, as one of the whole.
fn part_damaged(error: Error) -> Error {
    match error {
        Error::State(what) => damaged(what),
        other => damaged(other),
    }
}

impl Edit {
    /// The edit as bytes; [`Edit::resume`] goes on from them.
    ///
    /// # Errors
    ///
    /// When tensors cannot be read from the device.
    pub fn save(&self, model: &Model) -> Result<Vec<u8>> {
        let judged = self.judged.as_ref();
        // What was found is not saved: it is found again.
        let (stage, way) = match judged {
            Some(judged) if judged.found.is_some() => (Stage::Find, None),
            judged => (self.stage, judged.map(|judged| judged.way)),
        };
        let mut tensors = Tensors::default();
        tensors.put("picture", &self.setup.picture)?;
        let head = Head {
            version: VERSION,
            digest: Digests::of(&self.setup.request, &model.fingerprint)?.run,
            path: own_path(model),
            stage,
            locate_steps_done: self.locate_steps_done,
            timings: self.timings,
            located: located::save(&self.located, &mut tensors)?,
            run: run::save(self.run.save(), &self.sums, &mut tensors)?,
            window: self
                .windowed
                .as_ref()
                .map(|windowed| window::save(windowed, &mut tensors))
                .transpose()?,
            way,
            reused: self.reused.clone(),
            region_from: self.region_from.clone(),
        };
        let head = serde_json::to_string(&head).map_err(|e| Error::State(e.to_string()))?;
        serialize(tensors.0, Some(HashMap::from([(HEAD.into(), head)])))
            .map_err(|e| Error::State(e.to_string()))
    }

    /// The edit that [`Edit::save`] saved, ready for its next step. None where another version of this program saved it in a
    /// way that this one does not know, or computed it with other instructions: start over.
    ///
    /// # Errors
    ///
    /// When the bytes are damaged or belong to another request or model.
    pub fn resume(model: &Model, request: Request, saved: &[u8]) -> Result<Option<Self>> {
        let (_, metadata) = SafeTensors::read_metadata(saved).map_err(damaged)?;
        let head = metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(HEAD));
        let head = head.ok_or_else(|| damaged("it has no head"))?;
        let version: Version = serde_json::from_str(head).map_err(damaged)?;
        if version.version != VERSION {
            return Ok(None);
        }
        let head: Head = serde_json::from_str(head).map_err(damaged)?;
        if head.digest != Digests::of(&request, &model.fingerprint)?.run {
            return Err(Error::State(
                "it belongs to another request or model".into(),
            ));
        }
        if head.path != own_path(model) {
            return Ok(None);
        }
        let mut tensors = Tensors(load_buffer(saved, &Device::Cpu).map_err(damaged)?);
        let mut setup = Setup::new(model, request, Some(tensors.take("picture")?))?;
        setup.encode_texts(model, head.stage)?;
        let located = located::restore(&head.located, &mut tensors).map_err(part_damaged)?;
        let (run, sums) =
            run::restore(&head.run, &mut tensors, setup.picture.dims(), &setup.device)
                .map_err(part_damaged)?;
        let windowed = head
            .window
            .map(|head| window::restore(&head, &mut tensors, setup.picture.dims(), &setup.device))
            .transpose()
            .map_err(part_damaged)?;
        let edit = Self::restore(setup, head.stage, run, located)?;
        Ok(Some(Self {
            sums,
            windowed,
            judged: head.way.map(|way| Judged { way, found: None }),
            locate_steps_done: head.locate_steps_done,
            timings: head.timings,
            reused: head.reused,
            region_from: head.region_from,
            ..edit
        }))
    }
}
