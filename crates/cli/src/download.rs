//! How far the download of a checkpoint is.

use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};

use indicatif::{ProgressBar, ProgressStyle};
use limekiln_diffusion::checkpoint::{Downloaded, Progress};

/// Shows it on stderr: a bar on a terminal, else a line at every tenth.
pub(crate) fn shown() -> Progress {
    if !std::io::stderr().is_terminal() {
        return at_every_tenth(|line| eprintln!("{line}"));
    }
    let bar = ProgressBar::no_length();
    // The template is a constant. Were it wrong, the bar would keep its plain style.
    if let Ok(style) = ProgressStyle::with_template(
        "{msg:26!} {wide_bar} {bytes:>10} of {total_bytes}  {bytes_per_sec}  {eta} left",
    ) {
        bar.set_style(style);
    }
    Progress(Arc::new(move |now: Downloaded<'_>| {
        if let Some(total) = now.total {
            bar.set_length(total);
        }
        bar.set_message(now.file.to_owned());
        bar.set_position(now.bytes);
        if now.total == Some(now.bytes) {
            bar.finish_and_clear();
        }
    }))
}

/// Writes it into the log.
pub(crate) fn logged() -> Progress {
    at_every_tenth(|line| tracing::info!("{line}"))
}

fn at_every_tenth(say: impl Fn(String) + Send + Sync + 'static) -> Progress {
    let last = Mutex::new(None);
    Progress(Arc::new(move |now: Downloaded<'_>| {
        // Where the hub says no total, every hundred megabytes.
        let step = match now.total {
            Some(total) => now.bytes * 10 / total.max(1),
            None => now.bytes / 100_000_000,
        };
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.replace(step) != Some(step) {
            let of = now
                .total
                .map_or(String::new(), |total| format!(" of {}", megabytes(total)));
            say(format!(
                "downloading {}: {}{of}",
                now.file,
                megabytes(now.bytes)
            ));
        }
    }))
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_at_every_tenth() {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let kept = lines.clone();
        let progress = at_every_tenth(move |line| kept.lock().unwrap().push(line));
        for bytes in (0..=20_000_000).step_by(1000) {
            (progress.0)(Downloaded {
                file: "unet",
                bytes,
                total: Some(20_000_000),
            });
        }
        let lines = lines.lock().unwrap();
        assert_eq!(lines.len(), 11, "{lines:?}");
        assert_eq!(lines[5], "downloading unet: 10.0 MB of 20.0 MB");
    }
}
