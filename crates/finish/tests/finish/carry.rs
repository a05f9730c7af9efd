//! Edits made at a model's size, carried over to drawn scenes whose truth is known.

use anyhow::Result;
use image::GrayImage;
use limekiln_finish::carry::join;
use limekiln_finish::{
    Carry, Choice, Error, Light, Matte, Object, Painted, Pixels, Region, Rendered, Samples,
};

use crate::scene::{RED, Scene, pixels};
use crate::{difference, eight};

const BLUE: [f32; 3] = [0.03, 0.12, 0.4];
/// Pixels of the scene for one of the model's.
const SHRINK: usize = 4;

/// A picture as a decoder shows it: small, blurred and off in color.
fn decoded(samples: &[u8], scene: &Scene) -> Vec<u8> {
    let (width, height) = (scene.width / SHRINK, scene.height / SHRINK);
    let reach = SHRINK as isize / 2;
    let mut out = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for (c, off) in [(0, 0.96), (1, 0.98), (2, 0.94)] {
                let mut sum = 0.0;
                let mut count = 0.0;
                for v in -reach..SHRINK as isize + reach {
                    for u in -reach..SHRINK as isize + reach {
                        let at = |at: usize, by: isize, of: usize| {
                            (at * SHRINK).saturating_add_signed(by).min(of - 1)
                        };
                        let (u, v) = (at(x, u, scene.width), at(y, v, scene.height));
                        sum += f32::from(samples[(v * scene.width + u) * 3 + c]);
                        count += 1.0;
                    }
                }
                out.push((sum / count * off).round() as u8);
            }
        }
    }
    out
}

