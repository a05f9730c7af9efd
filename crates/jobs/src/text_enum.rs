//! Enums that are stored and sent as words.

/// A text that names no value of an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownName {
    pub(crate) what: &'static str,
    pub(crate) names: &'static [&'static str],
}

impl std::fmt::Display for UnknownName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is one of {}", self.what, self.names.join(", "))
    }
}

impl std::error::Error for UnknownName {}

/// An enum with a name for each value. `Display`, `FromStr`, serde and the schema all use these names.
///
/// A name has to be its variant's in snake case, since serde and utoipa derive it that way; `names_agree` checks that.
macro_rules! text_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident, $what:literal {
            $($(#[$variant_meta:meta])* $variant:ident = $text:literal,)*
        }
    ) => {
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash,
            serde::Serialize, serde::Deserialize, utoipa::ToSchema,
        )]
        #[serde(rename_all = "snake_case")]
        $(#[$meta])*
        pub enum $name {
            $($(#[$variant_meta])* $variant,)*
        }

        impl $name {
            /// Every value, in the order of their declaration.
            pub const ALL: [Self; [$($text,)*].len()] = [$(Self::$variant,)*];

            /// The name, as stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }

        $crate::text_enum::text_enum_names!($name, $what, [$($text,)*]);
    };
}

/// The same for an enum that newer versions may add values to: what this version does not know is carried as it is, so that
/// one such row or message spoils no other. `FromStr` still takes known names only, for what people ask for.
macro_rules! open_text_enum {
    (
        $(#[doc = $doc:literal])*
        pub enum $name:ident, $what:literal {
            $($(#[doc = $variant_doc:literal])* $variant:ident = $text:literal,)*
        }
    ) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $(#[doc = $doc])*
        pub enum $name {
            $($(#[doc = $variant_doc])* $variant,)*
            /// One that this version does not know: a newer one brought it.
            Other($crate::word::Word),
        }

        impl $name {
            /// Every value that this version knows, in the order of their declaration.
            pub const ALL: [Self; [$($text,)*].len()] = [$(Self::$variant,)*];

            /// The name, as stored and sent.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* Self::Other(word) => word.as_str() }
            }

            /// The value of this name, known or not.
            pub fn of(text: &str) -> Self {
                text.parse().unwrap_or_else(|_| Self::Other($crate::word::Word::new(text)))
            }

            /// Schema of a value that is asked for: one of those that this version knows.
            pub fn known_schema() -> utoipa::openapi::schema::Object {
                $crate::text_enum::known(&[$(($text, concat!($($variant_doc,)*)),)*], concat!($($doc,)*))
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self::of(text)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
                Ok(Self::of(&text))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                let values = [$(($text, concat!($($variant_doc,)*)),)*];
                $crate::text_enum::open(&values, concat!($($doc,)*)).into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }

        $crate::text_enum::text_enum_names!($name, $what, [$($text,)*]);
    };
}

/// What both kinds have in common.
macro_rules! text_enum_names {
    ($name:ident, $what:literal, [$($text:literal,)*]) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::text_enum::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let unknown = $crate::text_enum::UnknownName { what: $what, names: &[$($text,)*] };
                Self::ALL.into_iter().find(|value| value.as_str() == text).ok_or(unknown)
            }
        }
    };
}

pub(crate) use {open_text_enum, text_enum, text_enum_names};

use utoipa::openapi::extensions::ExtensionsBuilder;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// Names, each with what it means.
type Values = [(&'static str, &'static str)];

/// Schema of a value that an answer has: clients are told to expect others.
pub(crate) fn open(values: &Values, doc: &str) -> Object {
    let names: Vec<&str> = values.iter().map(|(name, _)| *name).collect();
    let meanings: String = values
        .iter()
        .map(|(name, meaning)| format!("\n- `{name}`: {}", meaning.trim()))
        .collect();
    let description = format!(
        "{} Later versions may add values: read one that you do not know as text, and go on.\n{meanings}",
        doc.trim()
    );
    let extensions = ExtensionsBuilder::new().add("x-extensible-enum", names.clone());
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .examples(names.first().copied())
        .extensions(Some(extensions.build()))
        .build()
}

/// Schema of a value that a request has.
pub(crate) fn known(values: &Values, doc: &str) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(doc.trim()))
        .enum_values(Some(values.iter().map(|(name, _)| *name)))
        .build()
}

/// For serde: a name that is asked for has to be known.
pub(crate) fn asked<'de, T, D>(deserializer: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err = UnknownName>,
    D: serde::Deserializer<'de>,
{
    let text = <String as serde::Deserialize>::deserialize(deserializer)?;
    text.parse().map_err(serde::de::Error::custom)
}

/// The same of one that may be left out.
pub(crate) fn asked_opt<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err = UnknownName>,
    D: serde::Deserializer<'de>,
{
    let text = <Option<String> as serde::Deserialize>::deserialize(deserializer)?;
    text.map(|text| text.parse())
        .transpose()
        .map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use crate::api::{ProblemCode, Role};
    use crate::{ArtifactKind, Class, EventKind, FailureClass, Finish, StateName};

    /// Every name reads back, and serde writes the same one.
    macro_rules! names_agree {
        ($($name:ident),*) => {$(
            for value in $name::ALL {
                assert_eq!(value.as_str().parse(), Ok(value));
                assert_eq!(serde_json::to_value(value).unwrap(), value.as_str());
            }
            assert!("done".parse::<$name>().is_err());
        )*};
    }

    /// A name of the future is read, and written as it was.
    macro_rules! names_stay {
        ($($name:ident),*) => {$(
            let value: $name = serde_json::from_value("of_the_future".into()).unwrap();
            assert!(matches!(value, $name::Other(_)) && value == $name::of("of_the_future"));
            assert_eq!(serde_json::to_value(value).unwrap(), "of_the_future");
            assert!($name::ALL.into_iter().all(|known| known < value && $name::of(known.as_str()) == known));
        )*};
    }

    #[test]
    fn names_read_back_and_json_agrees() {
        names_agree!(
            ArtifactKind,
            Class,
            EventKind,
            FailureClass,
            Finish,
            ProblemCode,
            Role,
            StateName
        );
        names_stay!(
            ArtifactKind,
            Class,
            EventKind,
            FailureClass,
            Finish,
            StateName
        );
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "urgent".parse::<Class>().unwrap_err();
        assert_eq!(error.to_string(), "a class is one of interactive, bulk");
    }
}
