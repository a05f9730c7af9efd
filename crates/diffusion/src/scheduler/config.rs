//! `scheduler_config.json`: an object of settings in which each class has its own defaults.

use std::fmt;
use std::str::FromStr;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::kind::SchedulerKind;
use crate::Error;

/// What the network's output means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prediction {
    /// It is the noise in the sample.
    Epsilon,
    /// It is the velocity, `alpha * noise - sigma * clean` (Salimans and Ho, 2022).
    V,
    /// It is the clean sample.
    Sample,
}

/// How visited timesteps spread over the training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// They lie evenly, both ends included.
    Linspace,
    /// They lie a whole number of training steps apart, counted from the clean end.
    Leading,
    /// They lie evenly, counted from the noisy end.
    Trailing,
}

impl FromStr for Spacing {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        match name {
            "linspace" => Ok(Self::Linspace),
            "leading" => Ok(Self::Leading),
            "trailing" => Ok(Self::Trailing),
            other => Err(unsupported(
                "timestep_spacing",
                other,
                "`linspace`, `leading` or `trailing`",
            )),
        }
    }
}

/// A `scheduler_config.json`. A key that is absent takes the default of the class that is built, so a config may be
/// used for another class than its own, as with diffusers' `from_config`.
#[derive(Clone, Debug, PartialEq)]
pub struct SchedulerConfig {
    values: Map<String, Value>,
}

impl Default for SchedulerConfig {
    /// The file of `timbrooks/instruct-pix2pix`, for checkpoints that carry none.
    fn default() -> Self {
        let empty = Self { values: Map::new() };
        empty
            .with("_class_name", SchedulerKind::EulerAncestral.class())
            .with("num_train_timesteps", 1000)
            .with("beta_start", 0.00085)
            .with("beta_end", 0.012)
            .with("beta_schedule", "scaled_linear")
            .with("prediction_type", "epsilon")
            .with("steps_offset", 1)
            .with("set_alpha_to_one", false)
            .with("skip_prk_steps", true)
            .with("clip_sample", false)
    }
}

impl SchedulerConfig {
    /// Reads the file's text.
    ///
    /// # Errors
    ///
    /// When it is not a JSON object. Values are judged when a scheduler is built: only those that matter to it.
    pub fn from_json(text: &str) -> Result<Self, Error> {
        // Python writes infinities (`lambda_min_clipped`) as no JSON has them.
        let text = text
            .replace("-Infinity", "null")
            .replace("Infinity", "null")
            .replace("NaN", "null");
        match serde_json::from_str(&text) {
            Ok(Value::Object(values)) => Ok(Self { values }),
            Ok(_) => Err(Error::Scheduler("the config is not a JSON object".into())),
            Err(e) => Err(Error::Scheduler(format!("the config is not JSON: {e}"))),
        }
    }

    /// The same config with one key set, such as `timestep_spacing`.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.values.insert(key.to_owned(), value.into());
        self
    }

    /// The class that the config names.
    ///
    /// # Errors
    ///
    /// When the class is none of [`SchedulerKind`]; it is named.
    pub fn class(&self) -> Result<SchedulerKind, Error> {
        let class: String = self.get(
            "_class_name",
            SchedulerKind::EulerAncestral.class().to_owned(),
        )?;
        let found = SchedulerKind::ALL
            .into_iter()
            .find(|kind| kind.class() == class);
        found.ok_or_else(|| {
            Error::Scheduler(format!(
                "_class_name `{class}` is not supported: choose one of {}",
                SchedulerKind::all_names()
            ))
        })
    }

    /// What the network predicts.
    ///
    /// # Errors
    ///
    /// When the value is unknown; it is named.
    pub fn prediction(&self) -> Result<Prediction, Error> {
        match self.get("prediction_type", "epsilon".to_owned())?.as_str() {
            "epsilon" => Ok(Prediction::Epsilon),
            "v_prediction" => Ok(Prediction::V),
            "sample" => Ok(Prediction::Sample),
            other => Err(unsupported(
                "prediction_type",
                other,
                "`epsilon`, `v_prediction` or `sample`",
            )),
        }
    }

    /// What the network predicts, for solvers that cannot step from the clean sample.
    pub(super) fn prediction_not_sample(&self) -> Result<Prediction, Error> {
        match self.prediction()? {
            Prediction::Sample => Err(unsupported(
                "prediction_type",
                "sample",
                "`epsilon` or `v_prediction`, or another scheduler",
            )),
            prediction => Ok(prediction),
        }
    }

    /// Steps of the schedule that the network was trained on.
    ///
    /// # Errors
    ///
    /// When it is not a count from 2 to 100,000.
    pub fn num_train_timesteps(&self) -> Result<usize, Error> {
        match self.get("num_train_timesteps", 1000usize)? {
            n @ 2..=100_000 => Ok(n),
            n => Err(unsupported(
                "num_train_timesteps",
                n,
                "2 to 100000, usually 1000",
            )),
        }
    }

    /// The config's spacing of timesteps; `None` means the default of the class.
    ///
    /// # Errors
    ///
    /// When the value is unknown; it is named.
    pub fn spacing(&self) -> Result<Option<Spacing>, Error> {
        self.get::<Option<String>>("timestep_spacing", None)?
            .map(|name| name.parse())
            .transpose()
    }

    /// The value of `key`; `default` where it is absent or null.
    pub(super) fn get<T: DeserializeOwned>(&self, key: &str, default: T) -> Result<T, Error> {
        match self.values.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(value) => serde_json::from_value(value.clone())
                .map_err(|e| Error::Scheduler(format!("{key}: {e}"))),
        }
    }

    /// Errors if any of these switches is on.
    pub(super) fn refuse(&self, switches: &[&str]) -> Result<(), Error> {
        for key in switches {
            if self.get(key, false)? {
                return Err(unsupported(key, true, "`false`, or another scheduler"));
            }
        }
        Ok(())
    }
}

/// An error that names a key, its value and what would do.
pub(super) fn unsupported(key: &str, value: impl fmt::Display, choose: &str) -> Error {
    Error::Scheduler(format!("{key} `{value}` is not supported: choose {choose}"))
}
