//! The HTTP API of Limekiln.
//!
//! # Layout
//!
//! | module | purpose |
//! |---|---|
//! | [`settings`] | what a gateway allows, and for how long |
//! | [`state`] | what every request works with: `memory` bounds it, `shares` what one tenant may hold, `worker_cache` remembers for a moment what Postgres says, `poller` reads the events that the broker lost, `watched` asks for all streams at once |
//! | `keys` | API keys: remembered for a moment, a bucket of requests for each, streams that end with them, their last use |
//! | [`status`] | what a process says of itself: `readiness` checks its services, `disks` remembers full ones |
//! | [`serve`] | connections: their number, header timeouts, an orderly end; `write_timeout` against clients that stopped reading |
//! | `routes` | which handler answers which path, on the public port and on the status port |
//! | `layers`, `cors` | what happens around every request: id, span, metrics, problem documents for errors that have none; pages of other origins |
//! | `admission` | who is let in: bounds on all requests, on a tenant's and on a key's |
//! | `quotas` | bytes that a tenant may upload and store |
//! | `problem` | errors of handlers as problem documents (RFC 9457) |
//! | `auth`, `sign_in` | API keys; a cookie that stands for one, for the page |
//! | `params`, `body`, `strict_json` | extractors: parameters; bodies bounded in bytes, time and memory; JSON as JSON Schema understands it |
//! | `images`, `upload` | `/v1/images`; pictures in, checked in memory set aside before |
//! | `download`, `range`, `leaving`, `made` | files out: whole or in parts; results in the format and size that a client wishes, kept for a while |
//! | `edits` | `/v1/edits`: submitted, shown, followed (server-sent events), cancelled, deleted; their files |
//! | `fetching` | pictures that rows of catalogs name by their address, fetched from places that the tenant is allowed |
//! | `openai` | OpenAI's image-edit API on the same edits; its files and batches, on catalogs |
//! | `segmentations` | `/v1/images/{id}/segmentation` and that of an edit: segments to choose from |
//! | `sessions` | `/v1/sessions`: trees of edits, their heads and branches, the stream of all turns |
//! | `models`, `account`, `webhooks`, `admin`, `health` | the rest of the API |
//! | `openapi`, `docs` | its description at `/openapi.json`, and a page that shows it |
//! | `studio` | the page at `/` where pictures are edited, of files in `web/studio` |
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
//! | `limekiln_made_files_total` | counter | `outcome` | results in other formats and sizes given out: `made` for that, or `kept` from before |
//! | `limekiln_made_files_bytes` | gauge | | bytes of those that are kept |
//! | `limekiln_service_up` | gauge | `service` | 1 while the process can use `postgres`, `broker`, `blobs` |
//! | `limekiln_catalog_rows_taken_total` | counter | | rows of catalogs that came in |
//! | `limekiln_pictures_fetched_total` | counter | `outcome` | pictures that rows name by their address: `there`, `changed` (another than the first time), `failed`, `put_off` (its host may do better soon), `no_room` (this service has none), `lost` to another gateway |
//! | `limekiln_fetch_seconds` | histogram | | time that one took |
//! | `limekiln_openai_batches_total` | counter | `outcome` | work on batches of OpenAI's API: `started`, `failed` (its file is wrong), `stopped`, `finished`, `lost` to another gateway, `put_off` for another try |
//! | `limekiln_head_moves_total` | counter | `outcome` | undo, redo and jumps in sessions: `moved`, `stale` (the head was elsewhere by then), `refused` |
//! | `limekiln_watchers_open` | gauge | | readers of events, the OpenAI route's waits included |
//! | `limekiln_watched_events_total` | counter | `source` | events given to readers: `live` from the broker, `read` from Postgres |

mod account;
mod admin;
mod admission;
mod auth;
mod body;
mod catalogs;
mod cors;
mod disks;
mod docs;
mod download;
mod edits;
mod fetching;
mod health;
mod images;
mod keys;
mod layers;
mod leaving;
mod made;
mod memory;
mod models;
mod openai;
mod openapi;
mod params;
mod poller;
mod problem;
mod quotas;
mod range;
mod readiness;
mod routes;
mod segmentations;
pub mod serve;
mod sessions;
pub mod settings;
mod shares;
mod sign_in;
pub mod state;
pub mod status;
mod strict_json;
mod studio;
mod upload;
mod watched;
mod webhooks;
mod worker_cache;
mod write_timeout;

pub use cors::{NoOrigin, Origin};
pub use health::status_router;
pub use routes::{openapi, operator_router, router};
pub use serve::{Error, serve};
pub use settings::{Downloads, Length, Limits, Resolve, Settings, Timeouts};
pub use state::{Services, State};
pub use status::Status;
