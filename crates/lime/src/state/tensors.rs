//! The tensors of a saved edit by name.

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use crate::error::{Error, Result};

/// Those that are already put, or not yet taken.
#[derive(Default)]
pub(crate) struct Tensors(pub(crate) HashMap<String, Tensor>);

impl Tensors {
    pub(crate) fn put(&mut self, name: &str, value: &Tensor) -> Result<()> {
        self.0.insert(name.into(), value.contiguous()?);
        Ok(())
    }

    pub(crate) fn put_bytes(&mut self, name: &str, values: Vec<u8>) -> Result<()> {
        let count = values.len();
        self.put(name, &Tensor::from_vec(values, count, &Device::Cpu)?)
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    pub(crate) fn take(&mut self, name: &str) -> Result<Tensor> {
        let taken = self.0.remove(name);
        taken.ok_or_else(|| Error::State(format!("{name} is missing")))
    }

    /// All whose names start with `prefix`, without it, on `device`.
    pub(crate) fn take_all<'a>(
        &mut self,
        prefix: &'a str,
        device: &'a Device,
    ) -> impl Iterator<Item = Result<(String, Tensor)>> + use<'a> {
        let names = self.0.extract_if(|name, _| name.starts_with(prefix));
        let taken: Vec<_> = names.collect();
        taken
            .into_iter()
            .map(|(name, value)| Ok((name[prefix.len()..].into(), value.to_device(device)?)))
    }
}
