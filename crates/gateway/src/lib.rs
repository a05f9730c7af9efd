//! The HTTP API of Limekiln.
