//! The tensors of a file, whatever its format.

use std::sync::Arc;

use candle_core::DType;
use safetensors::{Dtype, SafeTensors};

use super::blob::Blob;
use super::tensors::{Stored, Tensors};
use super::torch;
use crate::Error;

/// Reads the table of a safetensors file or of torch's zip file, whichever it is.
pub(super) fn table(blob: &Arc<Blob>) -> Result<Tensors, Error> {
    match blob.get(..4) {
        Some(b"PK\x03\x04") => torch::table(blob),
        // Protocol 2 and the first byte of the magic number's opcode: torch.save before 1.6.
        Some([0x80, 2, 0x8a, _]) => Err(blob.damaged(
            "a torch file from before torch 1.6; convert it with torch: torch.save(torch.load(OLD, map_location='cpu'), NEW)",
        )),
        _ => {
            blob.itself()?;
            safetensors(blob)
        }
    }
}

fn safetensors(blob: &Arc<Blob>) -> Result<Tensors, Error> {
    let (header, metadata) = SafeTensors::read_metadata(blob)
        .map_err(|e| blob.damaged(format!("not a whole safetensors file ({e})")))?;
    let mut tensors = Tensors::new();
    for (name, info) in metadata.tensors() {
        let dtype = match info.dtype {
            Dtype::F64 => Some(DType::F64),
            Dtype::F32 => Some(DType::F32),
            Dtype::F16 => Some(DType::F16),
            Dtype::BF16 => Some(DType::BF16),
            _ => None,
        };
        let data = 8 + header;
        let within = data + info.data_offsets.0..data + info.data_offsets.1;
        let stored = Stored::new(
            name.clone(),
            (dtype, format!("{:?}", info.dtype)),
            info.shape.clone(),
            None,
            blob,
            within,
        )?;
        tensors.insert(name, stored);
    }
    Ok(tensors)
}
