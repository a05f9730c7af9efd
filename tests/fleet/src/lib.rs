//! The fleet under faults, as processes.
