//! `limekiln bench` of the networks: arguments into settings, and figures into text.

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use limekiln_bench::finishing;
use limekiln_bench::networks::{self, Given, Peaks, Processor, Row, Settings, Shape, What};
use limekiln_diffusion::device::DtypeChoice;
use serde::Serialize;

use crate::args::{Bench, FinishingArgs, NetworkArgs, ShapeArg, TimingArgs};
use crate::download;
use crate::models::{BUILT_IN, Choice};
use crate::output::print;
use crate::settings::Usage;

/// A measurement as the command line asks for it.
struct Asked<'a> {
    settings: Settings,
    model: Option<&'a str>,
    timing: &'a TimingArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    model: &'a str,
    lanes: usize,
    size: usize,
    dtype: &'a str,
    threads: usize,
    #[serde(flatten)]
    processor: Processor,
    #[serde(skip_serializing_if = "Option::is_none")]
    peaks: Option<Peaks>,
    figures: Vec<Row>,
}

/// Measures and prints; for parts of `bench` that need no services.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) fn run(bench: &Bench) -> Result<()> {
    if let Bench::Finish(args) = bench {
        return finish(args);
    }
    let Some(asked) = asked(bench)? else {
        return Ok(());
    };
    compute_on(asked.timing.threads)?;
    let settings = &asked.settings;
    let name = asked.model.unwrap_or(match settings.shape {
        Shape::Sd15 => "sd15",
        Shape::Rooms => "rooms",
    });
    let given = given(&asked)?;
    let peaks = settings.profile.then(networks::peaks);
    let report = |figures| Report {
        version: env!("CARGO_PKG_VERSION"),
        model: name,
        lanes: settings.lanes,
        size: settings.size,
        dtype: settings.dtype.as_str(),
        threads: rayon::current_num_threads(),
        processor: networks::processor(),
        peaks,
        figures,
    };
    if asked.timing.json {
        let figures = networks::run(settings, given, |_| {})?;
        print(&serde_json::to_string_pretty(&report(figures))?);
    } else {
        print(&head(&report(Vec::new())));
        networks::run(settings, given, |row| print(&lines(row)))?;
    }
    Ok(())
}

fn compute_on(threads: Option<u16>) -> Result<()> {
    if let Some(threads) = threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.into());
        pool.build_global()?;
    }
    Ok(())
}

/// Seconds and memory of finishing.
fn finish(args: &FinishingArgs) -> Result<()> {
    compute_on(args.threads)?;
    if args.json {
        let rows = finishing::run(&args.megapixels, |_| {})?;
        print(&serde_json::to_string_pretty(&serde_json::json!({
            "version": env!("CARGO_PKG_VERSION"),
            "threads": rayon::current_num_threads(),
            "processor": networks::processor(),
            "figures": rows,
        }))?);
        return Ok(());
    }
    print(&format!(
        "{} threads; ms; bytes a pixel beyond picture and result\n   MP   read   find  matte  paint recolor  again   carry  write  B/px carry's unheard",
        rayon::current_num_threads()
    ));
    let bytes = |bytes: Option<f64>| bytes.map_or("?".to_owned(), |bytes| format!("{bytes:.1}"));
    finishing::run(&args.megapixels, |row| {
        print(&format!(
            "{:5} {:6.0} {:6.0} {:6.0} {:6.0} {:7.0} {:6.0} {:7.0} {:6.0} {:>5} {:>7} {:7.0}",
            row.megapixels,
            row.read_ms,
            row.find_ms,
            row.matte_ms,
            row.paint_ms,
            row.recolor_ms,
            row.again_ms,
            row.carry_ms,
            row.write_ms,
            bytes(row.recolor_bytes),
            bytes(row.carry_bytes),
            row.unheard_ms,
        ));
    })?;
    Ok(())
}

fn asked(bench: &Bench) -> Result<Option<Asked<'_>>> {
    Ok(Some(match bench {
        Bench::Unet(args) => Asked {
            settings: Settings {
                lanes: args.lanes.into(),
                profile: args.profile.profile,
                ..settings(What::Unet, &args.network, args.size.size)?
            },
            ..of(&args.network)?
        },
        Bench::Vae(args) => Asked {
            settings: Settings {
                lanes: args.lanes.into(),
                profile: args.profile.profile,
                ..settings(What::Vae, &args.network, args.size.size)?
            },
            ..of(&args.network)?
        },
        Bench::Text(args) => Asked {
            settings: Settings {
                lanes: args.lanes.into(),
                ..settings(What::Text, &args.network, None)?
            },
            ..of(&args.network)?
        },
        Bench::Edit(args) => Asked {
            settings: Settings {
                profile: args.profile.profile,
                preset: args.preset.clone(),
                ..settings(What::Edit, &args.network, args.size.size)?
            },
            ..of(&args.network)?
        },
        Bench::Load(args) => of(&args.network)?,
        Bench::Segment(args) => Asked {
            settings: Settings {
                size: args.size.size.map_or(shape(args.shape).side(), usize::from),
                calls: args.timing.calls.into(),
                preset: args.preset.clone(),
                ..plain(What::Segment, shape(args.shape))
            },
            model: None,
            timing: &args.timing,
        },
        Bench::Queue(_)
        | Bench::Fairness(_)
        | Bench::Tables(_)
        | Bench::Company(_)
        | Bench::Finish(_) => {
            return Ok(None);
        }
    }))
}

