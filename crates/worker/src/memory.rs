//! What an edit holds in memory: known from the heads of its pictures, and taken from the worker's budget, as a whole, before
//! the first pixel is decoded. Afterwards an edit only gives back, so that no two wait for each other.

use limekiln_jobs::{Failure, FailureClass, Spec};
use limekiln_memory::{Budget, Share, mib};
use limekiln_pictures::{Depth, Limits, probe, size};

use crate::engine::Engine;
use crate::prepared::{Sizing, failure};
use crate::{Error, Settings};

/// Bytes for each pixel of the input that drawing holds at once at most beside the canvas. The seam's distances 4, its mask
/// 1, the matte 1, the enlarged picture and what it is laid into 6 (carried over: of up to four materials 4, a mask's region 4, the
/// matte 1, the result 3); or a stage's picture and the input on white 6; and the files
/// that are ready, of pixels that can't be compressed: result 4, matte and region 2, segments and attention 6.
const DRAW_PIXEL_BYTES: u64 = 23;
/// The same for each pixel of an input of 16 bits: the picture that it is laid into, as it is stored, and its file take twice
/// as much.
const DEEP_PIXEL_BYTES: u64 = 39;
/// Bytes that looking for an object holds beside the canvas, whatever the picture's size.
const FIND_BYTES: u64 = 48 << 20;
/// The same for each pixel of the input: the mattes of its materials.
const FIND_PIXEL_BYTES: u64 = 8;
/// Bytes for each pixel of the input that sizing it holds at most: the picture on white, and half shrunk.
const SIZE_PIXEL_BYTES: u64 = 6;
/// Edits that held more than this leave memory behind that is worth giving back.
const LARGE_BYTES: u64 = 256 << 20;

/// The budget of the edits: what the process may take, without what the models and what earlier edits computed hold.
///
/// # Errors
///
/// Where no edit would fit that a model makes by default.
pub(crate) fn budget(engine: &Engine, settings: &Settings) -> Result<Budget, Error> {
    let (models, limit) = (engine.resident_bytes, settings.memory_bytes);
    // An engine without a name shares nothing.
    let reuse = match settings
        .models
        .iter()
        .any(|model| engine.name(model).is_some())
    {
        true => settings.reuse_bytes(),
        false => 0,
    };
    let left = limit.saturating_sub(models).saturating_sub(reuse);
    for sizing in settings
        .models
        .iter()
        .filter_map(|model| engine.sizing(model))
    {
        let pixels = u64::from(sizing.side_px).pow(2);
        let needed = Need::at(pixels, sizing).whole();
        if needed > left {
            return Err(Error::Memory {
                models,
                limit,
                needed,
            });
        }
    }
    Ok(Budget::new(left))
}

/// How many edits the worker holds at once: as many as are asked for, and no more of its models' own size than have room together.
pub(crate) fn slots(engine: &Engine, budget: &Budget, settings: &Settings) -> u32 {
    let sizings = settings
        .models
        .iter()
        .filter_map(|model| engine.sizing(model));
    let needs = sizings.map(|sizing| Need::at(u64::from(sizing.side_px).pow(2), sizing).whole());
    let room = needs
        .max()
        .map_or(u64::MAX, |need| budget.bytes() / need.max(1));
    let slots = settings
        .slots
        .min(u32::try_from(room).unwrap_or(u32::MAX))
        .max(1);
    if slots < settings.slots {
        tracing::warn!(
            asked = settings.slots,
            slots,
            memory_mib = mib(budget.bytes()),
            "memory has room for fewer edits than were asked for: raise --memory-mib, or lower --slots"
        );
    }
    slots
}

/// Most bytes that the parts of an edit hold, each with what is kept from the part before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Need {
    /// Decoding and sizing the pictures.
    read: u64,
    /// The engine's calls.
    compute: u64,
    /// Drawing and encoding the results, and their files until they are stored.
    draw: u64,
}

