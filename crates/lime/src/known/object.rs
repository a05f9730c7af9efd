//! The object in a full-size picture, as an edit found it: kept for the further colors that it is given.

use limekiln_finish::{Evidence, Material, Matte, Pixels};
use limekiln_pictures::{Colors, Mask};
use serde::{Deserialize, Serialize};

use super::keys::Key;
use crate::{
    error::Result,
    found::{Beat, Found, Sought},
    located::Located,
    roi::Map,
    state::tensors::Tensors,
};

/// Goes up whenever another object is found of the same picture and region.
const FINDING: u32 = 1;
/// Samples of 16 bits that are made into bytes at a time.
const AT_ONCE: usize = 1 << 14;

/// An object that was found, by the name of all that determines it.
#[derive(Clone, Debug)]
pub struct Object {
    key: Key,
    /// What was found.
    pub(crate) found: Found,
    /// Whether an earlier edit found it.
    pub(crate) reused: bool,
}

impl Object {
    /// What is `sought` in `pixels`: `known`, if it is that, else found now.
    ///
    /// # Errors
    ///
    /// As [`Found::of`].
    pub(crate) fn of(
        pixels: &Pixels<'_>,
        sought: &Sought<'_>,
        known: Option<Self>,
        beat: Beat<'_>,
    ) -> limekiln_finish::Result<Self> {
        let key = Unplaced::of(sought).within(sought.located);
        match known {
            Some(known) if known.key == key && known.lies_in(pixels) => Ok(known),
            _ => Ok(Self {
                key,
                found: Found::of(pixels, sought, beat)?,
                reused: false,
            }),
        }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    fn lies_in(&self, pixels: &Pixels<'_>) -> bool {
        self.found.mattes.iter().all(|matte| {
            let [left, top, width, height] = matte.bounds();
            left + width <= pixels.width() && top + height <= pixels.height()
        })
    }
}

/// The name of an object, but for the region that was located: made of the full-size picture in its own color space, the user's
/// mask, and which materials are meant. It reads every pixel.
#[derive(Clone, Debug)]
pub struct Unplaced {
    hasher: blake3::Hasher,
    /// Whether a mask says where it is.
    masked: bool,
}

impl Unplaced {
    pub(crate) fn of(sought: &Sought<'_>) -> Self {
        let mut unplaced = Self {
            hasher: blake3::Hasher::new(),
            masked: sought.mask.is_some(),
        };
        let original = sought.original;
        let (size, cicp) = (original.size(), original.space.cicp());
        let head = format!("matte {FINDING} {:?} {size:?} {cicp:?}", sought.materials);
        unplaced.add(head.as_bytes());
        unplaced.add(original.space.icc().unwrap_or_default());
        match &original.colors {
            Colors::Eight(pixels) => unplaced.add(pixels.as_raw()),
            Colors::Sixteen(pixels) => {
                for some in pixels.as_raw().chunks(AT_ONCE) {
                    let bytes: Vec<u8> = some.iter().flat_map(|it| it.to_le_bytes()).collect();
                    unplaced.add(&bytes);
                }
            }
        }
        if let Some(mask) = sought.mask {
            unplaced.add(format!("mask, rough: {}", mask.rough).as_bytes());
            unplaced.add(mask.pixels.as_raw());
        }
        unplaced
    }

    /// The object's name, where it is known where it is.
    pub(super) fn known_within(&self, located: Option<&Located>) -> Option<Key> {
        let map = located.and_then(|located| located.map.as_ref());
        let region = located.and_then(|located| located.roi.as_ref());
        (self.masked || region.is_some()).then(|| self.within((region, map)))
    }

    fn within(&self, (region, map): (Option<&Mask>, Option<&Map>)) -> Key {
        let mut whole = self.clone();
        if let Some(region) = region.filter(|_| !self.masked) {
            whole.add(format!("region {} {}", region.width(), region.height()).as_bytes());
            let inside = region.inside().iter().map(|&inside| u8::from(inside));
            whole.add(&inside.collect::<Vec<_>>());
        }
        if let Some(map) = map.filter(|_| !self.masked) {
            whole.add(format!("map {}", map.side).as_bytes());
            let values = map.values.iter().flat_map(|value| value.to_le_bytes());
            whole.add(&values.collect::<Vec<_>>());
        }
        *whole.hasher.finalize().as_bytes()
    }

    /// Each part is told from the next by its length.
    fn add(&mut self, part: &[u8]) {
        self.hasher.update(&(part.len() as u64).to_le_bytes());
        self.hasher.update(part);
    }
}

/// All of it but the mattes.
#[derive(Serialize, Deserialize)]
pub(super) struct ObjectHead {
    key: Key,
    materials: Vec<Material>,
    evidence: Option<Evidence>,
    /// Bits of the f64: read from JSON, the last of them may differ.
    sure: u64,
    mattes: usize,
}

fn name(nth: usize) -> String {
    format!("matte.{nth}")
}

/// Puts the mattes of `object`, and gives the rest.
pub(super) fn save(object: &Object, tensors: &mut Tensors) -> Result<ObjectHead> {
    let found = &object.found;
    for (nth, matte) in found.mattes.iter().enumerate() {
        tensors.put_bytes(&name(nth), matte.to_bytes()?)?;
    }
    Ok(ObjectHead {
        key: object.key,
        materials: found.materials.clone(),
        evidence: found.evidence,
        sure: found.sure.to_bits(),
        mattes: found.mattes.len(),
    })
}

/// The reverse of [`save`]: found in no time.
pub(super) fn restore(head: ObjectHead, tensors: &mut Tensors) -> Result<Object> {
    let mattes = (0..head.mattes).map(|nth| {
        let bytes: Vec<u8> = tensors.take(&name(nth))?.to_vec1()?;
        Ok(Matte::from_bytes(&bytes)?)
    });
    Ok(Object {
        key: head.key,
        found: Found {
            mattes: mattes.collect::<Result<_>>()?,
            materials: head.materials,
            evidence: head.evidence,
            sure: f64::from_bits(head.sure),
            find_ms: 0.0,
            matte_ms: 0.0,
        },
        reused: true,
    })
}
