//! The saved form of an edit between two steps: safetensors bytes with a version, the request's digest, and everything that
//! the next step reads. Going on from it gives the same bytes as never having stopped, on the same kind of device.

use std::collections::HashMap;

use candle_core::{DType, Device, Tensor, safetensors::load_buffer};
use limekiln_diffusion::model::Model;
use limekiln_pictures::Mask;
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};

use crate::{
    edit::{Edit, Found, Request, Setup, Stage},
    error::{Error, Result},
    report::Timings,
    roi::{Map, Segments},
    sums::Sums,
    trajectory::Saved,
};

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
    /// Of all that determines the edit: see [`digest`].
    digest: String,
    stage: Stage,
    step: usize,
    located: usize,
    /// Layers summed in the maps.
    layers: usize,
    /// Bits of the f64: read from JSON, the last of them may differ.
    inertia: Option<u64>,
    clusters: Option<usize>,
    timings: Timings,
}

/// Hash of the request and of the model's weights, so that no edit goes on from another's state.
pub fn digest(request: &Request, fingerprint: &str) -> Result<String> {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    let (width, height) = request.image.dimensions();
    let preset = serde_json::to_vec(&request.preset).map_err(|e| Error::State(e.to_string()))?;
    part(fingerprint.as_bytes());
    part(request.instruction.as_bytes());
    part(&request.seed.to_le_bytes());
    part(&preset);
    part(
        request
            .scheduler
            .map(|kind| kind.to_string())
            .unwrap_or_default()
            .as_bytes(),
    );
    part(&[width.to_le_bytes(), height.to_le_bytes()].concat());
    part(request.image.as_raw());
    part(request.mask.as_ref().map_or(&[][..], |mask| mask.as_raw()));
    Ok(hasher.finalize().to_hex().to_string())
}

impl Edit {
    /// The edit as bytes; [`Edit::resume`] goes on from them.
    pub fn save(&self, model: &Model) -> Result<Vec<u8>> {
        let run = self.run.save();
        let head = Head {
            version: VERSION,
            digest: digest(&self.setup.request, &model.fingerprint)?,
            stage: self.stage,
            step: run.step,
            located: self.located,
            layers: self.sums.layers,
            inertia: self.found.inertia.map(f64::to_bits),
            clusters: self
                .found
                .segments
                .as_ref()
                .map(|segments| segments.clusters),
            timings: self.timings,
        };
        let head = serde_json::to_string(&head).map_err(|e| Error::State(e.to_string()))?;
        let mut tensors: Vec<(String, Tensor)> = vec![
            ("picture".into(), self.setup.picture.clone()),
            ("latents".into(), run.latents),
            ("rng".into(), bytes(run.rng)?),
        ];
        tensors.extend(
            run.history
                .into_iter()
                .map(|(name, value)| (format!("history.{name}"), value)),
        );
        tensors.extend(
            self.sums
                .features
                .iter()
                .map(|(name, value)| (format!("feature.{name}"), value.clone())),
        );
        tensors.extend(
            self.sums
                .maps
                .iter()
                .map(|((h, w), value)| (format!("map.{h}x{w}"), value.clone())),
        );
        if let Some(segments) = &self.found.segments {
            tensors.push(("segments".into(), bytes(segments.labels.clone())?));
        }
        if let Some(map) = &self.found.map {
            tensors.push((
                "attention".into(),
                Tensor::from_slice(&map.values, map.values.len(), &Device::Cpu)?,
            ));
        }
        if let Some(roi) = &self.found.roi {
            let inside = bytes(
                roi.inside()
                    .iter()
                    .map(|inside| u8::from(*inside))
                    .collect(),
            )?;
            tensors.push(("roi".into(), inside.reshape((roi.height(), roi.width()))?));
        }
        let tensors: Vec<(String, Tensor)> = tensors
            .into_iter()
            .map(|(name, value)| Ok((name, value.contiguous()?)))
            .collect::<Result<_>>()?;
        serialize(tensors, Some(HashMap::from([(HEAD.into(), head)])))
            .map_err(|e| Error::State(e.to_string()))
    }

