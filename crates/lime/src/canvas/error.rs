//! Why an edit can't be started, or its result not be made.

use limekiln_finish::Error as FinishError;

/// Why no edit can be made of a picture and an instruction.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The picture or the mask can't be used.
    #[error(transparent)]
    Picture(#[from] limekiln_pictures::Error),
    /// There is no word in the instruction.
    #[error("the instruction is empty: say what to change, such as \"make the sofa red\"")]
    InstructionEmpty,
    /// The text encoder would not see the end of the instruction.
    #[error(
        "the instruction has more than {tokens} tokens: the model reads nothing from {from:?} on; say it shorter"
    )]
    InstructionTooLong {
        /// How many tokens it sees, start and end among them.
        tokens: usize,
        /// The first words that it would not see.
        from: String,
    },
    /// What is asked of a color can't be read; `field` says where it stands.
    #[error("{error}")]
    Asked {
        /// `color`, `material` or `instruction`.
        field: &'static str,
        /// What is wrong with it.
        error: FinishError,
    },
    /// A color is given, and nothing of the edit would use it.
    #[error(
        "the preset {preset} does not recolor: choose recolor or auto, or the finish detail for an edit with a region, or leave {field} out"
    )]
    NotRecolored {
        /// What is given: `color` or `material`.
        field: &'static str,
        /// The preset.
        preset: String,
    },
    /// Nothing says where to recolor.
    #[error("this preset looks for no region: give a mask, or let it locate")]
    NoRegion,
    /// The picture can't be recolored.
    #[error(transparent)]
    Finish(#[from] FinishError),
    /// The instruction can't be turned into tokens; not the user's fault.
    #[error(transparent)]
    Engine(#[from] limekiln_diffusion::Error),
}

impl Error {
    /// Which field of a request is wrong, where one is.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Asked { field, .. } | Self::NotRecolored { field, .. } => Some(field),
            Self::NoRegion => Some("mask"),
            Self::InstructionEmpty | Self::InstructionTooLong { .. } => Some("instruction"),
            Self::Picture(_) | Self::Finish(_) | Self::Engine(_) => None,
        }
    }

    /// A stable name for programs, in snake_case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Picture(error) => error.code(),
            Self::InstructionEmpty => "instruction_empty",
            Self::InstructionTooLong { .. } => "instruction_too_long",
            Self::Asked { field, .. } | Self::NotRecolored { field, .. } => match *field {
                "material" => "material_invalid",
                _ => "color_invalid",
            },
            Self::NoRegion => "region_missing",
            Self::Finish(error) => match error {
                FinishError::RegionEmpty | FinishError::NothingFound => "object_not_found",
                FinishError::NoSuchMaterial { .. } => "material_not_found",
                FinishError::Stopped => "stopped",
                _ => "recolor_failed",
            },
            Self::Engine(_) => "engine_failed",
        }
    }
}
