//! How urgent an edit is.

crate::text_enum::open_text_enum! {
    /// How urgent an edit is. `interactive` goes before `bulk`.
    pub enum Class, "a class" {
        /// Somebody waits for the result.
        Interactive = "interactive",
        /// Nobody waits: it runs when no interactive edit is queued.
        Bulk = "bulk",
    }
}

#[expect(
    clippy::derivable_impls,
    reason = "the macro of these enums writes the derives"
)]
impl Default for Class {
    fn default() -> Self {
        Self::Interactive
    }
}
