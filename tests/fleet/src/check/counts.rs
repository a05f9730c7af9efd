//! What was counted.

/// What was counted.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Edits accepted.
    pub edits: usize,
    /// Of these with a result.
    pub succeeded: usize,
    /// Of these failed, as they were to.
    pub failed: usize,
    /// Of these cancelled.
    pub cancelled: usize,
    /// Claims.
    pub claims: i64,
    /// Claims after the first, of the same edit: rescues and retries.
    pub again: i64,
    /// Attempts charged.
    pub attempts: i64,
    /// Claims that began at a checkpoint.
    pub resumed: usize,
    /// Events.
    pub events: usize,
    /// Streams of events that broke and were taken up again.
    pub streams_again: u32,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.edits += other.edits;
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        self.cancelled += other.cancelled;
        self.claims += other.claims;
        self.again += other.again;
        self.attempts += other.attempts;
        self.resumed += other.resumed;
        self.events += other.events;
        self.streams_again += other.streams_again;
    }
}
