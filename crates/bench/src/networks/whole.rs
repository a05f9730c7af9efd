//! Whole edits, and loading.

use candle_core::Device;
use limekiln_diffusion::checkpoint::{Checkpoint, OpenOptions, Source};
use limekiln_diffusion::model::Model;
use limekiln_lime::{Preset, Request};
use limekiln_rooms::{bench_pair, draw};

use super::calls::latents;
use super::random::folder;
use super::settings::{Given, Settings};
use super::source;
use super::timed::{Row, timed};
use crate::error::{Error, Result};

/// A drawn room is edited as its instruction says.
pub(super) fn edit(settings: &Settings, given: Given) -> Result<Row> {
    let preset = Preset::named(&settings.preset)?;
    if preset.edit.is_none() {
        return Err(Error::Unfit(format!(
            "the preset {} denoises nothing: choose another",
            preset.name
        )));
    }
    latents(settings, source::factor(settings, &given)?)?;
    let model = source::model(settings, given)?;
    let room = bench_pair(1, 0);
    let request = Request {
        image: draw(&room.before, settings.size as u32),
        instruction: room.instruction.text,
        seed: 1,
        preset,
        mask: None,
        scheduler: None,
        full: None,
        beside: false,
    };
    let mut lanes = 0.0;
    let row = timed("edit", settings, || {
        lanes = limekiln_lime::run(&model, request.clone(), |_| {})?
            .report
            .lanes;
        Ok(())
    })?;
    Ok(Row {
        lanes: Some(lanes),
        ..row
    })
}

/// From closed files, which the system may have in memory, to networks that can run.
pub(super) fn load(settings: &Settings, given: Given) -> Result<Row> {
    let place = tempfile::tempdir().map_err(Error::Weights)?;
    let open = match given {
        Given::Checkpoint { open, .. } => open,
        Given::Random => {
            folder(settings.shape, place.path())?;
            let source = Source::Path(place.path().to_owned());
            Box::new(move || Ok(Checkpoint::open(&source, &OpenOptions::default())?))
        }
    };
    let checkpoint = open()?;
    let count = checkpoint.parameters();
    drop(checkpoint);
    limekiln_memory::give_back();
    let row = timed("load", settings, || {
        drop(Model::load(open()?, &Device::Cpu, settings.dtype)?);
        limekiln_memory::give_back();
        Ok(())
    })?;
    Ok(Row {
        weights_bytes: Some((count * settings.dtype.size_in_bytes()) as u64),
        ..row
    })
}
