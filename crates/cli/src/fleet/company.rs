//! `limekiln bench company`.

use anyhow::Result;
use limekiln_bench::Error;
use limekiln_bench::company::{self, Row, Settings};
use limekiln_worker::{Factory, LimeEditor, LimeModel};
use tokio_util::sync::CancellationToken;

use crate::args::CompanyArgs;
use crate::models::Choice;
use crate::output::print;

/// Side of the drawn rooms, in pixels, where no size is asked for.
const SIDE: u32 = 512;
/// Rooms that are edited in turn.
const ROOMS: u64 = 8;

/// Measures and prints.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &CompanyArgs, shutdown: CancellationToken) -> Result<()> {
    let settings = Settings {
        edits: args.edits,
        in_flight: args.in_flight.iter().map(|n| usize::from(*n)).collect(),
        size: args.size,
        preset: args.preset.clone(),
        steps: args.steps,
        windows: !args.no_windows,
    };
    let choice = Choice::new(&args.model)?;
    let factory: Factory = Box::new(move || {
        let model = choice.open()?;
        let model = LimeModel {
            name: "measured".parse()?,
            side_px: choice.size_default(model.factor()),
            drawings_only: choice.built_in,
            model,
        };
        Ok(Box::new(LimeEditor::new(vec![model])?))
    });
    let side = args.size.unwrap_or(SIDE);
    let rooms: Vec<_> = (0..ROOMS)
        .map(|index| limekiln_rooms::draw(&limekiln_rooms::bench_pair(0, index).before, side))
        .collect();
    if !args.json {
        print("in flight   edits/s  times   shared     busy  peak MiB  unlike");
    }
    let observe = |row: &Row| {
        if !args.json {
            print(&line(row));
        }
    };
    let measuring = company::run(&settings, factory, &rooms, observe);
    let rows = shutdown.run_until_cancelled(measuring).await;
    let rows = rows.unwrap_or(Err(Error::Interrupted))?;
    if args.json {
        print(&serde_json::to_string_pretty(&rows)?);
    }
    Ok(())
}

fn line(row: &Row) -> String {
    let peak = row
        .peak_mib
        .map_or_else(|| "-".to_owned(), |peak| peak.to_string());
    format!(
        "{:>9}  {:>8.3}  {:>5.2}  {:>6.1} %  {:>5.1} %  {:>8}  {:>6}",
        row.in_flight,
        row.per_second,
        row.times,
        100.0 * row.shared,
        100.0 * row.busy,
        peak,
        row.unlike
    )
}
