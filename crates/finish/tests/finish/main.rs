//! Recoloring from a rough region, held to drawn scenes whose truth is known.

mod carry;
mod colors;
mod odd;
mod scene;

use anyhow::Result;
use limekiln_finish::{Choice, Color, Light, Matte, Object, Painted, Pixels, Report, recolor};
use scene::{RED, Scene, pixels};

/// The matte of the main material.
fn main_matte(pixels: &Pixels<'_>, scene: &Scene) -> Result<Vec<Matte>> {
    let object = Object::find(pixels, &scene.rough(), None)?;
    Ok(object.mattes(pixels, &Choice::Main, &|| Ok(()))?.0)
}

fn eight(painted: Painted) -> Result<Vec<u8>> {
    match painted {
        Painted::Eight(samples) => Ok(samples),
        Painted::Sixteen(_) => anyhow::bail!("8 bits went in"),
    }
}

/// Input, result and report of a scene in a color.
fn recolored(scene: &Scene, color: &str) -> Result<(Vec<u8>, Vec<u8>, Report)> {
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(scene, &samples, &light)?;
    let mattes = main_matte(&pixels, scene)?;
    let (painted, report) = recolor(&pixels, &mattes, color.parse()?, &|| Ok(()))?;
    let painted = eight(painted)?;
    Ok((samples, painted, report))
}

fn difference(a: &[u8], b: &[u8], pixel: usize) -> f32 {
    let color = |samples: &[u8]| Color::from_srgb8([0, 1, 2].map(|c| samples[pixel * 3 + c]));
    color(a).difference(color(b))
}

#[test]
fn a_rough_region_gives_the_true_edge() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let mattes = main_matte(&pixels, &scene)?;
    let matte = mattes[0].to_image(&pixels);
    let (mut both, mut either) = (0, 0);
    for (alpha, inside) in matte.iter().zip(scene.truth()) {
        both += u32::from(*alpha >= 128 && inside);
        either += u32::from(*alpha >= 128 || inside);
    }
    assert!(
        f64::from(both) > 0.98 * f64::from(either),
        "IoU {both}/{either}"
    );
    for (alpha, depth) in matte.iter().zip(scene.depths()) {
        assert!(depth < 3.0 || *alpha > 250, "{alpha} at {depth} px inside");
        assert!(depth > -3.0 || *alpha < 5, "{alpha} at {depth} px");
    }
    Ok(())
}

#[test]
fn the_result_is_the_scene_in_the_other_paint() -> Result<()> {
    let scene = Scene::new(RED);
    let blue: Color = "#1F6F8B".parse()?;
    let (before, after, report) = recolored(&scene, "#1F6F8B")?;
    assert!(report.median < 0.5 && report.p95 < 6.0, "{report:?}");
    // The paint whose even light ends where the report says that the old one's did.
    let gain = [0, 1, 2].map(|c| report.to.linear()[c] / report.from.linear()[c] * RED[c]);
    let truth = Scene::new(gain).eight();
    let (mut inside, mut edge) = (Vec::new(), Vec::new());
    for (i, depth) in scene.depths().into_iter().enumerate() {
        if depth > 3.0 {
            inside.push(difference(&after, &truth, i));
        } else if depth > -4.0 {
            edge.push(difference(&after, &truth, i));
        } else {
            assert_eq!(
                after[i * 3..][..3],
                before[i * 3..][..3],
                "changed {depth} px outside"
            );
        }
    }
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    assert!(mean(&inside) < 1.5, "inside {}", mean(&inside));
    assert!(mean(&edge) < 3.0, "edge {}", mean(&edge));
    assert!(blue.difference(report.to) < 0.1);
    Ok(())
}

#[test]
fn any_number_of_threads_gives_the_same() -> Result<()> {
    let scene = Scene::new(RED);
    let results: Vec<Vec<u8>> = [1, 3]
        .into_iter()
        .map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()?;
            pool.install(|| Ok(recolored(&scene, "teal")?.1))
        })
        .collect::<Result<_>>()?;
    assert!(results[0] == results[1]);
    Ok(())
}

#[test]
fn materials_are_listed_and_picked() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let object = Object::find(&pixels, &scene.rough(), None)?;
    let materials = object.materials(&Choice::Main)?;
    let main = &materials[0];
    assert!(
        main.changed && main.share > 0.6 && main.number == 1,
        "{materials:?}"
    );
    assert!(
        main.color.difference(Color::from_linear(RED)) < 12.0,
        "{}",
        main.color.hex()
    );
    assert!(materials[1..].iter().all(|material| !material.changed));
    let total: f32 = materials.iter().map(|material| material.share).sum();
    assert!((total - 1.0).abs() < 1e-3);
    let error = object
        .materials(&Choice::Numbers(vec![99]))
        .expect_err("there are not that many");
    assert!(error.to_string().contains("no material 99"));
    let all = object.mattes(&pixels, &Choice::All, &|| Ok(()))?.0;
    let (painted, _) = recolor(&pixels, &all, "teal".parse()?, &|| Ok(()))?;
    assert!(eight(painted)? != samples);
    Ok(())
}