/// Calls with both pictures as a model's decoder shows them.
fn with_rendered<T>(
    scene: &Scene,
    (before, after): (&[u8], &[u8]),
    call: impl FnOnce(&Rendered<'_>) -> Result<T>,
) -> Result<T> {
    let light = Light::srgb();
    let (before, after) = (decoded(before, scene), decoded(after, scene));
    let small = |samples| {
        Pixels::new(
            scene.width / SHRINK,
            scene.height / SHRINK,
            Samples::Eight(samples),
            &light,
        )
    };
    call(&Rendered {
        before: small(&before)?,
        after: small(&after)?,
    })
}

fn all_mattes(pixels: &Pixels<'_>, scene: &Scene) -> Result<Vec<Matte>> {
    let object = Object::find(pixels, &scene.rough(), None)?;
    Ok(object.mattes(pixels, &Choice::All, &|| Ok(()))?.0)
}

/// What becomes of a scene under an edit to `after`, its matte, and the fit.
fn carried(
    scene: &Scene,
    after: &[u8],
    bounds: &[Region],
) -> Result<(Vec<u8>, GrayImage, limekiln_finish::Fit)> {
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(scene, &samples, &light)?;
    let mattes = all_mattes(&pixels, scene)?;
    with_rendered(scene, (&samples, after), |rendered| {
        let carry = Carry::fit(&pixels, &mattes, rendered, bounds, &|| Ok(()))?;
        let carried = carry.paint(&pixels, None, &|| Ok(()))?;
        Ok((eight(carried.result)?, carried.matte, carry.how_well()))
    })
}

/// The median of how far `result` is from `truth`, over pixels that `within` accepts.
fn median(scene: &Scene, result: &[u8], truth: &[u8], within: impl Fn(f32) -> bool) -> f32 {
    let depths = scene.depths().into_iter().enumerate();
    let mut apart: Vec<f32> = depths
        .filter(|(_, depth)| within(*depth))
        .map(|(i, _)| difference(result, truth, i))
        .collect();
    apart.sort_by(f32::total_cmp);
    apart[apart.len() / 2]
}

/// Stripes in place of the cushion: something else, and no other color.
fn striped(scene: &Scene) -> Vec<u8> {
    let mut samples = scene.eight();
    for (i, depth) in scene.depths().into_iter().enumerate() {
        if depth > 0.0 {
            let dark = (i % scene.width / 16).is_multiple_of(2);
            let color = if dark { [20, 40, 30] } else { [235, 230, 240] };
            samples[i * 3..][..3].copy_from_slice(&color);
        }
    }
    samples
}

#[test]
fn a_change_of_color_keeps_the_pictures_own_weave() -> Result<()> {
    let scene = Scene::new(RED);
    let truth = Scene::new(BLUE).eight();
    let (result, matte, fit) = carried(&scene, &truth, &[])?;
    assert!(fit.is_color(false) && fit.explained > 0.9, "{fit:?}");
    let inside = median(&scene, &result, &truth, |depth| depth > 3.0);
    let edge = median(&scene, &result, &truth, |depth| depth.abs() < 3.0);
    assert!(inside < 3.0 && edge < 5.0, "{inside} {edge}");
    // Enlarging the decoded result would leave none of the weave.
    let fine = |samples: &[u8], i: usize| {
        let gray = |i: usize| f32::from(samples[i * 3 + 1]);
        gray(i) - 0.5 * (gray(i - 2) + gray(i + 2))
    };
    let (mut both, mut own, mut other) = (0.0, 0.0, 0.0);
    for (i, _) in scene
        .depths()
        .into_iter()
        .enumerate()
        .filter(|(_, depth)| *depth > 6.0)
    {
        let (a, b) = (fine(&result, i), fine(&truth, i));
        (both, own, other) = (both + a * b, own + a * a, other + b * b);
    }
    let texture = both / (own * other).sqrt();
    assert!(texture > 0.95, "{texture}");
    let before = scene.eight();
    for (i, alpha) in matte.iter().enumerate().filter(|(_, alpha)| **alpha == 0) {
        assert_eq!(result[i * 3..][..3], before[i * 3..][..3], "{alpha} at {i}");
    }
    // The legs were found with the cushion, and the edit left them alone.
    let leg = 195 * scene.width + 88;
    assert_eq!(matte.as_raw()[leg], 0);
    Ok(())
}

#[test]
fn another_light_is_carried_over_too() -> Result<()> {
    let scene = Scene::new(RED);
    let truth = Scene::new(RED.map(|value| 0.5 * value)).eight();
    let (result, _, fit) = carried(&scene, &truth, &[])?;
    assert!(fit.is_color(false), "{fit:?}");
    let inside = median(&scene, &result, &truth, |depth| depth > 3.0);
    assert!(inside < 3.0, "{inside}");
    Ok(())
}

#[test]
fn something_else_is_no_change_of_color() -> Result<()> {
    let scene = Scene::new(RED);
    let truth = striped(&scene);
    let (result, _, fit) = carried(&scene, &truth, &[])?;
    assert!(!fit.is_color(false), "{fit:?}");
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let (joined, matte) = with_rendered(&scene, (&samples, &truth), |rendered| {
        Ok(join(&pixels, rendered, &[], &[], &|| Ok(()))?)
    })?;
    let joined = eight(joined)?;
    let inside = |result: &[u8]| median(&scene, result, &truth, |depth| depth > 3.0);
    assert!(inside(&joined) < 8.0 && inside(&joined) < inside(&result));
    // The decoder is off in color, and none of that comes through where the edit changed nothing.
    assert!(
        median(&scene, &joined, &truth, |depth| (-12.0..-4.0)
            .contains(&depth))
            < 1.0
    );
    for (i, alpha) in matte.iter().enumerate().filter(|(_, alpha)| **alpha == 0) {
        assert_eq!(
            joined[i * 3..][..3],
            samples[i * 3..][..3],
            "{alpha} at {i}"
        );
    }
    let far = scene
        .depths()
        .iter()
        .zip(matte.iter())
        .any(|(depth, alpha)| *depth < -24.0 && *alpha > 0);
    assert!(!far, "what the edit left alone is joined");
    Ok(())
}

#[test]
fn nothing_beyond_a_bound_is_changed() -> Result<()> {
    let scene = Scene::new(RED);
    let truth = Scene::new(BLUE).eight();
    let left = |x: usize| if x < 5 { 1.0 } else { 0.0 };
    let bound = Region::new(10, 8, (0..80).map(|i| left(i % 10)).collect());
    let (result, matte, _) = carried(&scene, &truth, std::slice::from_ref(&bound))?;
    let before = scene.eight();
    let mut changed = 0;
    for i in 0..before.len() / 3 {
        let same = result[i * 3..][..3] == before[i * 3..][..3];
        if i % scene.width >= 160 {
            assert!(same && matte.as_raw()[i] == 0, "beyond the bound, at {i}");
        }
        changed += u32::from(!same);
    }
    assert!(changed > 5_000, "{changed}");
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let (_, matte) = with_rendered(&scene, (&samples, &striped(&scene)), |rendered| {
        Ok(join(&pixels, rendered, &[], &[bound], &|| Ok(()))?)
    })?;
    let beyond = |(i, alpha): (usize, &u8)| i % scene.width >= 160 && *alpha > 0;
    assert!(!matte.iter().enumerate().any(beyond));
    Ok(())
}

#[test]
fn depth_stays_and_work_stops_when_told() -> Result<()> {
    let scene = Scene::new(RED);
    let (deep, light) = (scene.sixteen(), Light::srgb());
    let pixels = Pixels::new(scene.width, scene.height, Samples::Sixteen(&deep), &light)?;
    let mattes = all_mattes(&pixels, &scene)?;
    let (before, after) = (scene.eight(), Scene::new(BLUE).eight());
    with_rendered(&scene, (&before, &after), |rendered| {
        let carry = Carry::fit(&pixels, &mattes, rendered, &[], &|| Ok(()))?;
        let painted = carry.paint(&pixels, None, &|| Ok(()))?.result;
        let Painted::Sixteen(painted) = painted else {
            anyhow::bail!("16 bits went in");
        };
        assert!(painted.iter().any(|value| value % 257 != 0));
        let stop: &(dyn Fn() -> Result<(), Error> + Sync) = &|| Err(Error::Stopped);
        assert_eq!(carry.paint(&pixels, None, stop).err(), Some(Error::Stopped));
        let stopped = Carry::fit(&pixels, &mattes, rendered, &[], stop).err();
        assert_eq!(stopped, Some(Error::Stopped));
        assert_eq!(
            join(&pixels, rendered, &[], &[], stop).err(),
            Some(Error::Stopped)
        );
        Ok(())
    })
}

#[test]
fn what_can_not_be_carried_is_told() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let mattes = all_mattes(&pixels, &scene)?;
    with_rendered(&scene, (&samples, &samples), |rendered| {
        let nothing = join(&pixels, rendered, &[], &[], &|| Ok(())).err();
        assert_eq!(nothing, Some(Error::NothingFound), "no change");
        assert_eq!(
            Carry::fit(&pixels, &[], rendered, &[], &|| Ok(())).err(),
            Some(Error::NothingFound)
        );
        let smaller = Rendered {
            before: pixels,
            after: rendered.after,
        };
        let error = Carry::fit(&pixels, &mattes, &smaller, &[], &|| Ok(())).err();
        assert!(matches!(error, Some(Error::Size { .. })), "{error:?}");
        Ok(())
    })
}

#[test]
fn what_took_on_the_color_around_it_is_gone() -> Result<()> {
    let scene = Scene::new(RED);
    let wall = Scene::new([0.56, 0.54, 0.45]).eight();
    let (_, _, fit) = carried(&scene, &wall, &[])?;
    assert!(fit.explained > 0.5 && !fit.is_color(false), "{fit:?}");
    Ok(())
}

#[test]
fn a_given_color_is_met_exactly() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let mattes = all_mattes(&pixels, &scene)?;
    with_rendered(&scene, (&samples, &Scene::new(BLUE).eight()), |rendered| {
        let carry = Carry::fit(&pixels, &mattes, rendered, &[], &|| Ok(()))?;
        let color = "#1F6F8B".parse()?;
        let carried = carry.paint(&pixels, Some(color), &|| Ok(()))?;
        let report = carried.exact.expect("a color was given");
        assert!(report.median < 0.5, "{report:?}");
        Ok(())
    })
}
