//! What `limekiln edit` reports.

use limekiln_lime::canvas::ResultReport;
use serde::Serialize;

/// The files around an edit, and the report of its result.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) input: String,
    pub(crate) output: String,
    /// Names of the files in the folder of `--artifacts`.
    pub(crate) artifacts: Vec<String>,
    /// Sizes, settings, timings and findings.
    #[serde(flatten)]
    pub(crate) result: ResultReport,
}
