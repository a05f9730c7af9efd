//! Odd regions, sizes and depths.

use anyhow::Result;
use image::{GrayImage, Luma};
use limekiln_finish::{
    Choice, Error, Light, Matte, Object, Painted, Pixels, Region, Samples, recolor,
};

use super::scene::{RED, Scene, pixels};
use super::{eight, main_matte};

#[test]
fn sixteen_bits_stay_sixteen() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.sixteen(), Light::srgb());
    let pixels = Pixels::new(
        scene.width,
        scene.height,
        Samples::Sixteen(&samples),
        &light,
    )?;
    let (painted, report) = recolor(
        &pixels,
        &main_matte(&pixels, &scene)?,
        "#1F6F8B".parse()?,
        &|| Ok(()),
    )?;
    let Painted::Sixteen(painted) = painted else {
        anyhow::bail!("16 bits went in");
    };
    assert!(report.median < 0.5, "{report:?}");
    let depths = scene.depths();
    assert!(
        depths
            .iter()
            .enumerate()
            .all(|(i, depth)| *depth > -4.0 || painted[i * 3..][..3] == samples[i * 3..][..3])
    );
    // More steps than 8 bits have.
    let mut values: Vec<u16> = depths
        .iter()
        .enumerate()
        .filter(|(_, depth)| **depth > 4.0)
        .map(|(i, _)| painted[i * 3 + 2])
        .collect();
    values.sort_unstable();
    values.dedup();
    assert!(values.len() > 1000, "{}", values.len());
    Ok(())
}

#[test]
fn another_space_ends_at_the_same_color() -> Result<()> {
    let scene = Scene::new(RED);
    let samples = scene.sixteen();
    let p3 = [
        [1.224_94, -0.224_94, 0.0],
        [-0.042_057, 1.042_057, 0.0],
        [-0.019_638, -0.078_636, 1.098_274],
    ];
    let light =
        Light::new(|value| value.powf(1.8), p3).ok_or_else(|| anyhow::anyhow!("a space"))?;
    let pixels = Pixels::new(
        scene.width,
        scene.height,
        Samples::Sixteen(&samples),
        &light,
    )?;
    let (_, report) = recolor(
        &pixels,
        &main_matte(&pixels, &scene)?,
        "#1F6F8B".parse()?,
        &|| Ok(()),
    )?;
    assert!(
        report.median < 0.7 && report.to.hex() == "#1F6F8B",
        "{report:?}"
    );
    Ok(())
}

#[test]
fn regions_of_nothing_of_everything_and_at_the_border() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let nothing = Region::new(8, 8, vec![0.0; 64]);
    assert_eq!(
        Object::find(&pixels, &nothing, None).err(),
        Some(Error::RegionEmpty)
    );
    assert_eq!(
        Object::find(&pixels, &Region::new(0, 0, Vec::new()), None).err(),
        Some(Error::RegionEmpty)
    );
    let corner = (0..64)
        .map(|i| if i % 8 < 2 && i / 8 < 2 { 1.0 } else { 0.0 })
        .collect();
    for region in [Region::new(1, 1, vec![1.0]), Region::new(8, 8, corner)] {
        let object = Object::find(&pixels, &region, Some(&region))?;
        let (mattes, evidence) = object.mattes(&pixels, &Choice::Main, &|| Ok(()))?;
        recolor(&pixels, &mattes, "teal".parse()?, &|| Ok(()))?;
        assert!((0.0..=1.0).contains(&evidence.sure()));
    }
    Ok(())
}

#[test]
fn pictures_smaller_than_any_reach() -> Result<()> {
    let light = Light::srgb();
    for (width, height) in [(1, 1), (1, 9), (2, 3), (7, 5), (300, 1), (2, 400)] {
        let samples: Vec<u8> = (0..width * height)
            .flat_map(|i| {
                if i % 2 == 0 {
                    [180, 30, 20]
                } else {
                    [20, 40, 200]
                }
            })
            .collect();
        let pixels = Pixels::new(width, height, Samples::Eight(&samples), &light)?;
        let object = Object::find(&pixels, &Region::new(1, 1, vec![1.0]), None)?;
        for choice in [Choice::Main, Choice::All] {
            match object.mattes(&pixels, &choice, &|| Ok(())) {
                Ok((mattes, _)) => {
                    recolor(&pixels, &mattes, "teal".parse()?, &|| Ok(()))?;
                }
                Err(error) => assert_eq!(error, Error::NothingFound, "{width}x{height}"),
            }
        }
    }
    assert!(Pixels::new(4, 4, Samples::Eight(&[0; 47]), &light).is_err());
    assert!(Pixels::new(0, 4, Samples::Eight(&[]), &light).is_err());
    Ok(())
}

