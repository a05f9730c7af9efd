//! Claims edits under a lease, runs the engine, returns the results.
