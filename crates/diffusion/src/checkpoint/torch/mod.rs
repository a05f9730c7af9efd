//! Files of `torch.save` (1.6 and later): a zip of stored, aligned storages, and a pickle that says what they are.
//!
//! Nothing is unpacked: storages are read where they lie in the mapped file. Nothing in the pickle is ever executed.

use std::collections::HashMap;
use std::io::Cursor;
use std::ops::Range;
use std::sync::Arc;

use candle_core::DType;
use zip::{CompressionMethod, ZipArchive};

use super::blob::Blob;
use super::pickle::{Id, Node, Pickle};
use super::tensors::{Stored, Tensors};
use crate::Error;

/// Deepest wrapping of one tensor in parameters and subclasses that is followed.
const WRAPPINGS: usize = 4;
/// Largest pickle that is read; those of whole training states, tensors apart, have a few MiB.
const PICKLE_BYTES: usize = 64 << 20;

pub(super) fn table(blob: &Arc<Blob>) -> Result<Tensors, Error> {
    let entries = entries(blob)?;
    let (root, pickle) = entries
        .iter()
        .filter_map(|(name, range)| Some((name.strip_suffix("data.pkl")?, range.clone())))
        .min_by_key(|(root, _)| (root.len(), *root))
        .ok_or_else(|| blob.damaged("a zip file, but not one of torch.save (no data.pkl)"))?;
    if entries
        .get(&format!("{root}byteorder"))
        .is_some_and(|order| blob.get(order.clone()) == Some(b"big"))
    {
        return Err(blob.damaged("saved on a big-endian machine; save it again on a common one"));
    }
    let bytes = blob.get(pickle).unwrap_or_default();
    if bytes.len() > PICKLE_BYTES {
        return Err(blob.damaged(format!(
            "its pickle of {} bytes describes no checkpoint",
            bytes.len()
        )));
    }
    let pickle = Pickle::read(bytes).map_err(|e| blob.damaged(format!("damaged pickle ({e})")))?;
    let file = File {
        blob,
        root,
        entries: &entries,
        pickle: &pickle,
    };
    let state = file
        .state_dict()
        .ok_or_else(|| blob.damaged("holds no dictionary of tensors"))?;
    let mut tensors = Tensors::new();
    for (name, value) in state {
        if let (Node::Text(name), true) = (pickle.node(*name), file.is_tensor(*value)) {
            let stored = file.tensor(name, *value)?;
            tensors.insert(name.clone(), stored);
        }
    }
    Ok(tensors)
}

/// Where each file of the zip lies. torch stores without compression.
fn entries(blob: &Arc<Blob>) -> Result<HashMap<String, Range<usize>>, Error> {
    let damaged = |e: zip::result::ZipError| blob.damaged(format!("not a whole torch file ({e})"));
    let mut zip = ZipArchive::new(Cursor::new(&blob[..])).map_err(damaged)?;
    let mut entries = HashMap::with_capacity(zip.len());
    for i in 0..zip.len() {
        let file = zip.by_index_raw(i).map_err(damaged)?;
        let name = file.name().map_err(damaged)?.into_owned();
        if file.compression() != CompressionMethod::Stored {
            return Err(blob.damaged(format!(
                "{name} is compressed; torch.save stores: save it again with torch"
            )));
        }
        let range = file
            .data_start()
            .zip(Some(file.size()))
            .and_then(|(start, size)| {
                let start = usize::try_from(start).ok()?;
                let end = start.checked_add(usize::try_from(size).ok()?)?;
                (end <= blob.len()).then_some(start..end)
            });
        let range = range.ok_or_else(|| blob.damaged(format!("{name} reaches beyond the file")))?;
        entries.insert(name, range);
    }
    Ok(entries)
}

/// A tensor as a view of the file.
struct View {
    dtype: Option<DType>,
    /// The type as torch names it.
    kind: String,
    shape: Vec<usize>,
    strides: Vec<usize>,
    /// From the first element to the end of the storage.
    within: Range<usize>,
}

struct File<'a> {
    blob: &'a Arc<Blob>,
    root: &'a str,
    entries: &'a HashMap<String, Range<usize>>,
    pickle: &'a Pickle,
}

