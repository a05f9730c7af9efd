//! How urgent an edit is.

crate::text_enum::text_enum! {
    /// How urgent an edit is. `interactive` goes before `bulk`.
    #[derive(Default)]
    pub enum Class, "a class" {
        /// Somebody waits for the result.
        #[default]
        Interactive = "interactive",
        /// Nobody waits: it runs when no interactive edit is queued.
        Bulk = "bulk",
    }
}
