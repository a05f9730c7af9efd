//! The quality gate: what becomes of a row whose edit succeeded, by what the engine reports of it.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::RowState;
use crate::api::Invalid;

/// Bounds within which a row passes without anybody looking at it. What the engine reports nothing of is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Gate {
    /// How sure the object must be, 0 to 1.
    #[schema(minimum = 0, maximum = 1, example = 0.5)]
    pub sure: f64,
    /// Least share of the picture that the region may take.
    #[schema(minimum = 0, maximum = 1, example = 0.005)]
    pub share_min: f64,
    /// Largest share of the picture that the region may take.
    #[schema(minimum = 0, maximum = 1, example = 0.7)]
    pub share_max: f64,
    /// Largest median distance (ΔE00) from the color that was asked for.
    #[schema(minimum = 0, maximum = 100, example = 3)]
    pub delta_e: f64,
    /// Most pixels outside the region and its seam that may have changed.
    #[schema(minimum = 0, maximum = 1_000_000_000_000_i64, example = 0)]
    pub changed_outside: u64,
    /// By how much the region's share may differ from that of the picture's other rows, as a factor.
    #[schema(minimum = 1, maximum = 100, example = 1.5)]
    pub unlike: f64,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            sure: 0.5,
            share_min: 0.002,
            share_max: 0.8,
            delta_e: 3.0,
            changed_outside: 0,
            unlike: 1.5,
        }
    }
}

/// What is known of a row's result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Measures {
    /// How sure the object was, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sure: Option<f64>,
    /// Share of the picture that the region takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Median distance (ΔE00) from the color that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_e: Option<f64>,
    /// The distance that 95 % of the pixels keep within.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delta_e_p95: Option<f64>,
    /// Pixels outside the region and its seam that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_outside: Option<u64>,
    /// Fingerprint of the checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Seconds on a worker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Seed of the noise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What it took over of earlier edits of the picture.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reused: Vec<String>,
    /// The edit whose region it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_from: Option<String>,
}

crate::text_enum::text_enum! {
    /// Why a row is to be looked at.
    pub enum Reason, "a reason" {
        /// It is not sure that this is the object.
        Unsure = "unsure",
        /// No region was found.
        NoRegion = "no_region",
        /// The region is smaller than may be.
        RegionSmall = "region_small",
        /// The region is larger than may be.
        RegionLarge = "region_large",
        /// The color is not what was asked for.
        ColorOff = "color_off",
        /// Pixels outside changed.
        ChangedOutside = "changed_outside",
        /// The region is another one than that of the picture's other rows.
        Unlike = "unlike",
    }
}

/// What becomes of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// `Passed` or `Review`.
    pub state: RowState,
    /// Why somebody should look at it.
    pub reasons: Vec<Reason>,
}

impl Measures {
    /// Cells of a manifest of results, empty where nothing is known: how sure, the region's share, ΔE00 and its
    /// 95th percentile, pixels changed outside, seconds, seed, what was reused, whose region it took, and the fingerprint.
    pub fn cells(&self) -> [String; 10] {
        let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
        let count = |value: Option<u64>| value.map(|value| value.to_string()).unwrap_or_default();
        [
            number(self.sure),
            number(self.share),
            number(self.delta_e),
            number(self.delta_e_p95),
            count(self.changed_outside),
            number(self.seconds),
            count(self.seed),
            self.reused.join(" "),
            self.region_from.clone().unwrap_or_default(),
            self.fingerprint.clone().unwrap_or_default(),
        ]
    }

