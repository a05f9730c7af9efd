//! Catalogs: many edits asked for at once.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use time::OffsetDateTime;
use url::Url;
use utoipa::{IntoParams, ToSchema};

use crate::catalog::{CatalogState, Gate, Measures, Reason, RowState};
use crate::ids::{BatchId, EditId, ImageId};

/// A catalog to make: what all of its rows have in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "autumn", "defaults": {"instruction": "make the {object} {color}", "preset": "recolor", "color": "{color}"}}))]
pub struct CatalogRequest {
    /// What it is called.
    #[serde(default)]
    #[schema(max_length = 200, example = "autumn")]
    pub name: String,
    /// Fields of an edit request that rows have unless they say otherwise. In `instruction`, `color` and `material`, `{name}` stands for
    /// the row's value of that name.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub defaults: Map<String, Value>,
    /// Bounds within which a row passes without anybody looking at it.
    #[serde(default)]
    pub gate: Gate,
    /// Catalogs of a higher priority go before the tenant's others.
    #[serde(default)]
    #[schema(minimum = -100, maximum = 100, example = 0)]
    pub priority: i16,
    /// Address, http or https, that is told once the catalog has ended, signed with the secret of `GET /v1/webhooks/secret`. `webhook`
    /// of `defaults` is told of each row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 2048, example = "https://shop.example/catalogs")]
    pub webhook: Option<Url>,
}

/// A row: a line of the body of `POST /v1/catalogs/{id}/rows`. Beside these it may have any field of an edit request but `parent`,
/// `session` and `class`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CatalogRow {
    /// Number of the row, from 1. A row that is sent again with its number makes no second edit.
    #[schema(minimum = 1, maximum = 10_000_000, example = 1)]
    pub row: u64,
    /// Values for the places of the templates: texts, numbers or booleans. They come back with the results.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object, example = json!({"sku": "A-17", "object": "sofa", "color": "teal"}))]
    pub values: Map<String, Value>,
    /// Fields of an edit request. In place of `image` there may be `image_url`: an address, `https://` or `s3://bucket/key`, in one of the
    /// places that the operator allows the tenant. It is a template as `instruction` is, the picture is fetched once for all rows that
    /// name it, and it must stay what it was when it was fetched first.
    ///
    /// `objects` makes one row of several objects of the picture, each with its color: a list of up to 8 with fields of an edit request
    /// beside the row's own (`[{"instruction": "make the sofa teal"}, {"instruction": "make the lamp brass"}]`). Each is found by its
    /// words, and edits what the one before made; the row's result is the last one's, and its measures are the worst of all.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

/// What became of a request with rows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowsTaken {
    /// Rows of the request that are new.
    #[schema(example = 1000)]
    pub added: u64,
    /// Rows of the request that were there already.
    #[schema(example = 0)]
    pub repeated: u64,
    /// Rows of the catalog now.
    #[schema(example = 12_000)]
    pub rows: u64,
}

/// A catalog: how far it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CatalogView {
    /// Id of the catalog.
    pub id: BatchId,
    /// What it is called.
    pub name: String,
    /// State of the catalog.
    pub state: CatalogState,
    /// Catalogs of a higher priority go before the tenant's others.
    pub priority: i16,
    /// Rows that came.
    #[schema(example = 12_000)]
    pub rows: u64,
    /// Rows that wait for their turn.
    pub waiting: u64,
    /// Rows whose edits are under way.
    pub live: u64,
    /// Rows that passed.
    pub passed: u64,
    /// Rows that somebody should look at.
    pub review: u64,
    /// Rows that somebody rejected.
    pub rejected: u64,
    /// Rows that failed.
    pub failed: u64,
    /// Rows that were cancelled.
    pub cancelled: u64,
    /// Rows an hour, since the first was started.
    #[schema(example = 7200.0)]
    pub rate_per_hour: Option<f64>,
    /// Seconds until the rows that are there have ended, at that rate.
    #[schema(example = 3600.0)]
    pub left_s: Option<f64>,
    /// Counts changes of the catalog.
    pub version: u64,
    /// Label of the key that made it.
    pub made_by: String,
    /// What rows have unless they say otherwise.
    #[schema(value_type = Object)]
    pub defaults: Map<String, Value>,
    /// Bounds within which a row passes.
    pub gate: Gate,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created_at: OffsetDateTime,
    /// When its first row was started.
    #[serde(with = "time::serde::rfc3339::option")]
    pub started_at: Option<OffsetDateTime>,
    /// When its last row ended.
    #[serde(with = "time::serde::rfc3339::option")]
    pub ended_at: Option<OffsetDateTime>,
    /// Paths of the catalog on this server.
    pub links: CatalogLinks,
}

/// Paths of a catalog on this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CatalogLinks {
    /// The catalog itself.
    #[serde(rename = "self")]
    pub this: String,
    /// Its rows.
    pub rows: String,
    /// The manifest of its results.
    pub results: String,
    /// The stream of its events.
    pub events: String,
}

impl CatalogLinks {
    /// The links of a catalog.
    pub fn new(catalog: BatchId) -> Self {
        let this = format!("/v1/catalogs/{catalog}");
        Self {
            rows: format!("{this}/rows"),
            results: format!("{this}/results"),
            events: format!("{this}/events"),
            this,
        }
    }
}

/// A page of catalogs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CatalogPage {
    /// The catalogs, newest first.
    pub catalogs: Vec<CatalogView>,
    /// Where the next page starts; null on the last.
    pub next: Option<BatchId>,
}

