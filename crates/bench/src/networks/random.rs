//! Random weights, the same for a name at every run: in memory, and as a checkpoint on disk.

use std::fs::{File, create_dir_all, write};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use candle_core::{DType, Device, Result as Computed, Shape as Dims, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use half::f16;
use half::slice::HalfFloatSliceExt;
use limekiln_diffusion::text::TextEncoder;
use limekiln_diffusion::unet::Unet;
use limekiln_diffusion::vae::Vae;
use rayon::prelude::*;
use serde_json::{Map, json};

use super::shape::{Shape, built_in};
use crate::error::{Error, Result};

/// Values that one thread draws at a time.
const CHUNK: usize = 1 << 16;

/// Files of the built-in checkpoint that go with any weights.
const COMMON: [&str; 6] = [
    "model_index.json",
    "scheduler/scheduler_config.json",
    "tokenizer/merges.txt",
    "tokenizer/special_tokens_map.json",
    "tokenizer/tokenizer_config.json",
    "tokenizer/vocab.json",
];

/// Hands out random weights for whatever name is asked for.
pub(super) fn weights(dtype: DType) -> VarBuilder<'static> {
    VarBuilder::from_backend(Box::new(Drawn), dtype, Device::Cpu)
}

/// Weights of the size that keeps activations where they are: uniform, of variance 1 over the inputs of an output; 1 for the factors of
/// normalisations, 0 for biases.
fn draw(name: &str, dims: &[usize], chunk: usize, values: &mut [f32]) {
    if dims.len() < 2 {
        values.fill(if name.ends_with("weight") { 1.0 } else { 0.0 });
        return;
    }
    let inputs: usize = dims[1..].iter().product();
    let bound = (3.0 / inputs as f32).sqrt();
    let hash = blake3::hash(name.as_bytes());
    let mut start = [0; 8];
    start.copy_from_slice(&hash.as_bytes()[..8]);
    let mut state = u64::from_le_bytes(start).wrapping_add((chunk as u64) << 32);
    for value in values {
        // SplitMix64.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = (mixed >> 40) as f32 / (1u32 << 24) as f32;
        *value = bound * (2.0 * unit - 1.0);
    }
}

struct Drawn;

impl SimpleBackend for Drawn {
    fn get(
        &self,
        shape: Dims,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> Computed<Tensor> {
        let mut values = vec![0f32; shape.elem_count()];
        values
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, part)| draw(name, shape.dims(), i, part));
        Tensor::from_vec(values, shape, device)?.to_dtype(dtype)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Computed<Tensor> {
        candle_core::bail!("the shape of {name} is not known")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        true
    }
}

/// Names and shapes, in the order in which a network asks for them.
type Asked = Arc<Mutex<Vec<(String, Vec<usize>)>>>;

struct Listing(Asked);

impl SimpleBackend for Listing {
    fn get(
        &self,
        shape: Dims,
        name: &str,
        _: Init,
        dtype: DType,
        device: &Device,
    ) -> Computed<Tensor> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.push((name.to_owned(), shape.dims().to_vec()));
        Tensor::zeros(shape, dtype, device)
    }

    fn get_unchecked(&self, name: &str, _: DType, _: &Device) -> Computed<Tensor> {
        candle_core::bail!("the shape of {name} is not known")
    }

    fn contains_tensor(&self, _: &str) -> bool {
        false
    }
}

/// Writes a checkpoint in diffusers layout, weights in f16, and yields the bytes of its weights.
pub(super) fn folder(shape: Shape, path: &Path) -> Result<u64> {
    let copied = COMMON.map(|name| (name, built_in(name)));
    for (name, text) in copied.into_iter().chain(shape.files()) {
        let file = path.join(name);
        create_dir_all(file.parent().unwrap_or(path)).map_err(Error::Weights)?;
        write(&file, text).map_err(Error::Weights)?;
    }
    let (unet, vae, text) = (shape.unet()?, shape.vae()?, shape.text()?);
    let unet = asked(|vb| Unet::new(vb, &unet))?;
    let vae = asked(|vb| Vae::new(vb, &vae))?;
    let text = asked(|vb| TextEncoder::new(vb, &text))?;
    let file = |name: &str, tensors| safetensors(&path.join(name), tensors).map_err(Error::Weights);
    Ok(file("unet/diffusion_pytorch_model.safetensors", unet)?
        + file("vae/diffusion_pytorch_model.safetensors", vae)?
        + file("text_encoder/model.safetensors", text)?)
}

fn asked<T>(
    build: impl FnOnce(VarBuilder<'static>) -> std::result::Result<T, limekiln_diffusion::Error>,
) -> Result<Vec<(String, Vec<usize>)>> {
    let names = Asked::default();
    let listing = Box::new(Listing(names.clone()));
    drop(build(VarBuilder::from_backend(
        listing,
        DType::F32,
        Device::Cpu,
    ))?);
    let mut names = names.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *names))
}

/// Writes a safetensors file, and yields the bytes of its tensors.
fn safetensors(path: &Path, tensors: Vec<(String, Vec<usize>)>) -> io::Result<u64> {
    let mut header = Map::new();
    let mut end = 0;
    for (name, dims) in &tensors {
        let begin = end;
        end += 2 * dims.iter().product::<usize>();
        let entry = json!({"dtype": "F16", "shape": dims, "data_offsets": [begin, end]});
        header.insert(name.clone(), entry);
    }
    let mut header = serde_json::to_vec(&header)?;
    header.resize(header.len().next_multiple_of(8), b' ');
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    file.write_all(&(header.len() as u64).to_le_bytes())?;
    file.write_all(&header)?;
    for (name, dims) in &tensors {
        let mut values = vec![f16::ZERO; dims.iter().product()];
        values
            .par_chunks_mut(CHUNK)
            .enumerate()
            .for_each(|(i, part)| {
                let mut drawn = vec![0f32; part.len()];
                draw(name, dims, i, &mut drawn);
                part.convert_from_f32_slice(&drawn);
            });
        let bytes: Vec<u8> = values
            .par_iter()
            .flat_map_iter(|value| value.to_le_bytes())
            .collect();
        file.write_all(&bytes)?;
    }
    file.flush()?;
    Ok(end as u64)
}

#[cfg(test)]
mod tests {
    use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
    use limekiln_diffusion::model::Model;

    use super::*;

    #[test]
    fn a_folder_of_random_weights_is_a_checkpoint() {
        let place = tempfile::tempdir().unwrap();
        let bytes = folder(Shape::Rooms, place.path()).unwrap();
        let source = Source::Path(place.path().to_owned());
        let checkpoint = Checkpoint::open(&source, &OpenOptions::default()).unwrap();
        let count = checkpoint.unet.names().count();
        let model = Model::load(checkpoint, &Device::Cpu, DType::F32).unwrap();
        assert!(model.warnings.is_empty(), "{:?}", model.warnings);
        assert!(
            count > 100 && bytes > 1 << 20,
            "{count} tensors, {bytes} bytes"
        );
    }

    #[test]
    fn a_name_has_the_same_weights_at_every_run() {
        let get = |name| weights(DType::F32).get((64, 2048), name).unwrap();
        let values = |name| get(name).flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let (one, again, other) = (values("a"), values("a"), values("b"));
        assert_eq!(one, again);
        assert_ne!(one, other);
        let variance = one.iter().map(|v| v * v).sum::<f32>() / one.len() as f32 * 2048.0;
        assert!((variance - 1.0).abs() < 0.02, "{variance}");
    }
}
