//! The half that talks to an S3 server.
//!
//! | module | what is in it |
//! |---|---|
//! | `client` | [`S3`]: the SDK's clients, made from the settings |
//! | `bucket` | find and create the bucket |
//! | `get` | get, head, presign |
//! | `put` | whole, or in parts |
//! | `list` | list, delete, and abandoned uploads |
//! | `fault` | what the SDK's errors mean |

mod bucket;
mod client;
mod fault;
mod get;
mod list;
mod put;

pub(crate) use client::S3;