#[test]
fn a_mask_is_taken_as_it_is() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let mask = GrayImage::from_fn(320, 256, |x, y| {
        Luma([if (100..180).contains(&x) && (90..150).contains(&y) {
            255
        } else {
            0
        }])
    });
    let matte = Matte::from_mask(&pixels, &mask, &|| Ok(()))?;
    assert!(matte.to_image(&pixels) == mask);
    let (painted, _) = recolor(&pixels, &[matte], "#2E7D32".parse()?, &|| Ok(()))?;
    let painted = eight(painted)?;
    for (i, alpha) in mask.iter().enumerate() {
        assert_eq!(
            *alpha == 255,
            painted[i * 3..][..3] != samples[i * 3..][..3],
            "pixel {i}"
        );
    }
    assert!(Matte::from_mask(&pixels, &GrayImage::new(10, 10), &|| Ok(())).is_err());
    assert_eq!(
        Matte::from_mask(&pixels, &GrayImage::new(320, 256), &|| Ok(())).err(),
        Some(Error::RegionEmpty)
    );
    Ok(())
}

#[test]
fn work_stops_when_asked() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let object = Object::find(&pixels, &scene.rough(), None)?;
    let stop = || Err(Error::Stopped);
    assert_eq!(
        Object::find_with(&pixels, &scene.rough(), None, &stop).err(),
        Some(Error::Stopped)
    );
    assert_eq!(
        object.mattes(&pixels, &Choice::Main, &stop).err(),
        Some(Error::Stopped)
    );
    let mattes = main_matte(&pixels, &scene)?;
    assert_eq!(
        recolor(&pixels, &mattes, "teal".parse()?, &stop).err(),
        Some(Error::Stopped)
    );
    Ok(())
}

#[test]
fn a_matte_that_was_kept_gives_the_same_bytes() -> Result<()> {
    let scene = Scene::new(RED);
    let (samples, light) = (scene.eight(), Light::srgb());
    let pixels = pixels(&scene, &samples, &light)?;
    let mattes = main_matte(&pixels, &scene)?;
    let bytes = mattes[0].to_bytes()?;
    assert!(bytes.len() < samples.len() / 2, "{} bytes", bytes.len());
    let kept = [Matte::from_bytes(&bytes)?];
    assert!(kept[0].to_image(&pixels) == mattes[0].to_image(&pixels));
    for color in ["#1F6F8B", "#F4F1EA", "#16161A"] {
        let fresh = recolor(&pixels, &mattes, color.parse()?, &|| Ok(()))?;
        let again = recolor(&pixels, &kept, color.parse()?, &|| Ok(()))?;
        assert!(fresh == again, "{color}");
    }
    // What is damaged, cut short or of another picture is said, and no panic.
    for end in (0..bytes.len()).step_by(97) {
        assert!(
            matches!(Matte::from_bytes(&bytes[..end]), Err(Error::Kept(_))),
            "{end}"
        );
    }
    for at in 4..28 {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x80;
        // It may lie elsewhere in the picture; it may not lie outside.
        if let Ok(matte) = Matte::from_bytes(&wrong) {
            let [left, top, width, height] = matte.bounds();
            let within = left + width <= scene.width && top + height <= scene.height;
            let result = recolor(&pixels, &[matte], "teal".parse()?, &|| Ok(()));
            assert_eq!(
                matches!(result, Err(Error::Size { .. })),
                !within,
                "byte {at}"
            );
        }
    }
    let small = Pixels::new(20, 20, Samples::Eight(&[90; 1200]), &light)?;
    assert!(matches!(
        recolor(&small, &kept, "teal".parse()?, &|| Ok(())),
        Err(Error::Size { .. })
    ));
    Ok(())
}
