//! Edits a second with some of them in the engine at a time, sharing the network's calls.

use image::RgbImage;
use limekiln_jobs::{ArtifactKind, ModelName, Spec};
use limekiln_lime::Known;
use limekiln_worker::alone::{Alone, Ran};
use limekiln_worker::{Factory, Prepared, Sizing, Unready, Work, resolve};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::error::{Error, Result};

/// Which edits are measured, and how many of them are in flight.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Edits of each run.
    pub edits: u32,
    /// How many of them are in flight, run by run.
    pub in_flight: Vec<usize>,
    /// Bound on the longer side of pictures; the model's own where it is none.
    pub size: Option<u32>,
    /// Preset of every edit.
    pub preset: String,
    /// Steps of the second stage; the preset's own where it is none.
    pub steps: Option<u32>,
    /// Whether edits run in windows, where the preset has them.
    pub windows: bool,
}

/// Figures of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// Edits in flight.
    pub in_flight: usize,
    /// Edits that were made in a second.
    pub per_second: f64,
    /// The same as a share of the first run's.
    pub times: f64,
    /// Share of the network's calls that were for more than one edit.
    pub shared: f64,
    /// Share of the time in which the network computed.
    pub busy: f64,
    /// The most that the process held meanwhile, in MiB; none where the system does not say.
    pub peak_mib: Option<u64>,
    /// Edits whose result is not the first run's, to the byte.
    pub unlike: usize,
}

/// Measures one number of edits in flight after the other, on `pictures` in turn, and calls `observe` after each.
///
/// # Errors
///
/// When the model can't be loaded, or an edit fails.
pub async fn run(
    settings: &Settings,
    factory: Factory,
    pictures: &[RgbImage],
    mut observe: impl FnMut(&Row),
) -> Result<Vec<Row>> {
    let name = |error| Error::Name(format!("{error}"));
    let model: ModelName = "measured".parse().map_err(name)?;
    let worker = limekiln_worker::Settings::new("measured", vec![model.clone()], "unused");
    let engine = Alone::start(factory, &worker).await?;
    let Some(sizing) = engine.sizing(&model) else {
        return Err(Error::Refused("the editor takes no pictures".into()));
    };
    let works = |edits: u32| -> Result<Vec<Work>> {
        let pictures = pictures.iter().cycle().zip(0..edits);
        pictures
            .map(|(picture, seed)| work(settings, &model, sizing, picture, seed))
            .collect()
    };
    // Kernels are compiled and memory is mapped.
    drop(results(engine.run(works(1)?, 1).await)?);
    let (mut rows, mut first): (Vec<Row>, Vec<bytes::Bytes>) = (Vec::new(), Vec::new());
    for &in_flight in &settings.in_flight {
        let works = works(settings.edits)?;
        limekiln_memory::give_back();
        limekiln_memory::peak_forget();
        let ran = engine.run(works, in_flight).await;
        let peak_mib = limekiln_memory::peak().map(|bytes| bytes >> 20);
        let per_second = f64::from(settings.edits) / ran.took.as_secs_f64();
        let (shared, busy) = (ran.shared as f64 / ran.calls.max(1) as f64, ran.busy);
        let made = results(ran)?;
        if first.is_empty() {
            first.clone_from(&made);
        }
        let row = Row {
            in_flight,
            per_second,
            times: per_second / rows.first().map_or(per_second, |row| row.per_second),
            shared,
            busy,
            peak_mib,
            unlike: made.iter().zip(&first).filter(|(a, b)| a != b).count(),
        };
        observe(&row);
        rows.push(row);
    }
    Ok(rows)
}

/// The edits' results.
fn results(ran: Ran) -> Result<Vec<bytes::Bytes>> {
    let mut results = Vec::with_capacity(ran.outputs.len());
    for outputs in ran.outputs {
        let outputs = outputs.map_err(|failure| Error::Refused(failure.to_string()))?;
        let result = outputs.files.into_iter();
        let mut result = result.filter(|file| file.kind == ArtifactKind::Result);
        results.extend(result.next().map(|file| file.body));
    }
    Ok(results)
}

fn work(
    settings: &Settings,
    model: &ModelName,
    sizing: Sizing,
    picture: &RgbImage,
    seed: u32,
) -> Result<Work> {
    let mut edit = Map::new();
    if let Some(steps) = settings.steps {
        edit.insert("steps".into(), json!(steps));
    }
    if !settings.windows {
        edit.insert("window".into(), Value::Null);
    }
    let mut spec = Spec {
        preset: settings.preset.clone(),
        seed: u64::from(seed),
        size: settings.size,
        ..Spec::new("make the sofa red")
    };
    if !edit.is_empty() {
        spec.options.insert("edit".into(), Value::Object(edit));
    }
    let refused = |error: &dyn std::fmt::Display| Error::Refused(error.to_string());
    spec.resolved = Some(resolve(&spec).map_err(|error| refused(&error))?.preset);
    let input = limekiln_pictures::encode::png(&picture.clone().into());
    let input = input.map_err(|error| refused(&error))?;
    let prepared = Prepared::read((&input, &[]), None, &spec, sizing);
    let prepared = prepared.map_err(|unready| match unready {
        Unready::Failed(failure) => refused(&failure),
        Unready::Unable(needs) => refused(&needs),
    })?;
    Ok(Work {
        model: model.clone(),
        spec,
        input: None,
        prepared: Some(prepared),
        known: Known::default(),
        saved: None,
        patched: false,
        alone: false,
        interactive: false,
    })
}
