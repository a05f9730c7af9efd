//! What a deletion takes with it.

use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

/// Whether what builds on it goes too.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct DeleteQuery {
    /// Deletes what refers to it as well, all or nothing: the edits that name an image, the turns that build on an edit. At
    /// most 1,000 edits. Without it, a deletion is refused while anything refers to it.
    pub cascade: Option<bool>,
}
