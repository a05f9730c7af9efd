//! What stage 1 has found, saved and read.

use candle_core::{Device, Tensor};
use limekiln_pictures::Mask;
use serde::{Deserialize, Serialize};

use super::tensors::Tensors;
use crate::{
    error::Result,
    located::Located,
    roi::{Map, Segments},
};

/// Its numbers; the rest are tensors.
#[derive(Serialize, Deserialize)]
pub(crate) struct LocatedHead {
    /// Bits of the f64: read from JSON, the last of them may differ.
    inertia: Option<u64>,
    clusters: Option<usize>,
}

/// Puts the tensors of `located`, and gives its numbers.
pub(crate) fn save(located: &Located, tensors: &mut Tensors) -> Result<LocatedHead> {
    if let Some(segments) = &located.segments {
        tensors.put_bytes("segments", segments.labels.clone())?;
    }
    if let Some(map) = &located.map {
        let values = Tensor::from_slice(&map.values, map.values.len(), &Device::Cpu)?;
        tensors.put("attention", &values)?;
    }
    if let Some(roi) = &located.roi {
        let inside: Vec<u8> = roi.inside().iter().map(|&inside| inside.into()).collect();
        let inside = Tensor::from_vec(inside, (roi.height(), roi.width()), &Device::Cpu)?;
        tensors.put("roi", &inside)?;
    }
    Ok(LocatedHead {
        inertia: located.inertia.map(f64::to_bits),
        clusters: located.segments.as_ref().map(|segments| segments.clusters),
    })
}

/// The reverse of [`save`].
pub(crate) fn restore(head: &LocatedHead, tensors: &mut Tensors) -> Result<Located> {
    let side = |count: usize| (count as f64).sqrt().round() as usize;
    let mut located = Located {
        inertia: head.inertia.map(f64::from_bits),
        ..Located::default()
    };
    if let Some(clusters) = head.clusters {
        let labels: Vec<u8> = tensors.take("segments")?.to_vec1()?;
        located.segments = Some(Segments {
            side: side(labels.len()),
            clusters,
            labels,
        });
    }
    if tensors.has("attention") {
        let values: Vec<f32> = tensors.take("attention")?.to_vec1()?;
        located.map = Some(Map {
            side: side(values.len()),
            values,
        });
    }
    if tensors.has("roi") {
        let roi = tensors.take("roi")?;
        let (height, width) = roi.dims2()?;
        let inside: Vec<u8> = roi.flatten_all()?.to_vec1()?;
        let inside = inside.into_iter().map(|inside| inside != 0).collect();
        located.roi = Some(Mask::new(width, height, inside));
    }
    Ok(located)
}
