//! `/v1/edits`.
//!
//! | module | what is in it |
//! |---|---|
//! | `submit` | from a request to a submission, and its outcome |
//! | `region` | from the region that a user names to a mask |
//! | `read` | one edit, and pages of them |
//! | `cancel` | ending an edit |
//! | `delete` | deleting an edit that ended |
//! | `result` | the edited picture, in the format and size that the client wishes |
//! | `artifacts` | regions and the other files |
//! | `overlay` | the picture with the region marked, painted when it is asked for |
//! | `events` | the stream of an edit's events |

pub(crate) mod artifacts;
pub(crate) mod cancel;
pub(crate) mod delete;
pub(crate) mod events;
pub(crate) mod overlay;
pub(crate) mod read;
pub(crate) mod region;
pub(crate) mod result;
pub(crate) mod submit;