    /// The edit that [`Edit::save`] saved, ready for its next step. None where another version of this program saved it in a
    /// way that this one does not know: start over.
    ///
    /// # Errors
    ///
    /// When the bytes are damaged or belong to another request or model.
    pub fn resume(model: &Model, request: Request, saved: &[u8]) -> Result<Option<Self>> {
        let damaged =
            |what: &dyn std::fmt::Display| Error::State(format!("it is damaged ({what})"));
        let (_, metadata) = SafeTensors::read_metadata(saved).map_err(|e| damaged(&e))?;
        let head = metadata
            .metadata()
            .as_ref()
            .and_then(|metadata| metadata.get(HEAD));
        let head = head.ok_or_else(|| damaged(&"it has no head"))?;
        let version: Version = serde_json::from_str(head).map_err(|e| damaged(&e))?;
        if version.version != VERSION {
            return Ok(None);
        }
        let head: Head = serde_json::from_str(head).map_err(|e| damaged(&e))?;
        if head.digest != digest(&request, &model.fingerprint)? {
            return Err(Error::State(
                "it belongs to another request or model".into(),
            ));
        }
        let mut tensors = Tensors(load_buffer(saved, &Device::Cpu).map_err(|e| damaged(&e))?);
        let setup = Setup::new(model, request, Some(tensors.take("picture")?))?;
        let run = Saved {
            step: head.step,
            rng: tensors.take("rng")?.to_vec1().map_err(|e| damaged(&e))?,
            latents: tensors.take("latents")?,
            history: tensors
                .take_all("history.", &setup.device)?
                .into_iter()
                .collect(),
        };
        if run.latents.dims() != setup.picture.dims() || run.latents.dtype() != DType::F32 {
            return Err(damaged(&"its latents have another shape"));
        }
        let found = tensors.found(&head).map_err(|e| damaged(&e))?;
        let sums = tensors
            .sums(&head, &setup.device)
            .map_err(|e| damaged(&e))?;
        let edit = Self::restore(setup, head.stage, run, sums, found)?;
        Ok(Some(Self {
            located: head.located,
            timings: head.timings,
            ..edit
        }))
    }
}

/// The tensors of a saved edit that are not yet taken.
struct Tensors(HashMap<String, Tensor>);

impl Tensors {
    fn take(&mut self, name: &str) -> Result<Tensor> {
        self.0
            .remove(name)
            .ok_or_else(|| Error::State(format!("{name} is missing")))
    }

    /// All whose names start with `prefix`, without it, on `device`.
    fn take_all(&mut self, prefix: &str, device: &Device) -> Result<Vec<(String, Tensor)>> {
        let names: Vec<String> = self
            .0
            .keys()
            .filter(|name| name.starts_with(prefix))
            .cloned()
            .collect();
        let taken = names.into_iter().map(|name| {
            Ok((
                name[prefix.len()..].to_string(),
                self.take(&name)?.to_device(device)?,
            ))
        });
        taken.collect()
    }

    fn found(&mut self, head: &Head) -> Result<Found> {
        let side = |count: usize| (count as f64).sqrt().round() as usize;
        let mut found = Found {
            inertia: head.inertia.map(f64::from_bits),
            ..Found::default()
        };
        if let Some(clusters) = head.clusters {
            let labels: Vec<u8> = self.take("segments")?.to_vec1()?;
            found.segments = Some(Segments {
                side: side(labels.len()),
                clusters,
                labels,
            });
        }
        if let Ok(map) = self.take("attention") {
            let values: Vec<f32> = map.to_vec1()?;
            found.map = Some(Map {
                side: side(values.len()),
                values,
            });
        }
        if let Ok(roi) = self.take("roi") {
            let (height, width) = roi.dims2()?;
            let inside: Vec<u8> = roi.flatten_all()?.to_vec1()?;
            found.roi = Some(Mask::new(
                width,
                height,
                inside.into_iter().map(|inside| inside != 0).collect(),
            ));
        }
        Ok(found)
    }

    fn sums(&mut self, head: &Head, device: &Device) -> Result<Sums> {
        let mut sums = Sums {
            layers: head.layers,
            ..Sums::default()
        };
        sums.features.extend(self.take_all("feature.", device)?);
        for (name, value) in self.take_all("map.", device)? {
            let size = name
                .split_once('x')
                .and_then(|(height, width)| Some((height.parse().ok()?, width.parse().ok()?)));
            sums.maps.insert(
                size.ok_or_else(|| Error::State(format!("{name:?} is no size")))?,
                value,
            );
        }
        Ok(sums)
    }
}

fn bytes(values: Vec<u8>) -> Result<Tensor> {
    let count = values.len();
    Ok(Tensor::from_vec(values, count, &Device::Cpu)?)
}
