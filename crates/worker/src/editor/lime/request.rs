//! From spec and pixels to the engine's request.

use limekiln_diffusion::model::Model;
use limekiln_jobs::{Failure, FailureClass, Spec};
use limekiln_lime::{Preset, Request};
use serde_json::Value;

use crate::Pixels;

/// The request: a function of the spec, the pixels and the model alone.
pub(super) fn request(model: &Model, spec: &Spec, pixels: &Pixels) -> Result<Request, Failure> {
    if spec.instruction.trim().is_empty() {
        return Err(user(
            "instruction_empty",
            "the instruction is empty: say what to change, such as \"make the sofa red\""
                .to_owned(),
        ));
    }
    let encoded = model.tokenizer.encode(&spec.instruction).map_err(|error| {
        Failure::new(FailureClass::Internal, "engine_failed", error.to_string())
    })?;
    if let Some(cut) = encoded.cut {
        return Err(user(
            "instruction_too_long",
            format!(
                "the instruction has more than 77 tokens; say it shorter, {cut:?} would be cut"
            ),
        ));
    }
    Ok(Request {
        image: pixels.working.clone(),
        instruction: spec.instruction.clone(),
        seed: spec.seed,
        preset: preset(spec)?,
        mask: pixels.working_mask.clone(),
        scheduler: None,
    })
}

/// The preset with the spec's options in place of its own.
fn preset(spec: &Spec) -> Result<Preset, Failure> {
    let preset =
        Preset::named(&spec.preset).map_err(|error| user("preset_invalid", error.to_string()))?;
    if spec.options.is_empty() {
        return Ok(preset);
    }
    let touches = |part: &[&str]| {
        let mut at = spec.options.get(part[0]);
        for key in &part[1..] {
            at = at.and_then(|value| value.get(key));
        }
        at.is_some_and(|value| !value.is_null())
    };
    if preset.locate.is_none() && touches(&["locate"]) {
        return Err(user(
            "preset_invalid",
            format!(
                "options.locate: the preset {} does not locate; choose another preset",
                preset.name
            ),
        ));
    }
    preset
        .with(&Value::Object(spec.options.clone()))
        .map_err(|error| user("preset_invalid", format!("options: {error}")))
}

fn user(code: &str, message: String) -> Failure {
    Failure::new(FailureClass::User, code, message)
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
