//! What of a file does not go through to the result.

/// What of a file does not go through to the result, though the picture is sound.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// The color profile can't be used, so the picture is taken for sRGB.
    #[error(
        "the color profile can't be used ({0}): the picture is taken for sRGB, and the profile is not passed on"
    )]
    Profile(String),
    /// The file's own kind of color has no room for an edit.
    #[error("the picture is {0}, which a recolored picture can't be: the result is RGB in sRGB")]
    Converted(&'static str),
    /// A brightness map for bright screens shows the picture before the edit.
    #[error("the gain map (HDR brightness) belongs to the picture before the edit: it is dropped")]
    GainMap,
    /// Signed claims about the picture's origin, which hold its checksum.
    #[error(
        "the content credentials (C2PA) vouch for the picture before the edit, and no edited picture can pass their check: \
         they are dropped"
    )]
    Credentials,
    /// The file holds further pictures.
    #[error("the file holds more than one picture: the first is edited, the others are dropped")]
    Pictures,
    /// Metadata that can't be read can't be brought in line with the edited picture.
    #[error("the {0} metadata is damaged: it is not passed on")]
    Metadata(&'static str),
    /// Metadata that has no place in the result.
    #[error("{0}: it is not passed on")]
    Dropped(&'static str),
}
