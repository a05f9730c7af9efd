//! What edits may name: models and presets.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::limits::ModelLimits;
use crate::spec::ModelName;

/// The models, in the form that OpenAI's clients read, and the presets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Models {
    /// Always `list`.
    #[schema(value_type = String, example = "list")]
    pub object: Cow<'static, str>,
    /// The models.
    pub data: Vec<Model>,
    /// Presets that edits may name. An edit that names none starts from the first.
    #[schema(example = json!(["fast", "paper"]))]
    pub presets: Vec<String>,
}

/// A model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Model {
    /// Name of the model.
    pub id: ModelName,
    /// Always `model`.
    #[schema(value_type = String, example = "model")]
    pub object: Cow<'static, str>,
    /// Always 0.
    pub created: u64,
    /// Always `limekiln`.
    #[schema(value_type = String, example = "limekiln")]
    pub owned_by: Cow<'static, str>,
    /// Whether edits that name no model run on this one.
    pub default: bool,
    /// Number of living workers that hold it.
    pub workers: u64,
    /// Number of edits that these workers run at once, all models together.
    pub slots: u64,
    /// Number of edits that these workers run now, all models together.
    pub busy: u64,
    /// What edits of this model may ask for. Null where no worker has said so yet.
    #[serde(default)]
    pub limits: Option<ModelLimits>,
}