    /// Of a row about several objects: what is known so far, and what is known of the next one. Of each bound that one of them may break
    /// the worst; the region's share is that of the first, as of the picture's other rows.
    pub fn with(self, next: Self) -> Self {
        fn of<T>(a: Option<T>, b: Option<T>, worst: fn(T, T) -> T) -> Option<T> {
            match (a, b) {
                (Some(a), Some(b)) => Some(worst(a, b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            sure: of(self.sure, next.sure, f64::min),
            share: self.share.or(next.share),
            delta_e: of(self.delta_e, next.delta_e, f64::max),
            delta_e_p95: of(self.delta_e_p95, next.delta_e_p95, f64::max),
            changed_outside: of(self.changed_outside, next.changed_outside, u64::max),
            seconds: of(self.seconds, next.seconds, |a, b| a + b),
            fingerprint: next.fingerprint.or(self.fingerprint),
            seed: self.seed.or(next.seed),
            reused: self.reused,
            region_from: self.region_from,
        }
    }

    /// What an edit's report says. `seconds`: how long it took.
    pub fn of(report: &Value, seconds: Option<f64>) -> Self {
        let number = |value: &Value| value.as_f64();
        let recolor = &report["recolor"];
        Self {
            sure: number(&recolor["sure"]).or_else(|| number(&report["way"]["sure"])),
            share: number(&report["roi_share"]),
            delta_e: number(&recolor["delta_e_median"]),
            delta_e_p95: number(&recolor["delta_e_p95"]),
            changed_outside: report["composite"]["changed_outside_px"].as_u64(),
            fingerprint: report["engine"]["fingerprint"].as_str().map(str::to_owned),
            seconds,
            seed: report["seed"].as_u64(),
            reused: report["reused"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|kind| kind.as_str().map(str::to_owned))
                .collect(),
            region_from: report["region_from"].as_str().map(str::to_owned),
        }
    }
}

impl Gate {
    /// Judges a row. `masked`: whether it came with a mask, so that nobody looked for its region. `siblings`: shares of the regions of
    /// the picture's other rows.
    pub fn judge(&self, measures: &Measures, masked: bool, siblings: &[f64]) -> Verdict {
        let mut reasons = Vec::new();
        let mut found = |reason, is: bool| {
            if is {
                reasons.push(reason);
            }
        };
        found(
            Reason::Unsure,
            !masked && measures.sure.is_some_and(|sure| sure < self.sure),
        );
        if let Some(share) = measures.share {
            found(Reason::NoRegion, share <= 0.0);
            found(
                Reason::RegionSmall,
                !masked && share > 0.0 && share < self.share_min,
            );
            found(Reason::RegionLarge, !masked && share > self.share_max);
            let unlike = median(siblings).is_some_and(|usual| {
                let (less, more) = (share.min(usual), share.max(usual));
                more > less * self.unlike
            });
            found(Reason::Unlike, !masked && share > 0.0 && unlike);
        }
        found(
            Reason::ColorOff,
            measures.delta_e.is_some_and(|off| off > self.delta_e),
        );
        found(
            Reason::ChangedOutside,
            measures
                .changed_outside
                .is_some_and(|changed| changed > self.changed_outside),
        );
        let state = if reasons.is_empty() {
            RowState::Passed
        } else {
            RowState::Review
        };
        Verdict { state, reasons }
    }

    /// Checks the bounds.
    ///
    /// # Errors
    /// The first field that is wrong.
    pub fn check(&self) -> Result<(), Invalid> {
        let within = |field: &str, value: f64, least: f64, most: f64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(Invalid::new(
                format!("gate.{field}"),
                format!("must be from {least} to {most}"),
            ))
        };
        within("sure", self.sure, 0.0, 1.0)?;
        within("share_min", self.share_min, 0.0, 1.0)?;
        within("share_max", self.share_max, self.share_min, 1.0)?;
        within("delta_e", self.delta_e, 0.0, 100.0)?;
        within("changed_outside", self.changed_outside as f64, 0.0, 1e12)?;
        within("unlike", self.unlike, 1.0, 100.0)
    }
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|v| *v > 0.0).collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn good() -> Measures {
        let report = json!({
            "recolor": {"sure": 0.9, "delta_e_median": 0.4, "delta_e_p95": 1.2},
            "roi_share": 0.2, "composite": {"changed_outside_px": 0}, "seed": 7,
            "engine": {"fingerprint": "f"},
        });
        Measures::of(&report, Some(1.5))
    }

    #[test]
    fn each_bound_holds_a_row_for_its_reason() {
        let gate = Gate::default();
        let of = |change: fn(&mut Measures), masked, siblings: &[f64]| {
            let mut measures = good();
            change(&mut measures);
            gate.judge(&measures, masked, siblings).reasons
        };
        assert_eq!(of(|_| {}, false, &[0.2, 0.21]), []);
        assert_eq!(of(|m| m.sure = Some(0.1), false, &[]), [Reason::Unsure]);
        assert_eq!(of(|m| m.sure = Some(0.1), true, &[]), []);
        assert_eq!(of(|m| m.share = Some(0.0), false, &[]), [Reason::NoRegion]);
        assert_eq!(
            of(|m| m.share = Some(0.001), false, &[]),
            [Reason::RegionSmall]
        );
        assert_eq!(
            of(|m| m.share = Some(0.9), false, &[]),
            [Reason::RegionLarge]
        );
        assert_eq!(of(|_| {}, false, &[0.5, 0.5]), [Reason::Unlike]);
        assert_eq!(of(|_| {}, false, &[0.05]), [Reason::Unlike]);
        assert_eq!(of(|m| m.delta_e = Some(4.0), true, &[]), [Reason::ColorOff]);
        assert_eq!(
            of(|m| m.changed_outside = Some(1), true, &[]),
            [Reason::ChangedOutside]
        );
        // Nothing is known of an edit without a region and a color: nothing holds it.
        assert_eq!(
            gate.judge(&Measures::default(), false, &[0.2]).state,
            RowState::Passed
        );
    }

    #[test]
    fn bounds_that_no_row_can_keep_are_refused() {
        assert!(Gate::default().check().is_ok());
        for bad in [
            json!({"sure": 1.1}),
            json!({"share_min": 0.5, "share_max": 0.4}),
            json!({"delta_e": -1.0}),
            json!({"unlike": 0.5}),
        ] {
            let gate: Gate = serde_json::from_value(bad.clone()).unwrap();
            assert!(gate.check().is_err(), "{bad}");
        }
    }
}
