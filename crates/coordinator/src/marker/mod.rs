//! Whose the bucket is: a fleet's database and its bucket, or its prefix in one, name each other.
//!
//! The marker is an object, `fleet.json`, that names the fleet of the database. Every process that opens blobs compares the two
//! when it starts ([`claim`]), and nothing is deleted without another look.
//!
//! It also says when it was written, by the database's clock, and which edit was the newest then. The time goes into the
//! database first and into the marker after that, so a marker that is newer than its database tells that the database was
//! restored from before: it knows less than lies in the bucket, and nothing is deleted until an operator says that this is to
//! be so. A time says more than the edit would: a restored database takes new edits at once, and would look up to date.
//!
//! | module | what is in it |
//! |---|---|
//! | `object` | [`Marker`]: what the object says |
//! | `standing` | [`standing`]: how bucket and database stand to each other |
//! | `claim` | [`claim`] at the start of a process; [`adopt`] and [`restore_accept`] for an operator |
//! | `keep` | the loop that writes the marker, and says when nothing may be deleted |

mod claim;
mod keep;
mod object;
mod standing;

pub use claim::{Adopted, adopt, claim, restore_accept};
pub(crate) use keep::Keep;
pub use object::Marker;
pub use standing::{Standing, standing};
