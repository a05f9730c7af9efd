//! How the model's picture becomes the result.

use serde_json::Value;
use utoipa::openapi::schema::{Object, SchemaType, Type};

crate::text_enum::open_text_enum! {
    /// How the model's picture becomes the result.
    pub enum Finish, "a finish" {
        /// The result is the model's picture, at the size that the model worked at.
        None = "none",
        /// The result is the input at its own size, with the model's picture enlarged and laid over it inside the region.
        Paste = "paste",
        /// The result is the input at its own size, with the model's change of color or light carried over to it along the object's
        /// own edge: fabric, grain and highlights stay. Where the edit is no such change, the model's picture is enlarged and joined
        /// where it changed something.
        Detail = "detail",
    }
}

impl Finish {
    /// Schema of one that may be asked for.
    pub fn asked_schema() -> Object {
        let mut schema = Self::known_schema();
        schema.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
        schema.enum_values.get_or_insert_default().push(Value::Null);
        schema
    }

    /// That of an edit for which nobody asked for one: with detail where the edit looks for a region or is given one.
    pub fn by_default(region: bool) -> Self {
        if region { Self::Detail } else { Self::None }
    }

    /// Whether the result has the input's size, as far as is known before the edit.
    pub fn is_full(self) -> bool {
        matches!(self, Self::Paste | Self::Detail)
    }
}

crate::text_enum::open_text_enum! {
    /// Which way the finish `detail` takes.
    pub enum Carry, "a way to carry an edit over" {
        /// The one that the words and the edit itself speak for.
        Auto = "auto",
        /// The change of color or light is carried over, however well it explains the edit.
        Color = "color",
        /// The model's picture is enlarged, and joined where it changed something.
        Enlarged = "enlarged",
    }
}

impl Carry {
    /// Schema of one that may be asked for.
    pub fn asked_schema() -> Object {
        let mut schema = Self::known_schema();
        schema.schema_type = SchemaType::from_iter([Type::String, Type::Null]);
        schema.enum_values.get_or_insert_default().push(Value::Null);
        schema
    }
}
