//! What became of each fault, as lines and as a table.

use std::io::Write;
use std::time::Duration;

use crate::check::Counts;

/// What became of a fault.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) name: String,
    pub(crate) passed: u32,
    pub(crate) failed: u32,
    pub(crate) counts: Counts,
    pub(crate) took: Duration,
}

/// An error with its causes, and without the way here.
pub(crate) fn causes(error: &anyhow::Error) -> String {
    error
        .chain()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\nbecause ")
}

/// Prints a line for each fault.
pub(crate) fn table(outcomes: &[Outcome]) {
    say(&format!(
        "\n{:<28}{:>7}{:>7}{:>8}{:>10}{:>7}{:>10}{:>8}{:>7}{:>9}{:>9}{:>9}{:>8}{:>11}",
        "fault",
        "rounds",
        "failed",
        "edits",
        "succeeded",
        "failed",
        "cancelled",
        "claims",
        "again",
        "resumed",
        "attempts",
        "events",
        "streams",
        "s a round"
    ));
    for outcome in outcomes {
        let counts = &outcome.counts;
        let rounds = outcome.passed + outcome.failed;
        say(&format!(
            "{:<28}{:>7}{:>7}{:>8}{:>10}{:>7}{:>10}{:>8}{:>7}{:>9}{:>9}{:>9}{:>8}{:>11.1}",
            outcome.name,
            rounds,
            outcome.failed,
            counts.edits,
            counts.succeeded,
            counts.failed,
            counts.cancelled,
            counts.claims,
            counts.again,
            counts.resumed,
            counts.attempts,
            counts.events,
            counts.streams_again,
            outcome.took.as_secs_f64() / f64::from(rounds.max(1)),
        ));
    }
}

/// Prints a line.
pub(crate) fn say(line: &str) {
    // Where nobody reads it, nobody misses it.
    let _ = writeln!(std::io::stdout(), "{line}");
}
