//! Progress on stderr: a bar on a terminal, else a line for each stage.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};
use limekiln_lime::Stage;

/// Shows the progress of one edit after the other.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: Option<ProgressBar>,
    /// Written before the name of every stage.
    label: String,
    stage: String,
}

impl Progress {
    /// Progress that shows nothing yet. `label` says whose it is, and may be empty.
    pub(crate) fn new(label: &str) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::new(0);
            // The template is a constant. Were it wrong, the bar would keep its plain style.
            if let Ok(style) =
                ProgressStyle::with_template("{msg:26} {wide_bar} {percent:>3} %  {eta} left")
            {
                bar.set_style(style);
            }
            bar
        });
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("{label}: ")
        };
        Self {
            bar,
            label,
            stage: String::new(),
        }
    }

    /// Shows how far an edit is.
    pub(crate) fn edit(&mut self, edit: &limekiln_lime::Progress) {
        let total = (edit.done, edit.total);
        match edit.stage {
            Stage::Locate => self.show("locate", (edit.step, edit.steps), total),
            Stage::Find => self.show("find", (edit.step, edit.steps), total),
            Stage::Edit => self.show("edit", (edit.step, edit.steps), total),
            // Nothing was denoised, so that nothing is decoded.
            Stage::Decode if edit.steps == 0 => {}
            Stage::Decode => self.show("decode", (1, 1), total),
        }
    }

    /// Shows a state that has no steps.
    pub(crate) fn state(&mut self, state: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}{state}", self.label)),
            None if self.stage != state => eprintln!("{}{state}", self.label),
            None => {}
        }
        state.clone_into(&mut self.stage);
    }

    /// Says something that happened in the middle of a stage, which goes on.
    pub(crate) fn note(&self, note: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(format!("{}{note}", self.label)),
            None => eprintln!("{}{note}", self.label),
        }
    }

    /// Shows that `step` of `steps` of `stage`, and `done` of `total` steps of everything, are done.
    fn show(&mut self, stage: &str, (step, steps): (usize, usize), (done, total): (usize, usize)) {
        let of_stage = format!("{steps} {}", if steps == 1 { "step" } else { "steps" });
        self.stand(stage, &format!("{step}/{steps}"), &of_stage, (done, total));
    }

    /// The same where only the steps of everything are known, as a gateway tells them.
    pub(crate) fn whole(&mut self, stage: &str, (done, total): (usize, usize)) {
        let count = format!("{done}/{total}");
        self.stand(stage, &count, &of_whole((done, total)), (done, total));
    }

    /// A bar, with `count` beside the stage; else a line with `of_stage`, once a stage.
    fn stand(&mut self, stage: &str, count: &str, of_stage: &str, (done, total): (usize, usize)) {
        let label = &self.label;
        match &self.bar {
            Some(bar) => {
                bar.set_length(total as u64);
                bar.set_message(format!("{label}{stage} {count}"));
                bar.set_position(done as u64);
            }
            None if self.stage != stage && of_stage.is_empty() => eprintln!("{label}{stage}"),
            None if self.stage != stage => eprintln!("{label}{stage}, {of_stage}"),
            None => {}
        }
        if self.stage != stage {
            stage.clone_into(&mut self.stage);
        }
    }

    /// Shows that `done` of `total` `things` are done; without a terminal, a line at every tenth.
    pub(crate) fn count(&self, things: &str, done: usize, total: usize) {
        match &self.bar {
            Some(bar) => {
                bar.set_length(total as u64);
                bar.set_message(format!("{things} {done}/{total}"));
                bar.set_position(done as u64);
            }
            None if done > 0 && done * 10 / total > (done - 1) * 10 / total => {
                eprintln!("{things}: {done} of {total}")
            }
            None => {}
        }
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// Where a stage begins among the steps of everything; nothing where there are none.
fn of_whole((done, total): (usize, usize)) -> String {
    match total {
        0 => String::new(),
        _ if done >= total => format!("{total} of {total} steps done"),
        _ => format!("from step {} of {total}", done + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A gateway tells the steps of everything, which are not the stage's.
    #[test]
    fn steps_of_everything_are_not_called_a_stages() {
        assert_eq!(of_whole((0, 21)), "from step 1 of 21");
        assert_eq!(of_whole((1, 21)), "from step 2 of 21");
        assert_eq!(of_whole((21, 21)), "21 of 21 steps done");
        assert_eq!(of_whole((0, 0)), "");
    }
}
