//! Seconds and memory of a recolor: `bench [MEGAPIXELS ...]` (1 4 12 48 without), of a drawn picture of a cushion before a wall
//! with grain, found by a rough region. Columns: find the object, its matte, paint it; a further color; the most memory that
//! was held beyond picture and result, in bytes a pixel (Linux only); the longest time in which nobody could have stopped it.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use limekiln_finish::{Choice, Light, Object, Painted, Pixels, Region, Samples, recolor};

fn main() -> anyhow::Result<()> {
    let sizes: Vec<f64> = std::env::args()
        .skip(1)
        .map(|size| size.parse())
        .collect::<Result<_, _>>()?;
    say("   MP   find  matte  paint  whole  again  B/pixel  unheard");
    for size in if sizes.is_empty() {
        vec![1.0, 4.0, 12.0, 48.0]
    } else {
        sizes
    } {
        say(&row(size)?);
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "what an example is for")]
fn say(line: &str) {
    println!("{line}");
}

fn row(megapixels: f64) -> anyhow::Result<String> {
    let width = (megapixels * 1e6 * 4.0 / 3.0).sqrt() as usize;
    let height = width * 3 / 4;
    let (samples, light) = (drawn(width, height), Light::srgb());
    let pixels = Pixels::new(width, height, Samples::Eight(&samples), &light)?;
    let region = (0..48 * 36)
        .map(|i| {
            let (x, y) = (i % 48, i / 48);
            if (9..37).contains(&x) && (9..28).contains(&y) {
                1.0
            } else {
                0.0
            }
        })
        .collect();
    let region = Region::new(48, 36, region);
    let heard = Mutex::new((Instant::now(), Duration::ZERO));
    let beat = || {
        if let Ok(mut heard) = heard.lock() {
            *heard = (Instant::now(), heard.1.max(heard.0.elapsed()));
        }
        Ok(())
    };
    // The tables are made once in a process.
    let _ = Object::find(&pixels, &Region::new(1, 1, vec![1.0]), None);
    peak_from_now();
    let before = peak();
    let start = Instant::now();
    beat()?;
    let object = Object::find_with(&pixels, &region, None, &beat)?;
    let found = start.elapsed();
    let (mattes, _) = object.mattes(&pixels, &Choice::Main, &beat)?;
    drop(object);
    let matted = start.elapsed();
    let (painted, _) = recolor(&pixels, &mattes, "#1F6F8B".parse()?, &beat)?;
    let whole = start.elapsed();
    let held = peak().saturating_sub(before);
    beat()?;
    let Painted::Eight(result) = painted else {
        anyhow::bail!("8 bits went in");
    };
    let again = Instant::now();
    recolor(&pixels, &mattes, "#D01020".parse()?, &beat)?;
    let again = again.elapsed();
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let extra = held.saturating_sub(result.len() as u64) as f64 / (width * height) as f64;
    let unheard = heard.lock().map_or(Duration::ZERO, |heard| heard.1);
    Ok(format!(
        "{megapixels:5} {:6.0} {:6.0} {:6.0} {:6.0} {:6.0} {extra:8.1} {:8.0}",
        milliseconds(found),
        milliseconds(matted - found),
        milliseconds(whole - matted),
        milliseconds(whole),
        milliseconds(again),
        milliseconds(unheard),
    ))
}

fn drawn(width: usize, height: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(width * height * 3);
    let mut noise = 1_u32;
    for y in 0..height {
        for x in 0..width {
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = 1.0 + 0.05 * ((noise >> 16) as f32 / 65_536.0 - 0.5);
            let (u, v) = (
                (x as f32 / width as f32 - 0.5) / 0.3,
                (y as f32 / height as f32 - 0.5) / 0.27,
            );
            let color = if u.powi(4) + v.powi(4) < 1.0 {
                [190.0, 60.0, 50.0].map(|value: f32| value * (1.0 - 0.25 * u))
            } else {
                [205.0, 200.0, 188.0]
            };
            out.extend(color.map(|value| (value * grain).min(255.0) as u8));
        }
    }
    out
}

/// Lets the kernel measure the peak anew.
fn peak_from_now() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// The most memory that this process held, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB"))
        .and_then(|number| number.trim().parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}
