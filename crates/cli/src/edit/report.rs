//! What `limekiln edit` reports.

use limekiln_lime::canvas::ResultReport;
use limekiln_pictures::Left;
use serde::Serialize;

/// How the result's file was made.
#[derive(Debug, Serialize)]
pub(crate) struct FileReport {
    format: &'static str,
    /// Blocks of the input's JPEG that the file keeps; none where it was coded from pixels.
    blocks_kept: Option<u64>,
    /// Blocks of it that were replaced.
    blocks_replaced: Option<u64>,
    /// Why a JPEG's blocks could not be kept.
    coded_anew: Option<String>,
    /// Pixels outside the seam that the file's format moved, where it did.
    moved_px: Option<u64>,
}

impl FileReport {
    pub(super) fn of(left: &Left) -> Self {
        Self {
            format: left.format.word(),
            blocks_kept: left.blocks.map(|count| count.kept),
            blocks_replaced: left.blocks.map(|count| count.touched),
            coded_anew: left.anew.clone(),
            moved_px: left.moved,
        }
    }
}

/// The files around an edit, and the report of its result.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) version: &'static str,
    pub(crate) input: String,
    pub(crate) output: String,
    /// How the result's file was made.
    pub(crate) file: FileReport,
    /// Names of the files in the folder of `--artifacts`.
    pub(crate) artifacts: Vec<String>,
    /// Sizes, settings, timings and findings.
    #[serde(flatten)]
    pub(crate) result: ResultReport,
}