/// Of the arguments that all networks take; loading takes no others.
fn of(args: &NetworkArgs) -> Result<Asked<'_>> {
    Ok(Asked {
        settings: settings(What::Load, args, None)?,
        model: args.model.as_deref(),
        timing: &args.timing,
    })
}

fn settings(what: What, args: &NetworkArgs, size: Option<u16>) -> Result<Settings> {
    // By its name or by its shape, the built-in model has pictures of its own size.
    let shape = match args.model.as_deref() {
        Some(BUILT_IN) => Shape::Rooms,
        _ => shape(args.shape),
    };
    let dtype: Result<DtypeChoice, _> = args.dtype.parse();
    let dtype = dtype.map_err(|error| Usage(format!("--dtype: {error}")))?;
    Ok(Settings {
        size: size.map_or(shape.side(), usize::from),
        // The networks are measured on the processor.
        dtype: dtype.dtype(&Device::Cpu),
        calls: args.timing.calls.into(),
        ..plain(what, shape)
    })
}

fn plain(what: What, shape: Shape) -> Settings {
    Settings {
        what,
        shape,
        lanes: 1,
        size: shape.side(),
        dtype: DType::F32,
        calls: 1,
        profile: false,
        preset: "fast".to_owned(),
    }
}

fn shape(shape: ShapeArg) -> Shape {
    match shape {
        ShapeArg::Sd15 => Shape::Sd15,
        ShapeArg::Rooms => Shape::Rooms,
    }
}

/// The checkpoint that is named, or the built-in one for its shape; else weights are drawn.
fn given(asked: &Asked<'_>) -> Result<Given> {
    let model = match (asked.model, asked.settings.shape) {
        (Some(model), _) => model,
        (None, Shape::Rooms) => BUILT_IN,
        (None, Shape::Sd15) => return Ok(Given::Random),
    };
    let choice = Choice::on_processor(model);
    let window_least = choice.window_least();
    // What is wrong with it is said before anything is measured; a download shows how far it is.
    choice
        .checkpoint(download::shown())
        .context("the model can't be opened")?;
    Ok(Given::Checkpoint {
        open: Box::new(move || Ok(choice.checkpoint(download::shown())?)),
        window_least,
    })
}

fn head(report: &Report<'_>) -> String {
    let mut text = format!(
        "{} {} {} px, {} lanes, {} threads; {} ({})",
        report.model,
        report.dtype,
        report.size,
        report.lanes,
        report.threads,
        report.processor.name,
        report.processor.instructions.join(", "),
    );
    if let Some(peaks) = report.peaks {
        let shown = |rate: Option<f64>| rate.map_or("unknown".to_owned(), |r| format!("{r:.0}"));
        text += &format!(
            "\npeaks: f32 {} GFLOP/s, bf16 {} by vectors, copy {:.1} GB/s",
            shown(peaks.f32_gflops),
            shown(peaks.bf16_gflops),
            peaks.copy_gbytes,
        );
    }
    text
}

fn lines(row: &Row) -> String {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    let mut text = format!(
        "{:12} median {:9.4} s, least {:9.4} s",
        row.what, row.median_s, row.min_s
    );
    if let Some(peak) = row.peak_bytes {
        text += &format!(", peak {:.0} MiB", mib(peak));
    }
    if let (Some(weights), Some(peak)) = (row.weights_bytes, row.peak_bytes) {
        let times = peak as f64 / weights as f64;
        text += &format!(", {times:.2} of the weights' {:.0} MiB", mib(weights));
    }
    if let Some(operations) = row.operations {
        text += &format!(", {:.0} GFLOP/s", operations / row.median_s / 1e9);
    }
    if let Some(lanes) = row.lanes {
        text += &format!(", {lanes:.1} lanes");
    }
    if row.profile.is_empty() {
        return text;
    }
    let whole: f64 = row.profile.iter().map(|part| part.seconds).sum();
    text += "\n  layers           pixels  calls         s      %  GFLOP/s   GB/s";
    for part in &row.profile {
        let pixels = part
            .pixels
            .map_or(String::new(), |pixels| pixels.to_string());
        text += &format!(
            "\n  {:15} {:>7} {:>6} {:>9.4} {:>6.1} {:>8.0} {:>6.1}",
            part.kind,
            pixels,
            part.calls,
            part.seconds,
            100.0 * part.seconds / whole,
            part.gflops,
            part.gbytes,
        );
    }
    text
}
