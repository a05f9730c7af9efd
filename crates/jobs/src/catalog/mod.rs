//! Catalogs: many edits asked for at once, of which a few are under way. `template` makes a row's words of its values, `gate`
//! decides what becomes of a row whose edit ended, `cell` keeps spreadsheets from running what a manifest says.

mod cell;
mod gate;
mod template;

pub use cell::{cell_read, cell_text, value_text};
pub use gate::{Gate, Measures, Reason, Verdict};
pub use template::{Template, TemplateError};

/// The most rows of a catalog.
pub const ROWS_MAX: u64 = 10_000_000;
/// The most rows of one request.
pub const CHUNK_ROWS_MAX: usize = 5_000;
/// The most bytes of one request with rows.
pub const CHUNK_BYTES_MAX: usize = 4 << 20;
/// The most values of a row.
pub const VALUES_MAX: usize = 64;
/// The most catalogs of a tenant that have not ended.
pub const CATALOGS_OPEN_MAX: u32 = 100;
/// The most rows of a catalog that are under way at once.
pub const LIVE_MAX: u32 = 256;

crate::text_enum::text_enum! {
    /// State of a catalog.
    pub enum CatalogState, "a catalog's state" {
        /// Rows may still come; those that are there run.
        Open = "open",
        /// All rows came; some have not ended.
        Sealed = "sealed",
        /// No more rows are started until it is resumed.
        Paused = "paused",
        /// It was cancelled; some of its edits are ending.
        Cancelling = "cancelling",
        /// It was cancelled.
        Cancelled = "cancelled",
        /// Every row ended. Those in review may still be decided.
        Ended = "ended",
    }
}

crate::text_enum::text_enum! {
    /// State of a row.
    pub enum RowState, "a row's state" {
        /// It waits for its turn.
        Waiting = "waiting",
        /// Its edit is under way.
        Live = "live",
        /// Its edit succeeded, and the quality gate let it pass, or somebody accepted it.
        Passed = "passed",
        /// Its edit succeeded, and somebody should look at it.
        Review = "review",
        /// Somebody rejected it.
        Rejected = "rejected",
        /// Its edit failed, or could not be made.
        Failed = "failed",
        /// It was cancelled.
        Cancelled = "cancelled",
    }
}
