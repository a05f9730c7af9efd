//! `limekiln work`: runs a worker.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use limekiln_bench::NullEditor;
use limekiln_jobs::ModelName;
use limekiln_worker::{Factory, LimeEditor, LimeModel, Settings};
use tokio_util::sync::CancellationToken;

use super::services::{Services, process_name};
use super::telemetry::Telemetry;
use super::{status, weights};
use crate::args::{EditorArg, EditorArgs, LeaseArgs, ModelArgs, WorkArgs};
use crate::models::{BUILT_IN, Choice, name_of};
use crate::settings::Usage;
use crate::tokenizers::Tokenizers;

/// Runs a worker until `shutdown`.
///
/// # Errors
///
/// One line that says what to do. A hung engine is an error too, so that a supervisor starts the process again.
pub(crate) async fn run(
    args: &WorkArgs,
    telemetry: &Telemetry,
    shutdown: CancellationToken,
) -> Result<()> {
    // Wrong arguments are refused before anything is connected.
    let mut plan = EditorPlan::new(&args.model, &args.editor, args.served.served_as.as_deref())?;
    let cache = match &args.lease.cache {
        Some(folder) => folder.clone(),
        None => cache_default()?,
    };
    let name = process_name("work");
    let settings = settings(&plan, &args.lease, &args.editor, &name, cache);
    let services = Services::connect(&args.services, &name, &shutdown).await?;
    if args.editor.editor == EditorArg::Lime {
        let folder = settings.cache_dir.join("weights");
        let fetching = weights::fetch(&args.model, &services.blobs, &folder);
        let Some(model) = shutdown.run_until_cancelled(fetching).await else {
            return Ok(());
        };
        let model = model?;
        plan = EditorPlan::new(&model, &args.editor, Some(plan.model_name.as_str()))?;
    }
    let metrics = telemetry.metrics.clone();
    status::start(
        args.status.status,
        metrics,
        services.clone(),
        settings.ready.clone(),
        shutdown.clone(),
    )
    .await?;
    let Services {
        store,
        broker,
        blobs,
    } = services;
    let factory = plan.factory(Tokenizers::default());
    limekiln_worker::run(settings, store, broker, blobs, factory, shutdown).await?;
    Ok(())
}

/// The worker's settings, from the arguments on leases, slots and the cache.
pub(super) fn settings(
    plan: &EditorPlan,
    lease: &LeaseArgs,
    editor: &EditorArgs,
    name: &str,
    cache: PathBuf,
) -> Settings {
    let mut settings = Settings::new(name, vec![plan.model_name.clone()], cache);
    settings.slots = editor.slots;
    settings.lease_ttl = lease.lease;
    settings.checkpoint_every = lease.checkpoint_every;
    settings.stall_after = lease.stall_after;
    settings.cache_bytes_max = u64::from(lease.cache_mib) << 20;
    settings.reuse_bytes_max = u64::from(lease.reuse_mib) << 20;
    settings.blobs = !editor.null_no_blobs;
    settings.size_max = editor.size_max;
    settings.rows_max = editor.rows_max;
    settings.distances_max = editor.distances_max;
    if let Some(mib) = editor.memory_mib {
        settings.memory_bytes = u64::from(mib) << 20;
    }
    settings
}

/// The folder `limekiln` in the user's cache folder.
pub(super) fn cache_default() -> Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
    Ok(base
        .context("there is no cache folder: name one with --cache")?
        .join("limekiln"))
}

/// The editor that the arguments ask for, and the name that edits call its model by. The arguments are checked; the
/// model is not opened yet.
pub(super) struct EditorPlan {
    pub(super) model_name: ModelName,
    editor: PlannedEditor,
}

enum PlannedEditor {
    Lime(Box<Choice>),
    Null { steps: u32, step: Duration },
}

impl EditorPlan {
    /// Checks the arguments.
    ///
    /// # Errors
    ///
    /// [`Usage`] for arguments that can't be right; else what is wrong with a model on this disk.
    pub(super) fn new(
        model: &ModelArgs,
        editor: &EditorArgs,
        served_as: Option<&str>,
    ) -> Result<Self> {
        let name = match served_as {
            Some(name) => name.to_owned(),
            None => name_of(&model.model).ok_or_else(|| {
                let model = &model.model;
                Usage(format!(
                    "--as NAME is needed: {model:?} gives no name to serve a model by"
                ))
            })?,
        };
        let model_name = name.parse::<ModelName>().map_err(|error| {
            Usage(format!(
                "--as: {name:?} is no name to serve a model by: {error}"
            ))
        })?;
        // Gateways check the length of what the built-in model is asked by its own tokenizer.
        if name == BUILT_IN && editor.editor == EditorArg::Lime && model.model != BUILT_IN {
            return Err(Usage(format!(
                "--as NAME is needed, and another than {BUILT_IN}, which is the built-in model: {:?} is not",
                model.model
            ))
            .into());
        }
        let editor = match editor.editor {
            EditorArg::Lime => {
                let choice = Choice::new(model)?;
                choice.look()?;
                PlannedEditor::Lime(Box::new(choice))
            }
            EditorArg::Null => PlannedEditor::Null {
                steps: editor.null_steps,
                step: Duration::from_millis(u64::from(editor.null_step_ms)),
            },
        };
        Ok(Self { model_name, editor })
    }

    /// What makes the editor, on the engine's thread: it opens the model.
    ///
    /// The model's tokenizer goes to `known`, for a gateway in the same process.
    pub(super) fn factory(self, known: Tokenizers) -> Factory {
        let name = self.model_name;
        match self.editor {
            PlannedEditor::Null { steps, step } => {
                Box::new(move || Ok(Box::new(NullEditor::new(steps, step))))
            }
            PlannedEditor::Lime(choice) => Box::new(move || {
                let model = choice.open_logged()?;
                known.add(name.as_str(), model.tokenizer.clone());
                let model = LimeModel {
                    name,
                    side_px: choice.size_default(model.factor()),
                    drawings_only: choice.built_in,
                    model,
                };
                Ok(Box::new(LimeEditor::new(vec![model])?))
            }),
        }
    }
}
