//! Edits: asked for, looked at, followed, ended.
//!
//! | module | what is in it |
//! |---|---|
//! | `submit` | `POST /v1/edits`: from a request to a submission, and what became of it |
//! | `read` | one edit, and pages of them |
//! | `control` | cancel |
//! | `artifacts` | results, regions and the rest |
//! | `events` | the stream of events |

pub(crate) mod artifacts;
pub(crate) mod control;
pub(crate) mod events;
#[expect(unused_qualifications, reason = "what utoipa makes of `params`")]
pub(crate) mod read;
pub(crate) mod submit;

pub(crate) use events::Heads;