/// Which catalogs to list.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CatalogQuery {
    /// Number of catalogs on a page. 20 by default.
    #[param(minimum = 1, maximum = 100, example = 20)]
    pub limit: Option<u32>,
    /// Where the page starts: `next` of the page before. By default at the newest.
    #[param(value_type = Option<BatchId>)]
    pub cursor: Option<String>,
}

/// A row of a catalog, and what became of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowView {
    /// Number of the row.
    #[schema(example = 1)]
    pub row: u64,
    /// State of the row.
    pub state: RowState,
    /// Why somebody should look at it.
    pub reasons: Vec<Reason>,
    /// Why it failed; of one whose picture could not be fetched yet why it waits.
    pub error: Option<String>,
    /// Its values, as they came.
    #[schema(value_type = Object)]
    pub values: Map<String, Value>,
    /// The picture. Of one that is still to be fetched an id that no image has.
    pub image: ImageId,
    /// The address of the picture, where the row named it by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_url: Option<String>,
    /// What was asked for, in words.
    #[schema(example = "make the sofa teal")]
    pub instruction: String,
    /// Color that was asked for.
    pub color: Option<String>,
    /// Its edit, the last one if it was tried again.
    pub edit: Option<EditId>,
    /// What is known of its result.
    pub measures: Measures,
    /// Who decided on it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<Decision>,
}

/// What somebody decided on a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decision {
    /// `accept`, `reject` or `redo`.
    pub verdict: DecisionKind,
    /// Label of the key.
    pub by: String,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

crate::text_enum::text_enum! {
    /// What can be decided on a row.
    pub enum DecisionKind, "a decision" {
        /// It is good.
        Accept = "accept",
        /// It is not used.
        Reject = "reject",
        /// It is done again, with the fields that the decision brings.
        Redo = "redo",
    }
}

/// A decision on rows that ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"rows": [17], "verdict": "redo", "picture": true, "changes": {"mask": "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57"}}))]
pub struct DecisionRequest {
    /// Numbers of the rows.
    #[schema(min_items = 1, max_items = 1000, example = json!([17]))]
    pub rows: Vec<u64>,
    /// The decision.
    pub verdict: DecisionKind,
    /// Whether it holds for all rows in review of the same pictures, too.
    #[serde(default)]
    pub picture: bool,
    /// For `redo`: fields of an edit request that are other than before, such as `mask`, `seed`, `material`, `color` or `preset`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = Object)]
    pub changes: Map<String, Value>,
}

/// How many rows something was done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RowsChanged {
    /// Rows.
    #[schema(example = 12)]
    pub rows: u64,
}

/// Another priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorityRequest {
    /// Catalogs of a higher priority go before the tenant's others.
    #[schema(minimum = -100, maximum = 100, example = 10)]
    pub priority: i16,
}

/// A page of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowPage {
    /// The rows, by number.
    pub rows: Vec<RowView>,
    /// Number after which the next page starts; null on the last.
    pub next: Option<u64>,
}

/// Which rows to show.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RowQuery {
    /// Number of rows on a page. 20 by default.
    #[param(minimum = 1, maximum = 1000, example = 20)]
    pub limit: Option<u32>,
    /// Number of the row after which the page starts: `next` of the page before. By default before the first.
    #[param(minimum = 0, maximum = 10_000_000)]
    pub after: Option<u64>,
    /// Only rows of this state. By default all.
    #[param(inline)]
    pub state: Option<RowState>,
}

/// As what the manifest of results leaves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// `csv` or `jsonl`. `jsonl` by default.
    #[param(inline)]
    pub format: Option<ResultsFormat>,
}

crate::text_enum::text_enum! {
    /// A form of manifests.
    pub enum ResultsFormat, "a manifest's form" {
        /// Comma-separated values, with a line of names.
        Csv = "csv",
        /// A JSON object on each line.
        Jsonl = "jsonl",
    }
}

/// Whose rates to show.
#[derive(Clone, Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RatesQuery {
    /// The model. By default the one that edits without a model run on.
    #[param(example = "rooms")]
    pub model: Option<String>,
    /// The preset. By default the one that edits without a preset start from.
    #[param(example = "recolor")]
    pub preset: Option<String>,
}

/// How long edits take, by the tenant's newest ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rates {
    /// The model.
    #[schema(example = "rooms")]
    pub model: String,
    /// The preset.
    #[schema(example = "recolor")]
    pub preset: String,
    /// Edits that the living workers of the model run at once.
    pub slots: u64,
    /// Edits that looked for their region. Null where there was none lately.
    pub first: Option<Rate>,
    /// Edits that took an earlier one's region. Null where there was none lately.
    pub further: Option<Rate>,
}

/// How long edits of a kind took: the 10th and the 90th percentile.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Rate {
    /// How many were looked at.
    pub edits: u64,
    /// Seconds on a worker, low.
    #[schema(example = 0.8)]
    pub seconds_low: f64,
    /// Seconds on a worker, high.
    #[schema(example = 1.4)]
    pub seconds_high: f64,
    /// Seconds on the device, low.
    #[schema(example = 0.3)]
    pub device_low: f64,
    /// Seconds on the device, high.
    #[schema(example = 0.4)]
    pub device_high: f64,
}

impl DecisionKind {
    /// States of the rows that it can be taken on.
    pub const fn from(self) -> &'static [&'static str] {
        match self {
            Self::Accept => &["review", "rejected"],
            Self::Reject => &["review", "passed"],
            Self::Redo => &["review", "rejected", "passed", "failed"],
        }
    }
}
