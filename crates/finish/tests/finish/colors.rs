//! Colors near the ends of what a picture can show.

use anyhow::Result;

use super::recolored;
use super::scene::{RED, Scene};

/// L of OKLab, high frequencies of a row only: each pixel less the mean of its neighbours.
fn texture(samples: &[u8], scene: &Scene, y: usize) -> Vec<f32> {
    let light = |x: usize| {
        let at = (y * scene.width + x) * 3;
        0.3 * f32::from(samples[at])
            + 0.6 * f32::from(samples[at + 1])
            + 0.1 * f32::from(samples[at + 2])
    };
    (110..230)
        .map(|x| light(x) - (x - 3..=x + 3).map(light).sum::<f32>() / 7.0)
        .collect()
}

fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let mean = |v: &[f32]| v.iter().sum::<f32>() / v.len() as f32;
    let (ma, mb) = (mean(a), mean(b));
    let product = |x: &[f32], mx: f32, y: &[f32], my: f32| {
        x.iter()
            .zip(y)
            .map(|(x, y)| (x - mx) * (y - my))
            .sum::<f32>()
    };
    product(a, ma, b, mb) / (product(a, ma, a, ma) * product(b, mb, b, mb)).sqrt()
}

#[test]
fn any_color_is_met_and_texture_stays() -> Result<()> {
    for paint in [RED, [0.05, 0.2, 0.09], [0.55, 0.5, 0.42]] {
        let scene = Scene::new(paint);
        for color in [
            "#1F6F8B", "#F4F1EA", "#16161A", "#D01020", "#E8C7D0", "#5B3A29",
        ] {
            let (before, after, report) = recolored(&scene, color)?;
            assert!(
                report.median <= 1.0 && report.p95 <= 6.5,
                "{paint:?} to {color}: {report:?}"
            );
            let kept = correlation(
                &texture(&before, &scene, 120),
                &texture(&after, &scene, 120),
            );
            // Near black, 8 bits have few steps left for it.
            let least = if color == "#16161A" { 0.7 } else { 0.9 };
            assert!(kept > least, "{paint:?} to {color}: texture {kept}");
        }
    }
    Ok(())
}

#[test]
fn near_white_is_not_cut_off() -> Result<()> {
    let scene = Scene::new(RED);
    let (_, after, _) = recolored(&scene, "#F8F8F8")?;
    let cut = scene
        .depths()
        .iter()
        .enumerate()
        .filter(|(i, depth)| **depth > 4.0 && after[i * 3..][..3] == [255; 3])
        .count();
    let all = scene.depths().iter().filter(|depth| **depth > 4.0).count();
    assert!(cut * 25 < all, "{cut} of {all} are white");
    Ok(())
}

#[test]
fn from_near_black_the_gain_is_limited_and_said() -> Result<()> {
    let scene = Scene::new([0.012, 0.011, 0.012]);
    let (_, _, report) = recolored(&scene, "#D9C8A0")?;
    assert!(
        report.gain_limited && report.gain > 12.0 && report.median < 2.0,
        "{report:?}"
    );
    let (_, _, report) = recolored(&Scene::new(RED), "#D9C8A0")?;
    assert!(!report.gain_limited);
    Ok(())
}

#[test]
fn what_srgb_lacks_is_reduced_and_said() -> Result<()> {
    let (_, _, report) = recolored(&Scene::new(RED), "lab(60 -110 60)")?;
    assert!(
        report.out_of_gamut && report.to.in_srgb() && report.median < 1.0,
        "{report:?}"
    );
    Ok(())
}
