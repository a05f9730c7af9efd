//! # Layout
//!
//! The HTTP API of Limekiln: the coordinator's face.
//!
//! | module | purpose |
//! |---|---|
//! | [`settings`] | what a gateway allows, and for how long |
//! | [`state`] | what every request works with |
//! | [`serve`] | connections: header timeouts, their number, an orderly end (`patient`: readers that stopped reading) |
//! | `routes` | which address is whose |
//! | `layers` | around every request: id, span, figures, time limit, room, problems for what fails without one |
//! | `problem` | errors as clients see them (RFC 9457), with stable codes |
//! | `caller` | API keys |
//! | `params`, `body`, `strict` | parameters; bodies bounded in bytes, time and memory; JSON as schemas mean it |
//! | `images`, `download` | pictures in; blobs out |
//! | `edits` | edits asked for, looked at, followed (server-sent events), cancelled; their artifacts |
//! | `openai` | OpenAI's image-edit API on the same edits |
//! | `sessions`, `models`, `account`, `admin`, `health` | the rest of the API |
//! | `openapi`, `page` | its description at `/openapi.json`, and a page that shows it |
//!
//! Bad request lines, headers that are too large and headers that don't come are answered by hyper, without a problem.
//!
//! # Metrics
//!
//! | name | kind | labels | what |
//! |---|---|---|---|
//! | `limekiln_http_requests_total` | counter | `method`, `route`, `status` | requests answered |
//! | `limekiln_http_seconds` | histogram | `method`, `route` | until the head of the answer |
//! | `limekiln_http_problems_total` | counter | `code` | requests refused or failed |
//! | `limekiln_http_connections_open` | gauge | | connections |
//! | `limekiln_upload_bytes_total` | counter | | pictures stored |
//! | `limekiln_watchers_open` | gauge | | readers of events, the OpenAI route's waits included |
//! | `limekiln_watched_events_total` | counter | `source` | events given to readers: `live` from the broker, `read` from Postgres |

mod account;
#[expect(unused_qualifications, reason = "what utoipa makes of `params`")]
mod admin;
mod body;
mod caller;
mod download;
mod edits;
mod health;
mod images;
mod layers;
mod models;
mod openai;
mod openapi;
mod page;
mod params;
mod patient;
mod problem;
mod routes;
pub mod serve;
mod sessions;
pub mod settings;
pub mod state;
mod strict;

pub use problem::Code;
pub use routes::{openapi, router};
pub use serve::{Error, serve};
pub use settings::{Downloads, Limits, Settings, SpecCheck, Timeouts};
pub use state::{Services, State};
