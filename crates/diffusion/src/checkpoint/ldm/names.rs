//! One network's tensors under diffusers' names, and what a configuration can be read off.

use serde_json::Value;

use crate::Error;
use crate::checkpoint::blob::Blob;
use crate::checkpoint::tensors::Tensors;

/// One network's translated tensors and its configuration as diffusers would write it.
pub(in crate::checkpoint) struct Network {
    pub(in crate::checkpoint) tensors: Tensors,
    pub(in crate::checkpoint) config: Value,
}

/// Translates names one by one; a tensor whose name has no translation is spare.
pub(super) fn translate(
    tensors: Tensors,
    spare: &mut Vec<String>,
    mut name_of: impl FnMut(&str) -> Option<String>,
    mut inert: impl FnMut(&str) -> bool,
) -> Tensors {
    let mut translated = Tensors::new();
    for (name, stored) in tensors {
        if inert(&name) {
            continue;
        }
        match name_of(&name) {
            Some(new) => drop(translated.insert(new, stored)),
            None => spare.push(stored.name),
        }
    }
    translated
}

/// The shape of a tensor that the configuration is read from.
pub(super) fn shape<'a>(
    tensors: &'a Tensors,
    name: &str,
    component: &'static str,
    blob: &Blob,
) -> Result<&'a [usize], Error> {
    let found = tensors
        .get(name)
        .filter(|stored| stored.shape.len() >= 2)
        .map(|stored| stored.shape.as_slice());
    found.ok_or_else(|| Error::Tensor {
        component,
        problem: format!("tensor {name} is missing or misshapen in {}", blob.path),
    })
}

/// One more than the largest number between `before` and the next dot, over all names; 0 when there is none.
pub(super) fn count(tensors: &Tensors, before: &str) -> usize {
    let number = |name: &String| {
        name.strip_prefix(before)?
            .split('.')
            .next()?
            .parse::<usize>()
            .ok()
    };
    // No network is deeper; a damaged name shall not make loops long.
    tensors
        .keys()
        .filter_map(number)
        .filter(|&n| n < 1000)
        .max()
        .map_or(0, |n| n + 1)
}
