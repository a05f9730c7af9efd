//! The solvers by name.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The solvers, each after a class of diffusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchedulerKind {
    /// `EulerAncestralDiscreteScheduler`.
    EulerAncestral,
    /// `DDIMScheduler`, deterministic (eta 0).
    Ddim,
    /// `PNDMScheduler`, with or without its Runge-Kutta start.
    Pndm,
    /// `DPMSolverMultistepScheduler` as `dpmsolver++`.
    DpmSolverMultistep,
    /// `UniPCMultistepScheduler`.
    UniPc,
}

impl SchedulerKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::EulerAncestral,
        Self::Ddim,
        Self::Pndm,
        Self::DpmSolverMultistep,
        Self::UniPc,
    ];

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::EulerAncestral => "euler-ancestral",
            Self::Ddim => "ddim",
            Self::Pndm => "pndm",
            Self::DpmSolverMultistep => "dpm++2m",
            Self::UniPc => "unipc",
        }
    }

    /// All names, for messages.
    pub(super) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// The class in diffusers.
    pub fn class(self) -> &'static str {
        match self {
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::Ddim => "DDIMScheduler",
            Self::Pndm => "PNDMScheduler",
            Self::DpmSolverMultistep => "DPMSolverMultistepScheduler",
            Self::UniPc => "UniPCMultistepScheduler",
        }
    }
}

impl fmt::Display for SchedulerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SchedulerKind {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        let found = Self::ALL.into_iter().find(|kind| kind.name() == name);
        found.ok_or_else(|| Error::Scheduler(format!("`{name}` is not one of {}", Self::names())))
    }
}
