//! `limekiln batch submit --dry-run`: what a catalog comes to, and what it would take.

use std::time::Duration;

use anyhow::Result;
use limekiln_jobs::api::{Rate, Rates};
use serde_json::json;

use super::submit::Counted;
use crate::args::BatchSubmitArgs;
use crate::fleet::client::Client;
use crate::output::print;
use crate::settings::Usage;

/// Low and high.
type Bounds = (f64, f64);

/// What edits would take by the rates of earlier ones.
#[derive(Debug, PartialEq)]
struct Estimate {
    /// Seconds until the last ends, where workers are there.
    seconds: Option<Bounds>,
    /// Seconds on devices, all edits together.
    device: Bounds,
}

impl Estimate {
    /// Of so many edits of so many pictures: the first of each picture looks for its region, the others take it. None where nothing like
    /// it was measured.
    fn of(rates: &Rates, pictures: u64, edits: u64) -> Option<Self> {
        let first = rates.first.or(rates.further)?;
        let further = rates.further.unwrap_or(first);
        let firsts = pictures.min(edits) as f64;
        let others = edits.saturating_sub(pictures) as f64;
        let sum = |of: fn(&Rate) -> f64| firsts * of(&first) + others * of(&further);
        let all = (sum(|rate| rate.seconds_low), sum(|rate| rate.seconds_high));
        let slots = rates.slots as f64;
        Some(Self {
            seconds: (rates.slots > 0).then(|| (all.0 / slots, all.1 / slots)),
            device: (sum(|rate| rate.device_low), sum(|rate| rate.device_high)),
        })
    }
}

/// Says what would be sent.
pub(super) async fn run(args: &BatchSubmitArgs, client: &Client, counted: &Counted) -> Result<()> {
    let good = counted.rows - counted.bad;
    let mut path = "/v1/rates?".to_owned();
    for (name, value) in [("model", &args.served_as), ("preset", &args.preset)] {
        if let Some(value) = value {
            let value: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
            path += &format!("{name}={value}&");
        }
    }
    let rates: Rates = client.get(path.trim_end_matches(['&', '?'])).await?;
    // Of further objects only the first row's could be looked for once, and each makes another picture: they cost what the first does.
    let further = good * args.also.len() as u64;
    let edits = good + further;
    let estimate = Estimate::of(&rates, counted.pictures as u64 + further, edits);
    let cost = args.price.map(|price| price * edits as f64);
    if args.json {
        let bounds = |of: Option<Bounds>| of.map(|(low, high)| json!({"low": low, "high": high}));
        let told = json!({
            "rows": counted.rows, "pictures": counted.pictures, "edits": edits, "bad": counted.bad, "errors": counted.named,
            "cost": cost, "slots": rates.slots,
            "seconds": bounds(estimate.as_ref().and_then(|estimate| estimate.seconds)),
            "device_seconds": bounds(estimate.as_ref().map(|estimate| estimate.device)),
        });
        print(&told.to_string());
    } else {
        for bad in &counted.named {
            eprintln!("{bad}");
        }
        let mut line = format!(
            "{} rows of {} pictures: {edits} edits, {} wrong",
            counted.rows, counted.pictures, counted.bad
        );
        if let Some(cost) = cost {
            line += &format!("; cost {cost:.2}");
        }
        print(&line);
        print(&match (&estimate, rates.slots) {
            (None, _) => format!(
                "how long they take is not known: none of your edits of {} with {} was measured lately; --sample 20 does that",
                rates.model, rates.preset
            ),
            (Some(estimate), slots) => says(estimate, slots),
        });
    }
    if counted.bad > 0 {
        return Err(Usage(format!("{} rows are wrong", counted.bad)).into());
    }
    Ok(())
}

fn says(estimate: &Estimate, slots: u64) -> String {
    let span = |(low, high): Bounds| format!("{} to {}", time(low), time(high));
    let device = span(estimate.device);
    match estimate.seconds {
        Some(seconds) => format!(
            "{} where nobody else is served, by your newest edits and the {slots} edits that workers run at once now; {device} on devices",
            span(seconds)
        ),
        None => format!("{device} on devices, by your newest edits; no worker holds the model now"),
    }
}

/// A time as people say it.
fn time(seconds: f64) -> String {
    let whole = match seconds {
        ..120.0 => seconds.ceil(),
        ..7200.0 => (seconds / 60.0).ceil() * 60.0,
        _ => (seconds / 3600.0).ceil() * 3600.0,
    };
    humantime::format_duration(Duration::from_secs(whole as u64)).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_a_picture_costs_more_than_the_others() {
        let rate = |low: f64| Rate {
            edits: 9,
            seconds_low: low,
            seconds_high: low * 2.0,
            device_low: low / 2.0,
            device_high: low,
        };
        let rates = |first, further| Rates {
            model: "rooms".to_owned(),
            preset: "recolor".to_owned(),
            slots: 2,
            first,
            further,
        };
        let known = Estimate::of(&rates(Some(rate(4.0)), Some(rate(1.0))), 10, 120).unwrap();
        assert_eq!(known.seconds, Some((75.0, 150.0)));
        assert_eq!(known.device, (75.0, 150.0));
        let alike = Estimate::of(&rates(Some(rate(4.0)), None), 10, 120).unwrap();
        assert_eq!(alike.seconds, Some((240.0, 480.0)));
        assert_eq!(Estimate::of(&rates(None, None), 10, 120), None);
        let none = Rates {
            slots: 0,
            ..rates(Some(rate(4.0)), None)
        };
        assert_eq!(Estimate::of(&none, 1, 1).unwrap().seconds, None);
        assert_eq!(
            (time(61.2), time(7300.0)),
            ("1m 2s".to_owned(), "3h".to_owned())
        );
    }
}
