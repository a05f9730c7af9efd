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

pub(crate) use text_enum;

#[cfg(test)]
mod tests {
    use crate::api::{ProblemCode, Role};
    use crate::{ArtifactKind, Class, EventKind, FailureClass, StateName};

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

    #[test]
    fn names_read_back_and_json_agrees() {
        names_agree!(
            ArtifactKind,
            Class,
            EventKind,
            FailureClass,
            ProblemCode,
            Role,
            StateName
        );
    }

    #[test]
    fn an_unknown_name_is_told_the_known_ones() {
        let error = "urgent".parse::<Class>().unwrap_err();
        assert_eq!(error.to_string(), "a class is one of interactive, bulk");
    }
}