impl Need {
    /// Looks at the heads of an edit's input and mask. `recolors`: whether its preset may recolor it.
    ///
    /// # Errors
    ///
    /// Of class user, for a picture that can't be used.
    pub(crate) fn of(
        input: &[u8],
        mask: Option<&[u8]>,
        spec: &Spec,
        sizing: Sizing,
        recolors: bool,
    ) -> Result<Self, Failure> {
        let head = probe(input, &Limits::ACCEPTED).map_err(failure)?;
        let pixels = u64::from(head.width) * u64::from(head.height);
        let mut read = head
            .decode_bytes
            .max(head.picture_bytes + SIZE_PIXEL_BYTES * pixels);
        let mut kept = head.picture_bytes;
        if let Some(mask) = mask {
            let mask = probe(mask, &Limits::ACCEPTED).map_err(failure)?;
            read = read.max(kept + mask.decode_bytes);
            kept += pixels;
            read = read.max(kept + SIZE_PIXEL_BYTES * pixels);
        }
        let bound = spec.size.unwrap_or(sizing.side_px);
        let (width, height) =
            size::working((head.width, head.height), bound, sizing.factor).map_err(failure)?;
        let worked = u64::from(width) * u64::from(height);
        let deeper = match head.depth {
            Depth::Eight => 0,
            Depth::Sixteen => (DEEP_PIXEL_BYTES - DRAW_PIXEL_BYTES) * pixels,
        };
        // What was found during the computation is kept until it is painted.
        let found = match recolors {
            true => FIND_BYTES + FIND_PIXEL_BYTES * pixels,
            false => 0,
        };
        let need = Self {
            read,
            compute: kept + found,
            draw: kept + deeper + found,
        };
        Ok(need.with(pixels, worked, sizing))
    }

    /// The same of an input in layers, of which the patches have so many bytes: they are laid over it one by one.
    pub(crate) fn layered(self, patch_bytes: usize) -> Self {
        if patch_bytes == 0 {
            return self;
        }
        // Each is at most as large as the picture, of four samples, once as it is read and once apart.
        let laid = patch_bytes as u64 + self.draw / DRAW_PIXEL_BYTES * 16;
        Self {
            read: self.read.max(self.compute.min(self.draw) + laid),
            ..self
        }
    }

    /// Of a picture that is worked at as large as it is.
    pub(crate) fn at(pixels: u64, sizing: Sizing) -> Self {
        Self::default().with(pixels, pixels, sizing)
    }

    /// With the engine's part for `worked` pixels, and the drawing of `pixels`.
    fn with(self, pixels: u64, worked: u64, sizing: Sizing) -> Self {
        Self {
            compute: self.compute + worked * sizing.pixel_bytes,
            draw: self.draw + DRAW_PIXEL_BYTES * pixels,
            ..self
        }
    }

    pub(crate) fn whole(self) -> u64 {
        self.read.max(self.compute).max(self.draw)
    }
}

/// An edit's share of the worker's memory.
#[derive(Debug, Default)]
pub(crate) struct Held {
    need: Need,
    /// None where the editor wants no pixels.
    share: Option<Share>,
}

impl Held {
    /// Waits for what the whole edit needs at most. Whoever holds it gives it back when its edit ends, so the wait ends too.
    ///
    /// # Errors
    ///
    /// Of class internal, where this worker never has as much: another may.
    pub(crate) async fn take(budget: &Budget, need: Need) -> Result<Self, Failure> {
        let share = budget.share(need.whole()).await.map_err(|error| {
            let (needed, limit) = (mib(error.needed), mib(error.limit));
            Failure::new(
                FailureClass::Internal,
                "memory_limit",
                format!(
                    "the edit needs {needed} MiB of memory, and this worker has {limit} MiB for edits: send a smaller picture, \
                     or lower `size`"
                ),
            )
        })?;
        Ok(Self {
            need,
            share: Some(share),
        })
    }

    /// The pictures are read.
    pub(crate) fn start_computing(&mut self) {
        self.keep(self.need.compute.max(self.need.draw));
    }

    /// The engine is done.
    pub(crate) fn start_drawing(&mut self) {
        self.keep(self.need.draw);
    }

    /// The files are ready, and the pictures gone.
    pub(crate) fn drawn(&self) {
        if self.need.read.max(self.need.draw) > LARGE_BYTES {
            limekiln_memory::give_back();
        }
    }

    fn keep(&mut self, bytes: u64) {
        if let Some(share) = &mut self.share {
            share.shrink_to(bytes);
        }
    }
}
