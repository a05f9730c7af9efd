//! Names of what an edit is made of: what has the same digest has the same bytes, on one kind of device in one number type.

use serde::{Deserialize, Serialize};

use crate::{
    edit::Request,
    error::{Error, Result},
};

/// The digests of an edit's parts: blake3, in hexadecimal. Each covers all that its part is computed from, and no more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digests {
    /// Of the model's weights and the picture's pixels: they decide the image's latents.
    pub picture: String,
    /// Of the picture, the instruction, the seed of locating, the solver, the mask and the preset's first stage: they decide segments,
    /// map and region.
    pub region: String,
    /// Of the model's weights and the whole request: they decide every step.
    pub run: String,
}

impl Digests {
    /// Of what `request` asks of the model whose weights have this fingerprint.
    ///
    /// # Errors
    ///
    /// When the preset cannot be written as JSON.
    pub fn of(request: &Request, fingerprint: &str) -> Result<Self> {
        let unwritable = |e: serde_json::Error| Error::State(e.to_string());
        let (width, height) = request.image.dimensions();
        let size = [width.to_le_bytes(), height.to_le_bytes()].concat();
        let pixels = request.image.as_raw();
        let seed = request.seed.to_le_bytes();
        let locate_seed = request.locate_seed().to_le_bytes();
        let scheduler = request
            .scheduler
            .map_or_else(String::new, |kind| kind.to_string());
        let mask = request.mask.as_ref().map_or(&[][..], |mask| mask.as_raw());
        let hex = |parts: &[&[u8]]| digest(parts).to_hex().to_string();
        let picture = hex(&[fingerprint.as_bytes(), &size, pixels]);
        let region = hex(&[
            picture.as_bytes(),
            request.instruction.as_bytes(),
            &locate_seed,
            &serde_json::to_vec(&request.preset.locate).map_err(unwritable)?,
            scheduler.as_bytes(),
            mask,
        ]);
        // Not made of the other two: the edits that were saved before these had digests carry this one.
        let run = hex(&[
            fingerprint.as_bytes(),
            request.instruction.as_bytes(),
            &seed,
            &serde_json::to_vec(&request.preset).map_err(unwritable)?,
            scheduler.as_bytes(),
            &size,
            pixels,
            mask,
        ]);
        Ok(Self {
            picture,
            region,
            run,
        })
    }
}

/// Of parts in order; each is told from the next by its length.
pub(crate) fn digest(parts: &[&[u8]]) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use limekiln_diffusion::scheduler::SchedulerKind;
    use serde_json::json;

    use super::*;
    use crate::preset::Preset;

    #[test]
    fn each_digest_covers_what_its_part_is_computed_from() {
        let asked = Request {
            image: RgbImage::new(8, 8),
            instruction: "make the sofa red".into(),
            seed: 7,
            preset: Preset::official(),
            mask: None,
            scheduler: None,
            full: None,
            beside: false,
        };
        let of = |request: &Request| Digests::of(request, "model").unwrap();
        let first = of(&asked);
        // Whether picture, region and run differ.
        let differs = |request: &Request| {
            let digests = of(request);
            (
                digests.picture != first.picture,
                digests.region != first.region,
                digests.run != first.run,
            )
        };
        let preset = |changes| Request {
            preset: asked.preset.with(&changes).unwrap(),
            ..asked.clone()
        };
        assert_eq!(differs(&asked), (false, false, false));
        let edit = preset(json!({"edit": {"steps": 9}}));
        assert_eq!(differs(&edit), (false, false, true));
        let locate = preset(json!({"locate": {"steps": 9}}));
        assert_eq!(differs(&locate), (false, true, true));
        let seed = Request {
            seed: 8,
            ..asked.clone()
        };
        assert_eq!(differs(&seed), (false, true, true));
        let solver = Request {
            scheduler: Some(SchedulerKind::Ddim),
            ..asked.clone()
        };
        assert_eq!(differs(&solver), (false, true, true));
        let image = Request {
            image: RgbImage::new(4, 16),
            ..asked.clone()
        };
        assert_eq!(differs(&image), (true, true, true));
        // With a seed of its own, locating does not know the edit's.
        let own = |seed: u64| Request {
            preset: Preset::fast(),
            seed,
            ..asked.clone()
        };
        let (one, other) = (of(&own(7)), of(&own(8)));
        assert!(one.region == other.region && one.run != other.run);
        let model = Digests::of(&asked, "another").unwrap();
        assert!(
            model.picture != first.picture
                && model.region != first.region
                && model.run != first.run
        );
    }
}
