//! Arguments that no environment variable gives.

use std::ffi::OsString;

use clap::{ArgMatches, Args, Command, Error, FromArgMatches};

/// The same arguments as `T`, from flags alone: what the environment says of them is ignored.
#[derive(Clone, Debug)]
pub(crate) struct FlagsOnly<T>(pub(crate) T);

impl<T: Args> FlagsOnly<T> {
    /// The variables that would give one of the arguments elsewhere, and are set.
    pub(crate) fn ignored() -> Vec<OsString> {
        let command = T::augment_args(Command::new(""));
        let variables = command.get_arguments().filter_map(|arg| arg.get_env());
        variables
            .filter(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
            .map(ToOwned::to_owned)
            .collect()
    }
}

impl<T: Args> Args for FlagsOnly<T> {
    fn augment_args(command: Command) -> Command {
        let own = T::augment_args(Command::new(""));
        own.get_arguments()
            .fold(T::augment_args(command), |command, arg| {
                command.mut_arg(arg.get_id(), |arg| arg.env(None::<&'static str>))
            })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for FlagsOnly<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
