//! Settings of a gateway: what it allows, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use limekiln_coordinator::fetch::FetchSettings;
use limekiln_jobs::api::Invalid;
use limekiln_jobs::api::ModelLimits;
use limekiln_jobs::{ModelName, Resolved, Spec};
use url::Url;

use crate::cors::Origin;

/// Resolves a preset with its replaced fields before an edit is queued, or says what is wrong with them. The command hands it
/// in, because it knows presets and the gateway does not.
pub type Resolve = Arc<dyn Fn(&Spec) -> Result<Resolved, Invalid> + Send + Sync>;

/// Says why an instruction is too long for the model of this name; none where it is not, or where nobody knows. The command
/// hands it in, because it knows tokenizers and the gateway does not.
pub type Length = Arc<dyn Fn(&ModelName, &str) -> Option<String> + Send + Sync>;

/// Settings of a gateway.
#[derive(Clone)]
pub struct Settings {
    /// Models that edits may name even when no living worker holds them, since a pool may scale from zero. Edits that name
    /// none run on the first.
    pub models: Vec<ModelName>,
    /// Preset of edits that name none.
    pub preset: String,
    /// Presets that edits may name. Where none are given, any name is accepted, and the worker checks it.
    pub presets: Vec<String>,
    /// Resolves presets with their replaced fields. Without it the worker does, by their names.
    pub resolve: Option<Resolve>,
    /// How results reach the client.
    pub downloads: Downloads,
    /// Address that clients know the gateway by, for the API's description.
    pub public_url: Option<Url>,
    /// Whether the admin routes are on the public port too, and not on the status port alone.
    pub admin_public: bool,
    /// Whether `/metrics` and the details of `/readyz` are on the public port too.
    pub status_public: bool,
    /// Origins whose pages may use the API, with a key of theirs.
    pub origins: Vec<Origin>,
    /// Finds instructions that are too long for their model. Without it the worker does.
    pub length: Option<Length>,
    /// How pictures are fetched that rows of catalogs name by their address; the largest is that of an upload.
    pub fetch: FetchSettings,
    /// How much requests may ask for, and how many there may be.
    pub limits: Limits,
    /// How long clients, other requests and services are waited for.
    pub timeouts: Timeouts,
}

impl Settings {
    /// The defaults, for edits by `model` unless they name another.
    pub fn new(model: ModelName) -> Self {
        Self {
            models: vec![model],
            preset: Spec::PRESET_DEFAULT.to_owned(),
            presets: Vec::new(),
            resolve: None,
            downloads: Downloads::Redirect,
            public_url: None,
            admin_public: false,
            status_public: false,
            origins: Vec::new(),
            length: None,
            fetch: FetchSettings::default(),
            limits: Limits::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("models", &self.models)
            .field("preset", &self.preset)
            .field("presets", &self.presets)
            .field("resolve", &self.resolve.is_some())
            .field("downloads", &self.downloads)
            .field("public_url", &self.public_url.as_ref().map(Url::as_str))
            .field("admin_public", &self.admin_public)
            .field("status_public", &self.status_public)
            .field("origins", &self.origins)
            .field("length", &self.length.is_some())
            .field("fetch", &self.fetch)
            .field("limits", &self.limits)
            .field("timeouts", &self.timeouts)
            .finish()
    }
}

/// How results reach the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Downloads {
    /// 307 to a presigned address of the blob store.
    #[default]
    Redirect,
    /// Through the gateway: for clients that can't reach the blob store.
    Proxy,
}

/// Bounds on sizes and numbers. What is beyond them is refused.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest picture in bytes, as sent.
    pub upload_bytes: usize,
    /// Largest file of requests in bytes.
    pub file_bytes: u64,
    /// Longest side of a picture in pixels.
    pub side_max: u32,
    /// Largest picture in pixels.
    pub pixels_max: u64,
    /// Largest JSON body in bytes.
    pub json_bytes: usize,
    /// Bytes in memory of bodies, of pictures being checked and of answers with pictures, all requests together.
    pub upload_memory_bytes: usize,
    /// Bytes of results in other formats and sizes that are kept for a while, beside that memory.
    pub made_bytes: u64,
    /// Pictures that are decoded at once.
    pub decodes: usize,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Requests that are answered at once, without streams of events. More are told to come back.
    pub requests: usize,
    /// Open streams of events.
    pub watchers: usize,
    /// Requests of the OpenAI route that wait for their pictures.
    pub openai_waits: usize,
    /// The part of the requests, streams, waits and (by downloads) connections above that one tenant may hold, above 0 and at
    /// most 1.
    pub tenant_share: f64,
    /// Bytes of a request's headers.
    pub header_bytes: usize,
    /// What edits may ask for of a model of which no worker has ever said it: a pool may have scaled from zero since the start.
    pub unannounced: ModelLimits,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 20 << 20,
            file_bytes: 200 << 20,
            side_max: limekiln_pictures::Limits::SIDE_MAX,
            pixels_max: limekiln_pictures::Limits::PIXELS_MAX,
            json_bytes: 64 << 10,
            upload_memory_bytes: 1 << 30,
            made_bytes: 128 << 20,
            decodes: 2,
            connections: 4096,
            requests: 512,
            watchers: 2048,
            openai_waits: 256,
            tenant_share: 0.25,
            header_bytes: 32 << 10,
            unannounced: ModelLimits {
                size: 512,
                size_max: 2048,
                rows_max: 1200,
                distances_max: 1 << 30,
            },
        }
    }
}

/// How long clients, other requests and services are waited for: none of them may hold up a gateway.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the start of a connection, or of waiting for its next request, until the headers are complete.
    pub header: Duration,
    /// The longest wait for the next piece of a body.
    pub body_idle: Duration,
    /// Reading a whole body.
    pub body: Duration,
    /// Reading a whole file of requests.
    pub file: Duration,
    /// Waiting for memory that other requests hold.
    pub memory: Duration,
    /// Answering a request, without its body and waits for pictures.
    pub request: Duration,
    /// How long a request of the OpenAI route waits for its pictures.
    pub openai_wait: Duration,
    /// How long a client may read nothing of what it is sent.
    pub write: Duration,
    /// Checking one dependency for `/readyz`.
    pub ready: Duration,
    /// How long presigned addresses work.
    pub presign: Duration,
    /// Silence in a stream of events after which a comment is sent.
    pub keep_alive: Duration,
    /// How often Postgres is asked for newer events of watched edits, in case live events were lost.
    pub poll: Duration,
    /// How long an API key is remembered, and so how long a revoked one may still work and its streams stay open.
    pub key_cache: Duration,
    /// How long after its use it is written when a key was last used.
    pub key_use: Duration,
    /// How long open requests may go on during a shutdown.
    pub shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body_idle: Duration::from_secs(10),
            body: Duration::from_secs(120),
            file: Duration::from_secs(900),
            memory: Duration::from_secs(5),
            request: Duration::from_secs(30),
            openai_wait: Duration::from_secs(600),
            write: Duration::from_secs(60),
            ready: Duration::from_secs(2),
            presign: Duration::from_secs(900),
            keep_alive: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            key_cache: Duration::from_secs(5),
            key_use: Duration::from_secs(60),
            shutdown: Duration::from_secs(8),
        }
    }
}
