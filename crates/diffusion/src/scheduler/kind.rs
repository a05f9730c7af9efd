//! The solvers by name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The solvers, each after a class of diffusers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// `EulerDiscreteScheduler`, without churn.
    Euler,
    /// `DEISMultistepScheduler`.
    Deis,
}

impl SchedulerKind {
    /// Every kind, in the order of messages.
    pub const ALL: [Self; 7] = [
        Self::EulerAncestral,
        Self::Ddim,
        Self::Pndm,
        Self::DpmSolverMultistep,
        Self::UniPc,
        Self::Euler,
        Self::Deis,
    ];

    /// The name on the command line, and that of the class in diffusers.
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::EulerAncestral => ("euler-ancestral", "EulerAncestralDiscreteScheduler"),
            Self::Ddim => ("ddim", "DDIMScheduler"),
            Self::Pndm => ("pndm", "PNDMScheduler"),
            Self::DpmSolverMultistep => ("dpm++2m", "DPMSolverMultistepScheduler"),
            Self::UniPc => ("unipc", "UniPCMultistepScheduler"),
            Self::Euler => ("euler", "EulerDiscreteScheduler"),
            Self::Deis => ("deis", "DEISMultistepScheduler"),
        }
    }

    /// The name used on the command line.
    pub fn name(self) -> &'static str {
        self.names().0
    }

    /// The name of the class in diffusers.
    pub fn class(self) -> &'static str {
        self.names().1
    }

    /// Every name of the command line, for messages.
    pub(super) fn all_names() -> String {
        Self::ALL.map(Self::name).join(", ")
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
        found.ok_or_else(|| {
            Error::Scheduler(format!("`{name}` is not one of {}", Self::all_names()))
        })
    }
}

impl TryFrom<String> for SchedulerKind {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        name.parse()
    }
}

impl From<SchedulerKind> for String {
    fn from(kind: SchedulerKind) -> Self {
        kind.name().into()
    }
}
