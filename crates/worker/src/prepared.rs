//! Pictures read and made into the engine's requests, beside the engine and not on its thread.

use limekiln_jobs::{Failure, FailureClass, Spec};
use limekiln_lime::canvas::{Canvas, Error, Finish, Recipe};
use limekiln_lime::{Preset, Request};
use limekiln_pictures::Limits;
use serde_json::Value;

/// How a model's pictures are sized.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizing {
    /// Bound on the longer side where the edit names none, in pixels.
    pub side_px: u32,
    /// Sides are multiples of this, in pixels.
    pub factor: u32,
    /// Bytes of the process that the engine takes for each pixel of the sized picture; none where a device has its own.
    pub pixel_bytes: u64,
}

/// An edit that is ready for the engine.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What the engine is asked for.
    pub request: Request,
    /// What the result is made on.
    pub canvas: Canvas,
    /// How the result is made.
    pub finish: Finish,
}

impl Prepared {
    /// Reads an edit's input and mask: a function of the bytes, the spec and the model's sizing alone, so that every
    /// attempt computes the same.
    ///
    /// # Errors
    ///
    /// Of class user, for a picture, a mask, a preset or an instruction that can't be used.
    pub fn read(
        input: &[u8],
        mask: Option<&[u8]>,
        spec: &Spec,
        sizing: Sizing,
    ) -> Result<Self, Failure> {
        let mut canvas = Canvas::read(input, &Limits::FILE).map_err(failure)?;
        if let Some(mask) = mask {
            canvas = canvas.with_mask(mask, &Limits::FILE).map_err(failure)?;
        }
        let recipe = Recipe::new(&spec.instruction, spec.seed, preset(spec)?).map_err(failure)?;
        let side_px = spec.size.unwrap_or(sizing.side_px);
        Ok(Self {
            request: canvas
                .request(&recipe, side_px, sizing.factor)
                .map_err(failure)?,
            canvas,
            finish: Finish::keeping_outside(spec.keep_outside),
        })
    }
}

/// Why an edit fails that can't be started.
pub(crate) fn failure(error: impl Into<Error>) -> Failure {
    let error = error.into();
    let class = match error {
        Error::Engine(_) => FailureClass::Internal,
        Error::Picture(_) | Error::InstructionEmpty | Error::InstructionTooLong { .. } => {
            FailureClass::User
        }
    };
    Failure::new(class, error.code(), error.to_string())
}

/// The preset with the spec's options in place of its own.
fn preset(spec: &Spec) -> Result<Preset, Failure> {
    let preset = Preset::named(&spec.preset).map_err(|error| invalid(error.to_string()))?;
    if spec.options.is_empty() {
        return Ok(preset);
    }
    let locates = spec.options.get("locate").is_some_and(|it| !it.is_null());
    if preset.locate.is_none() && locates {
        return Err(invalid(format!(
            "options.locate: the preset {} does not locate; choose another preset",
            preset.name
        )));
    }
    preset
        .with(&Value::Object(spec.options.clone()))
        .map_err(|error| invalid(format!("options: {error}")))
}

fn invalid(message: String) -> Failure {
    Failure::new(FailureClass::User, "preset_invalid", message)
}

#[cfg(test)]
mod tests {
    use limekiln_jobs::{FailureClass, Spec};
    use serde_json::json;

    use super::preset;

    fn spec(preset: &str, options: serde_json::Value) -> Spec {
        serde_json::from_value(
            json!({ "instruction": "make the sofa red", "preset": preset, "options": options }),
        )
        .unwrap()
    }

    #[test]
    fn options_replace_the_presets_own() {
        let preset = preset(&spec(
            "fast",
            json!({"edit": {"steps": 3}, "locate": {"select": {"points": 1}}}),
        ))
        .unwrap();
        assert_eq!(preset.edit.steps, 3);
        assert_eq!(preset.locate.unwrap().select.points, 1);
    }

    #[test]
    fn what_does_not_fit_is_the_users() {
        for (name, options, says) in [
            ("slow", json!({}), "slow"),
            ("fast", json!({"edit": {"stepz": 3}}), "stepz"),
            ("fast", json!({"edit": {"steps": "three"}}), "three"),
            ("base", json!({"locate": {"steps": 3}}), "does not locate"),
            ("fast", json!({"edit": 5}), "options"),
        ] {
            let failure = preset(&spec(name, options)).unwrap_err();
            assert_eq!(failure.class, FailureClass::User);
            assert!(failure.message.contains(says), "{failure}");
        }
    }
}
