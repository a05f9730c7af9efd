//! Names of what is known: what has the same key has the same bytes.

use serde_json::json;

use super::kind::Kind;
use crate::{
    edit::Request,
    error::{Error, Result},
    preset::{Locate, LocateFrom},
    state::{Digests, digest},
};

/// A digest of everything that determines what it names.
pub type Key = [u8; 32];

/// Goes up whenever the networks or what reads them make other bytes of the same input.
const NUMERICS: u32 = 2;

/// The keys of all that is known for one edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    latents: Key,
    decoded: Key,
    segments: Option<Key>,
    region: Option<Key>,
    /// Of every region of the same object, whatever color was asked for; none where the words do not tell.
    pub object: Option<Key>,
}

impl Keys {
    /// Of `request`, on an engine of that name: the weights, the device's kind and the number type. `object`: the words that name its
    /// object, where they are known.
    ///
    /// # Errors
    ///
    /// When the preset cannot be written as JSON.
    pub fn of(request: &Request, engine: &str, object: Option<&[String]>) -> Result<Self> {
        let engine = format!("{engine}\n{NUMERICS}");
        let Digests {
            picture, region, ..
        } = Digests::of(request, &engine)?;
        let key = |kind: &str, parts: &[&[u8]]| -> Key {
            let parts = [&[kind.as_bytes()], parts].concat();
            *digest(&parts).as_bytes()
        };
        let picture = picture.as_bytes();
        let located = request.preset.locate.as_ref();
        let located = located.filter(|_| request.mask.is_none());
        let segments = |locate: &Locate| -> Result<Option<Key>> {
            if !locate.segmented() || locate.from != LocateFrom::Input {
                return Ok(None);
            }
            // Nothing of the instruction is in them.
            let settings = json!({
                "levels": locate.levels.features, "grid": locate.grid, "corners": locate.corners, "segments": locate.segments,
            });
            let settings = settings.to_string();
            let seed = request.locate_seed().to_le_bytes();
            Ok(Some(key(
                "segments",
                &[picture, &seed, settings.as_bytes()],
            )))
        };
        let object = |locate: &Locate| -> Result<Option<Key>> {
            let Some(words) = object else {
                return Ok(None);
            };
            let unwritable = |e: serde_json::Error| Error::State(e.to_string());
            let scheduler = request
                .scheduler
                .map_or_else(String::new, |kind| kind.to_string());
            let parts = [
                picture,
                &request.locate_seed().to_le_bytes(),
                &serde_json::to_vec(locate).map_err(unwritable)?,
                scheduler.as_bytes(),
                &serde_json::to_vec(words).map_err(unwritable)?,
            ];
            Ok(Some(key("object", &parts)))
        };
        Ok(Self {
            latents: key("latents", &[picture]),
            decoded: key("decoded", &[picture]),
            segments: located.map(segments).transpose()?.flatten(),
            region: located.map(|_| key("region", &[region.as_bytes()])),
            object: located.map(object).transpose()?.flatten(),
        })
    }

    /// Of one kind, where this edit can have it. What a matte is made of is not known before the region is: see [`Object`](super::Object).
    pub fn get(&self, kind: Kind) -> Option<Key> {
        match kind {
            Kind::Latents => Some(self.latents),
            Kind::Decoded => Some(self.decoded),
            Kind::Segments => self.segments,
            Kind::Region => self.region,
            Kind::Map | Kind::Matte => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::RgbImage;
    use limekiln_diffusion::scheduler::SchedulerKind;
    use serde_json::json;

    use super::*;
    use crate::preset::Preset;

    #[test]
    fn each_key_covers_what_its_kind_is_computed_from_and_no_more() {
        let asked = Request {
            image: RgbImage::new(8, 8),
            instruction: "make the sofa red".into(),
            seed: 7,
            preset: Preset::fast(),
            mask: None,
            scheduler: None,
            full: None,
            beside: false,
        };
        let words = ["make".to_owned(), "the".to_owned(), "sofa".to_owned()];
        let of = |request: &Request, engine: &str| Keys::of(request, engine, Some(&words)).unwrap();
        let first = of(&asked, "model cpu f32");
        // Whether latents, decoded, segments, region and object are others.
        let differs = |keys: &Keys| {
            [
                keys.latents != first.latents,
                keys.decoded != first.decoded,
                keys.segments != first.segments,
                keys.region != first.region,
                keys.object != first.object,
            ]
        };
        let preset = |changes| Request {
            preset: asked.preset.with(&changes).unwrap(),
            ..asked.clone()
        };
        let cases = [
            (asked.clone(), [false; 5]),
            (
                Request {
                    seed: 8,
                    ..asked.clone()
                },
                [false; 5],
            ),
            (preset(json!({"edit": {"steps": 9}})), [false; 5]),
            (
                Request {
                    instruction: "make the sofa blue".into(),
                    ..asked.clone()
                },
                [false, false, false, true, false],
            ),
            (
                preset(json!({"locate": {"map": {"words": ["sofa"]}}})),
                [false, false, false, true, true],
            ),
            (
                preset(json!({"locate": {"levels": {"map": [600]}}})),
                [false, false, false, true, true],
            ),
            (
                preset(json!({"locate": {"levels": {"features": [600]}}})),
                [false, false, true, true, true],
            ),
            (
                preset(json!({"locate": {"segments": {"clusters": 9}}})),
                [false, false, true, true, true],
            ),
            (
                preset(json!({"locate": {"seed": 1}})),
                [false, false, true, true, true],
            ),
            (
                Request {
                    scheduler: Some(SchedulerKind::Ddim),
                    ..asked.clone()
                },
                [false, false, false, true, true],
            ),
            (
                Request {
                    image: RgbImage::new(4, 16),
                    ..asked.clone()
                },
                [true; 5],
            ),
        ];
        for (request, want) in cases {
            assert_eq!(differs(&of(&request, "model cpu f32")), want, "{request:?}");
        }
        for engine in ["other cpu f32", "model cuda f32", "model cpu f16"] {
            assert_eq!(differs(&of(&asked, engine)), [true; 5], "{engine}");
        }
        // All kinds have keys of their own.
        let all: std::collections::HashSet<Key> = Kind::KEPT
            .iter()
            .filter_map(|kind| first.get(*kind))
            .chain(first.object)
            .collect();
        assert_eq!(all.len(), 5);
        // A guided run's segments depend on the instruction; with a mask nothing is located.
        let guided = of(
            &preset(json!({"locate": {"from": "noise"}})),
            "model cpu f32",
        );
        assert!(guided.segments.is_none() && guided.region.is_some());
        let masked = Request {
            mask: Some(image::GrayImage::new(8, 8)),
            ..asked.clone()
        };
        let masked = of(&masked, "model cpu f32");
        assert_eq!(
            (masked.segments, masked.region, masked.object),
            (None, None, None)
        );
        assert_eq!(masked.latents, first.latents);
        assert_eq!(
            Keys::of(&asked, "model cpu f32", None).unwrap().object,
            None
        );
    }
}
