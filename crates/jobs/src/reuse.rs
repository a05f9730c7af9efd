//! How much an edit takes over of what earlier edits computed.

use serde_json::Value;
use utoipa::openapi::schema::{Object, SchemaType, Type};

crate::text_enum::open_text_enum! {
    /// How much an edit takes over of what earlier edits of the tenant computed.
    pub enum Reuse, "a reuse" {
        /// What is the same to the byte: of one picture its latents and segments, of the same instruction the region too.
        Exact = "exact",
        /// Besides, the region of an earlier edit of the picture whose instruction has the same words but for the color that is asked
        /// for. The report names that edit. Where the words do not tell the color, and where there is no such edit, the region is
        /// found anew.
        Object = "object",
        /// Nothing; and nothing is kept of the edit for others.
        None = "none",
    }
}

impl Reuse {
    /// Schema of one that may be asked for.
    pub fn asked_schema() -> Object {
        let mut schema = Self::known_schema();
        schema.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
        schema.enum_values.get_or_insert_default().push(Value::Null);
        schema
    }
}
