//! Peak memory and time of segmentation at 512x512 with Stable Diffusion 1.5's widths, as preset `paper` reads them.
//!
//! `cargo run --release -p limekiln-bench --example segment_memory`

use std::error::Error;
use std::time::Instant;

use limekiln_bench::networks::features;
use limekiln_lime::fuse::{Fused, Layer};
use limekiln_lime::{Preset, kmeans};

fn main() -> Result<(), Box<dyn Error>> {
    let locate = Preset::paper().locate.ok_or("paper locates")?;
    // Two transformers of each size on the way down, three on the way up.
    let shapes = [(64, 320), (32, 640), (16, 1280)];
    let layers: Vec<Layer> = shapes
        .iter()
        .flat_map(|&(side, channels)| (0..5).map(move |seed| features(side, channels, seed)))
        .collect();
    let values: usize = layers.iter().map(|layer| layer.data.len()).sum();
    let channels: usize = layers.iter().map(|layer| layer.channels).sum();
    let mib = |floats: usize| floats as f64 * 4.0 / (1 << 20) as f64;
    limekiln_memory::peak_forget();
    let before = limekiln_memory::resident().ok_or("the system does not say what is in memory")?;
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
    let most = limekiln_memory::peak().ok_or("the system does not say what was in memory")?;
    let peak = (most as f64 - before as f64) / (1 << 20) as f64;
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
