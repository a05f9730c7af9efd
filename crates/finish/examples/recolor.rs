//! Recolors pictures by rough regions: `recolor PICTURE REGION COLOR RESULT [MATTE] [--truth]`, or the same arguments a line
//! on standard input. Says on standard output what it found, as JSON.

use std::io::BufRead;
use std::time::Instant;

use anyhow::Context;
use limekiln_finish::{
    Choice, Color, Evidence, Light, Matte, Object, Painted, Pixels, Region, Samples, recolor,
};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.is_empty() {
        return one(&arguments);
    }
    for line in std::io::stdin().lock().lines() {
        one(&line?
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>())?;
    }
    Ok(())
}

fn one(arguments: &[String]) -> anyhow::Result<()> {
    let as_it_is = arguments.iter().any(|argument| argument == "--truth");
    let paths: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.starts_with("--"))
        .collect();
    let [picture, region, color, result, rest @ ..] = paths.as_slice() else {
        anyhow::bail!("PICTURE REGION COLOR RESULT [MATTE]");
    };
    let rgb = image::open(picture)?.into_rgb8();
    let mask = image::open(region)?.into_luma8();
    let color: Color = color.parse()?;
    let light = Light::srgb();
    let size = (rgb.width(), rgb.height());
    let pixels = Pixels::new(
        size.0 as usize,
        size.1 as usize,
        Samples::Eight(rgb.as_raw()),
        &light,
    )?;
    let go_on = || Ok(());
    let start = Instant::now();
    let (mattes, found) = if as_it_is {
        (
            vec![Matte::from_mask(&pixels, &mask, &go_on)?],
            String::from("null"),
        )
    } else {
        let object = Object::find(&pixels, &Region::from_image(&mask), None)?;
        let (mattes, evidence) = object.mattes(&pixels, &Choice::Main, &go_on)?;
        let materials = object.materials(&Choice::Main)?;
        let materials: Vec<String> = materials
            .iter()
            .map(|m| format!("[{:.2}, \"{}\", {}]", m.share, m.color.hex(), m.changed))
            .collect();
        let Evidence {
            alike,
            agrees,
            covers,
            beyond,
            undecided,
            edged,
        } = evidence;
        let found = format!(
            "{{\"sure\": {:.3}, \"alike\": {alike:.4}, \"agrees\": {agrees:.4}, \"covers\": {covers:.4}, \"beyond\": {beyond:.4}, \"undecided\": {undecided:.4}, \"edged\": {edged:.4}, \"materials\": [{}]}}",
            evidence.sure(),
            materials.join(", ")
        );
        (mattes, found)
    };
    let matted = start.elapsed();
    let start = Instant::now();
    let (painted, report) = recolor(&pixels, &mattes, color, &go_on)?;
    let colored = start.elapsed();
    let Painted::Eight(samples) = painted else {
        anyhow::bail!("the depth changed")
    };
    image::RgbImage::from_raw(size.0, size.1, samples)
        .context("samples")?
        .save(result)?;
    if let Some(path) = rest.first() {
        mattes[0].to_image(&pixels).save(path)?;
    }
    #[expect(clippy::print_stdout, reason = "what an example is for")]
    {
        println!(
            "{{\"picture\": \"{picture}\", \"from\": \"{}\", \"to\": \"{}\", \"median\": {:.2}, \"p95\": {:.2}, \"means\": {}, \"gain\": {:.2}, \"reduced\": {}, \"matte_ms\": {}, \"recolor_ms\": {}, \"found\": {found}}}",
            report.from.hex(),
            report.to.hex(),
            report.median,
            report.p95,
            report.means,
            report.gain,
            report.reduced_pixels,
            matted.as_millis(),
            colored.as_millis()
        );
    }
    Ok(())
}
