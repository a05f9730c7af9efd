//! The HTTP API of Limekiln.
//!
//! # Layout
//!
//! | module | purpose |
//! |---|---|
//! | [`settings`] | what a gateway allows, and for how long |
//! | [`state`] | what every request works with: `memory` bounds it, `key_cache`, `worker_cache` and `readiness` remember for a moment what Postgres says, `poller` reads the events that the broker lost |
//! | [`serve`] | connections: their number, header timeouts, an orderly end; `write_timeout` against clients that stopped reading |
//! | `routes` | which handler answers which path |
//! | `layers` | what happens around every request: id, span, metrics, time limit, problem documents for errors that have none |
//! | `problem` | errors of handlers as problem documents (RFC 9457) |
//! | `auth` | API keys |
//! | `params`, `body`, `strict_json` | extractors: parameters; bodies bounded in bytes, time and memory; JSON as JSON Schema understands it |
//! | `images`, `upload`, `download` | `/v1/images`; pictures in, checked in memory set aside before; files out |
//! | `edits` | `/v1/edits`: submitted, shown, followed (server-sent events), cancelled; their files |
//! | `openai` | OpenAI's image-edit API on the same edits |
//! | `sessions`, `models`, `account`, `admin`, `health` | the rest of the API |
//! | `openapi`, `docs` | its description at `/openapi.json`, and a page that shows it |
//!
//! What the API takes and gives is in [`limekiln_jobs::api`].
//!
//! hyper answers malformed request lines and headers, and headers that are too large or late, without a problem document.
//!
//! # Metrics
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `limekiln_http_requests_total` | counter | `method`, `route`, `status` | requests answered |
//! | `limekiln_http_seconds` | histogram | `method`, `route` | time until the head of the answer |
//! | `limekiln_http_problems_total` | counter | `code` | requests refused or failed |
//! | `limekiln_http_connections_open` | gauge | | connections |
//! | `limekiln_upload_bytes_total` | counter | | pictures stored |
//! | `limekiln_watchers_open` | gauge | | readers of events, the OpenAI route's waits included |
//! | `limekiln_watched_events_total` | counter | `source` | events given to readers: `live` from the broker, `read` from Postgres |

mod account;
mod admin;
mod auth;
mod body;
mod docs;
mod download;
mod edits;
mod health;
mod images;
mod key_cache;
mod layers;
mod memory;
mod models;
mod openai;
mod openapi;
mod params;
mod poller;
mod problem;
mod readiness;
mod routes;
pub mod serve;
mod sessions;
pub mod settings;
pub mod state;
mod strict_json;
mod upload;
mod worker_cache;
mod write_timeout;

pub use routes::{openapi, router};
pub use serve::{Error, serve};
pub use settings::{Downloads, Limits, Settings, SpecCheck, Timeouts};
pub use state::{Services, State};