impl<'a> File<'a> {
    /// The root, or what lies under its `state_dict` (Lightning, HIVE).
    fn state_dict(&self) -> Option<&'a [(Id, Id)]> {
        let root = self.dict(self.pickle.root())?;
        let nested = root.iter().find(
            |(key, _)| matches!(self.pickle.node(*key), Node::Text(name) if name == "state_dict"),
        );
        nested.map_or(Some(root), |(_, value)| self.dict(*value))
    }

    fn dict(&self, id: Id) -> Option<&'a [(Id, Id)]> {
        match self.pickle.node(id) {
            Node::Dict(entries) => Some(entries),
            _ => None,
        }
    }

    fn tuple(&self, id: Id) -> Option<&'a [Id]> {
        match self.pickle.node(id) {
            Node::Tuple(items) | Node::List(items) => Some(items),
            _ => None,
        }
    }

    fn number(&self, id: Id) -> Option<usize> {
        match self.pickle.node(id) {
            Node::Int(n) => usize::try_from(*n).ok(),
            _ => None,
        }
    }

    fn numbers(&self, id: Id) -> Option<Vec<usize>> {
        self.tuple(id)?.iter().map(|&id| self.number(id)).collect()
    }

    /// The called global and its arguments.
    fn call(&self, id: Id) -> Option<(&'a str, &'a [Id])> {
        let Node::Call(callable, args) = self.pickle.node(id) else {
            return None;
        };
        self.global(*callable).zip(self.tuple(*args))
    }

    fn global(&self, id: Id) -> Option<&'a str> {
        match self.pickle.node(id) {
            Node::Global(name) => Some(name),
            _ => None,
        }
    }

    fn is_tensor(&self, id: Id) -> bool {
        self.call(id).is_some_and(|(name, _)| {
            name.starts_with("torch._utils._rebuild_")
                || name == "torch._tensor._rebuild_from_type_v2"
        })
    }

    fn tensor(&self, name: &str, id: Id) -> Result<Stored, Error> {
        let view = self.view(id).ok_or_else(|| {
            self.blob.damaged(format!(
                "tensor {name} is described in a way that torch.save does not write"
            ))
        })?;
        let (kind, shape, strides) = ((view.dtype, view.kind), view.shape, Some(view.strides));
        Stored::new(name.into(), kind, shape, strides, self.blob, view.within)
    }

    fn view(&self, mut id: Id) -> Option<View> {
        for _ in 0..WRAPPINGS {
            let (name, args) = self.call(id)?;
            match (name, args) {
                (
                    "torch._utils._rebuild_parameter"
                    | "torch._utils._rebuild_parameter_with_state",
                    [inner, ..],
                ) => id = *inner,
                ("torch._tensor._rebuild_from_type_v2", [function, _, inner, ..]) => {
                    return self.rebuilt(self.global(*function)?, self.tuple(*inner)?);
                }
                _ => return self.rebuilt(name, args),
            }
        }
        None
    }

    /// `_rebuild_tensor_v2(storage, offset, size, stride, ...)`; a storage is `('storage', type, key, location, numel)`.
    fn rebuilt(&self, function: &str, args: &[Id]) -> Option<View> {
        let [storage, offset, size, stride, ..] = *args else {
            return None;
        };
        if !matches!(
            function,
            "torch._utils._rebuild_tensor_v2" | "torch._utils._rebuild_tensor"
        ) {
            // Types without a storage of their own come last in `_rebuild_tensor_v3`.
            let kind = args.iter().rev().find_map(|&id| self.global(id));
            return Some(View {
                dtype: None,
                kind: kind.unwrap_or(function).to_owned(),
                shape: self.numbers(size)?,
                strides: self.numbers(stride)?,
                within: 0..0,
            });
        }
        let Node::Persistent(storage) = self.pickle.node(storage) else {
            return None;
        };
        let [_, kind, key, ..] = *self.tuple(*storage)? else {
            return None;
        };
        let kind = self.global(kind)?;
        let dtype = match kind {
            "torch.FloatStorage" => Some(DType::F32),
            "torch.HalfStorage" => Some(DType::F16),
            "torch.BFloat16Storage" => Some(DType::BF16),
            "torch.DoubleStorage" => Some(DType::F64),
            _ => None,
        };
        let Node::Text(key) = self.pickle.node(key) else {
            return None;
        };
        let entry = self.entries.get(&format!("{}data/{key}", self.root))?;
        let offset = self
            .number(offset)?
            .checked_mul(dtype.map_or(1, |d| d.size_in_bytes()))?;
        Some(View {
            dtype,
            kind: kind.to_owned(),
            shape: self.numbers(size)?,
            strides: self.numbers(stride)?,
            within: entry.start.checked_add(offset)?..entry.end,
        })
    }
}

#[cfg(test)]
mod tests;
