//! Enums that are written as words.

/// `Display` and `FromStr` by the enum's `ALL` and `as_str`; what is none of its words is `$unknown`.
macro_rules! spelled {
    ($name:ident, $unknown:ident) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $unknown;

            fn from_str(text: &str) -> Result<Self, $unknown> {
                Self::ALL
                    .into_iter()
                    .find(|one| one.as_str() == text)
                    .ok_or($unknown)
            }
        }
    };
}

pub(crate) use spelled;
