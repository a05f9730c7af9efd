//! Why an edit can't be started.

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
    /// The instruction can't be turned into tokens; not the user's fault.
    #[error(transparent)]
    Engine(#[from] limekiln_diffusion::Error),
}

impl Error {
    /// A stable name for programs, in snake_case.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Picture(error) => error.code(),
            Self::InstructionEmpty => "instruction_empty",
            Self::InstructionTooLong { .. } => "instruction_too_long",
            Self::Engine(_) => "engine_failed",
        }
    }
}
