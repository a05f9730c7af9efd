//! What is known, as bytes to be kept: safetensors with a head.

use std::collections::HashMap;

use candle_core::{Device, Tensor, safetensors::load_buffer};
use image::ImageBuffer;
use limekiln_pictures::original::Rgb16Image;
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};

use super::{
    Known,
    kind::Kind,
    object::{self, ObjectHead},
};
use crate::{
    error::{Error, Result},
    located::Located,
    state::{
        located::{self, LocatedHead},
        tensors::Tensors,
    },
};

/// Goes up with every change of the form. What has another one is not read.
const VERSION: u32 = 1;
/// Key of the metadata that holds [`Head`] as JSON.
const HEAD: &str = "limekiln_known";
/// Names of the tensors.
const LATENTS: &str = "latents";
const DECODED: &str = "decoded";

#[derive(Serialize, Deserialize)]
struct Head {
    version: u32,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    located: Option<LocatedHead>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    object: Option<ObjectHead>,
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::State(format!(
        "what was kept of an earlier edit is damaged ({what})"
    ))
}

impl Known {
    /// All of it, each kind by itself.
    ///
    /// # Errors
    ///
    /// When tensors cannot be made.
    pub fn to_bytes(&self) -> Result<Vec<(Kind, Vec<u8>)>> {
        let mut kept = Vec::new();
        for kind in Kind::KEPT {
            let mut tensors = Tensors::default();
            let mut head = Head {
                version: VERSION,
                kind,
                located: None,
                object: None,
            };
            let located =
                |of: &Located, tensors: &mut Tensors| located::save(of, tensors).map(Some);
            match (kind, self) {
                (
                    Kind::Latents,
                    Self {
                        latents: Some(it), ..
                    },
                ) => tensors.put(LATENTS, it)?,
                (
                    Kind::Decoded,
                    Self {
                        decoded: Some(it), ..
                    },
                ) => {
                    tensors.put(DECODED, &samples(it)?)?;
                }
                (
                    Kind::Segments,
                    Self {
                        segments: Some(it), ..
                    },
                )
                | (
                    Kind::Region,
                    Self {
                        region: Some(it), ..
                    },
                ) => {
                    head.located = located(it, &mut tensors)?;
                }
                (
                    Kind::Matte,
                    Self {
                        object: Some(it), ..
                    },
                ) => head.object = Some(object::save(it, &mut tensors)?),
                _ => continue,
            }
            let head = serde_json::to_string(&head).map_err(damaged)?;
            let bytes = serialize(tensors.0, Some(HashMap::from([(HEAD.into(), head)])));
            kept.push((kind, bytes.map_err(damaged)?));
        }
        Ok(kept)
    }

    /// Adds what was kept as `bytes`.
    ///
    /// # Errors
    ///
    /// When they are damaged, of another kind, or of another version of this program.
    pub fn read(&mut self, kind: Kind, bytes: &[u8]) -> Result<()> {
        let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let metadata = metadata.metadata().as_ref();
        let head = metadata.and_then(|metadata| metadata.get(HEAD));
        let head: Head = serde_json::from_str(head.ok_or_else(|| damaged("it has no head"))?)
            .map_err(damaged)?;
        if head.version != VERSION || head.kind != kind {
            return Err(damaged("it is of another version or kind"));
        }
        let mut tensors = Tensors(load_buffer(bytes, &Device::Cpu).map_err(damaged)?);
        let located = |tensors: &mut Tensors| {
            let head = head
                .located
                .as_ref()
                .ok_or_else(|| damaged("it is empty"))?;
            located::restore(head, tensors).map(Some)
        };
        match kind {
            Kind::Latents => self.latents = Some(tensors.take(LATENTS)?),
            Kind::Decoded => self.decoded = Some(picture(&tensors.take(DECODED)?)?.into()),
            Kind::Segments => self.segments = located(&mut tensors)?,
            Kind::Region => self.region = located(&mut tensors)?,
            Kind::Matte => {
                let head = head.object.ok_or_else(|| damaged("it is empty"))?;
                self.object = Some(object::restore(head, &mut tensors)?);
            }
            Kind::Map => return Err(damaged("a map is kept with its region")),
        }
        Ok(())
    }
}

/// A picture's samples as bytes, `[h, w, 6]`: low bytes first.
fn samples(picture: &Rgb16Image) -> Result<Tensor> {
    let (width, height) = picture.dimensions();
    let bytes = picture.as_raw().iter().flat_map(|it| it.to_le_bytes());
    let shape = (height as usize, width as usize, 6);
    Ok(Tensor::from_vec(
        bytes.collect::<Vec<u8>>(),
        shape,
        &Device::Cpu,
    )?)
}

/// The reverse of [`samples`].
fn picture(samples: &Tensor) -> Result<Rgb16Image> {
    let (height, width, _) = samples.dims3()?;
    let bytes: Vec<u8> = samples.flatten_all()?.to_vec1()?;
    let (samples, _) = bytes.as_chunks::<2>();
    let samples = samples.iter().map(|it| u16::from_le_bytes(*it)).collect();
    let side = |side: usize| u32::try_from(side).map_err(damaged);
    ImageBuffer::from_raw(side(width)?, side(height)?, samples)
        .ok_or_else(|| damaged("its picture has another size"))
}
