//! The cases of the suite. They share a database on the embedded Postgres, so each looks at its own tenants alone.

pub(super) mod access;
pub(super) mod aside;
pub(super) mod catalogs;
pub(super) mod deletion;
pub(super) mod intermediates;
pub(super) mod lease;
pub(super) mod needs;
pub(super) mod outages;
pub(super) mod outcome;
pub(super) mod reads;
pub(super) mod release;
pub(super) mod retention;
pub(super) mod sessions;
pub(super) mod submit;
pub(super) mod sweep;
pub(super) mod webhooks;
