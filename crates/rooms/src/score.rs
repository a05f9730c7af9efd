//! What RoomBench measures, on pictures and masks of one size.
