//! Peak memory and time of segmentation at 512x512 with Stable Diffusion 1.5's widths, as preset `paper` reads them.
//!
//! `cargo run --release -p limekiln-lime --example segment_memory`

use std::{error::Error, fs, time::Instant};

use limekiln_lime::{
    Preset,
    fuse::{Fused, Layer},
    kmeans,
};

/// A size, in kB, from the kernel's own account of this process.
fn status(key: &str) -> Result<f64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find(|line| line.starts_with(key))
        .ok_or("no such line")?;
    Ok(line
        .split_whitespace()
        .nth(1)
        .ok_or("no number")?
        .parse::<f64>()?
        / 1024.0)
}

/// Smooth in space and with structure, so that the clustering has work to do; no generator is needed for that.
fn layer(side: usize, channels: usize, seed: usize) -> Layer {
    let value = |cell: usize, channel: usize| {
        let (y, x) = (cell / side, cell % side);
        let hash = (channel * 2_654_435_761 + seed * 40_503) % 9973;
        let (wave, phase) = (1 + hash % 5, hash as f32);
        let mixed = (cell * 7919 + channel * 104_729 + seed * 31) % 1009;
        ((y * wave) as f32 / side as f32 * 3.0 + phase).sin()
            + ((x * (6 - wave)) as f32 / side as f32 * 3.0 - phase).cos()
            + mixed as f32 / 1009.0
    };
    let data = (0..side * side)
        .flat_map(|cell| (0..channels).map(move |channel| value(cell, channel)))
        .collect();
    Layer {
        height: side,
        width: side,
        channels,
        data,
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let locate = Preset::paper().locate.ok_or("paper locates")?;
    // Two transformers of each size on the way down, three on the way up.
    let shapes = [(64, 320), (32, 640), (16, 1280)];
    let layers: Vec<Layer> = shapes
        .iter()
        .flat_map(|&(side, channels)| (0..5).map(move |seed| layer(side, channels, seed)))
        .collect();
    let values: usize = layers.iter().map(|layer| layer.data.len()).sum();
    let channels: usize = layers.iter().map(|layer| layer.channels).sum();
    let mib = |floats: usize| floats as f64 * 4.0 / (1 << 20) as f64;
    // 5 sets the peak back to what is in use now.
    fs::write("/proc/self/clear_refs", "5")?;
    let before = status("VmRSS")?;
    let began = Instant::now();
    let fused = Fused::new(layers, locate.grid, locate.corners);
    let normed = began.elapsed();
    let settings = &locate.segments;
    let clusters = kmeans::cluster(
        &fused,
        settings.clusters,
        42,
        settings.starts,
        settings.rounds,
    );
    let spent = began.elapsed();
    let peak = status("VmHWM")? - before;
    let mut out = String::new();
    out += &format!("features at their own sizes   {:8.1} MiB\n", mib(values));
    out += &format!(
        "the stack, were it built      {:8.1} MiB\n",
        mib(channels * locate.grid * locate.grid)
    );
    out += &format!("peak above the features       {peak:8.1} MiB\n");
    out += &format!(
        "norms                         {:8.2} s\n",
        normed.as_secs_f64()
    );
    out += &format!(
        "norms and {} starts            {:8.2} s\n",
        settings.starts,
        spent.as_secs_f64()
    );
    out += &format!("inertia                       {:8.1}\n", clusters.inertia);
    std::io::Write::write_all(&mut std::io::stdout(), out.as_bytes())?;
    if peak > 200.0 {
        return Err(
            format!("segmentation took {peak:.1} MiB above its features; 200 are allowed").into(),
        );
    }
    Ok(())
}
