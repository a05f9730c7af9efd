//! Calls, timed, with the most memory that the process had meanwhile.

use std::time::Instant;

use limekiln_diffusion::profile::{self, Profile};
use serde::Serialize;

use super::settings::Settings;
use crate::error::Result;

/// What was measured of one part.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The network or the work that ran: `unet`, `vae encode`, `load`, ..
    pub what: &'static str,
    /// How many calls were timed.
    pub calls: usize,
    /// Median of their seconds.
    pub median_s: f64,
    /// The least of their seconds.
    pub min_s: f64,
    /// Most bytes of the process in memory while they ran; mapped files count. None where the system does not say.
    pub peak_bytes: Option<u64>,
    /// Bytes of the weights that it ran on in memory, where they are the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_bytes: Option<u64>,
    /// Multiplications and additions of a call by the plain method, where they are counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operations: Option<f64>,
    /// Lanes of the U-Net that an edit computed, those of a window by its share of the picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lanes: Option<f64>,
    /// The last call, by kinds of layers; empty unless asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub profile: Vec<Part>,
}

/// All layers of one kind and size in one call.
#[derive(Clone, Debug, Serialize)]
pub struct Part {
    /// The kind.
    pub kind: String,
    /// Pixels (for text: tokens) of a row of its output; none for what no layer accounts for.
    pub pixels: Option<usize>,
    /// How many layers.
    pub calls: usize,
    /// Their seconds.
    pub seconds: f64,
    /// Billions of multiplications and additions a second, by the plain method.
    pub gflops: f64,
    /// GB a second of inputs, weights and outputs, each once.
    pub gbytes: f64,
}

/// Runs `call` once unmeasured, so that memory is mapped and caches are warm, then as often as the settings say.
pub(super) fn timed(
    what: &'static str,
    settings: &Settings,
    mut call: impl FnMut() -> Result<()>,
) -> Result<Row> {
    call()?;
    limekiln_memory::peak_forget();
    let mut seconds = Vec::new();
    let mut split = Profile::new();
    for _ in 0..settings.calls.max(1) {
        let began = Instant::now();
        if settings.profile {
            let (done, profile) = profile::record(&mut call);
            done?;
            split = profile;
        } else {
            call()?;
        }
        seconds.push(began.elapsed().as_secs_f64());
    }
    let peak_bytes = limekiln_memory::peak();
    let last = seconds.last().copied().unwrap_or_default();
    Ok(Row {
        what,
        calls: seconds.len(),
        median_s: median(&mut seconds),
        min_s: seconds.iter().copied().fold(f64::INFINITY, f64::min),
        peak_bytes,
        weights_bytes: None,
        operations: (!split.is_empty()).then(|| split.values().map(|spent| spent.operations).sum()),
        lanes: None,
        profile: parts(&split, last),
    })
}

/// The middle of them; of an even number, the mean of both.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    }
}

/// The slowest first, and what is left of the call.
fn parts(profile: &Profile, whole: f64) -> Vec<Part> {
    let mut parts: Vec<Part> = profile
        .iter()
        .map(|(&(kind, pixels), spent)| Part {
            kind: format!("{kind}"),
            pixels: Some(pixels),
            calls: spent.calls,
            seconds: spent.seconds,
            gflops: spent.operations / spent.seconds / 1e9,
            gbytes: spent.bytes / spent.seconds / 1e9,
        })
        .collect();
    if parts.is_empty() {
        return parts;
    }
    parts.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
    let counted: f64 = parts.iter().map(|part| part.seconds).sum();
    parts.push(Part {
        kind: "rest".to_owned(),
        pixels: None,
        calls: 1,
        seconds: whole - counted,
        gflops: 0.0,
        gbytes: 0.0,
    });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_is_between() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut [7.0]), 7.0);
    }
}
