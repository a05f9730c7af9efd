//! What a gateway allows, and for how long.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use limekiln_jobs::{ModelName, Spec};
use url::Url;

/// Says what is wrong with a preset and its replaced fields, before anything is queued. The command knows presets; the
/// gateway does not.
pub type SpecCheck = Arc<dyn Fn(&Spec) -> Result<(), String> + Send + Sync>;

/// Settings of a gateway.
#[derive(Clone)]
pub struct Settings {
    /// Models that edits may name although no worker that holds them is alive (a pool may scale from zero). The first
    /// is meant when an edit names none.
    pub models: Vec<ModelName>,
    /// Preset of edits that name none.
    pub preset: String,
    /// Presets there are; when there are none here, any name is taken and the worker says what is wrong.
    pub presets: Vec<String>,
    /// Checks a preset and its replaced fields.
    pub spec_check: Option<SpecCheck>,
    /// How results reach the client.
    pub downloads: Downloads,
    /// The address clients know the gateway by, for the API's description.
    pub public_url: Option<Url>,
    /// Sizes and numbers.
    pub limits: Limits,
    /// Times.
    pub timeouts: Timeouts,
}

impl Settings {
    /// The defaults, for edits by `model` unless they name another.
    pub fn new(model: ModelName) -> Self {
        Self {
            models: vec![model],
            preset: Spec::PRESET_DEFAULT.to_owned(),
            presets: Vec::new(),
            spec_check: None,
            downloads: Downloads::Redirect,
            public_url: None,
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
            .field("spec_check", &self.spec_check.is_some())
            .field("downloads", &self.downloads)
            .field("public_url", &self.public_url.as_ref().map(Url::as_str))
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

/// Sizes and numbers; whatever is beyond is refused.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest picture, as sent.
    pub upload_bytes: usize,
    /// Longest side of a picture, in pixels.
    pub side_max: u32,
    /// Largest picture, in pixels.
    pub pixels_max: u64,
    /// Largest JSON body.
    pub json_bytes: usize,
    /// Bytes of bodies in memory, all requests together.
    pub upload_memory_bytes: usize,
    /// Pictures being decoded at once.
    pub decodes: usize,
    /// Open connections; more wait to be accepted.
    pub connections: usize,
    /// Requests being answered at once, streams of events not counted; more are told to come back.
    pub requests: usize,
    /// Open streams of events.
    pub watchers: usize,
    /// Requests of the OpenAI route that wait for their pictures.
    pub openai_waits: usize,
    /// Most bytes of request headers.
    pub header_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 20 << 20,
            side_max: 8192,
            pixels_max: 40_000_000,
            json_bytes: 64 << 10,
            upload_memory_bytes: 256 << 20,
            decodes: 2,
            connections: 4096,
            requests: 512,
            watchers: 2048,
            openai_waits: 256,
            header_bytes: 32 << 10,
        }
    }
}

/// Times.
#[derive(Clone, Debug)]
pub struct Timeouts {
    /// From the start of a connection, or of waiting for its next request, until the headers are complete.
    pub header: Duration,
    /// Longest wait for the next piece of a body.
    pub body_idle: Duration,
    /// A whole body.
    pub body: Duration,
    /// A whole request, its body and waits for pictures not counted.
    pub request: Duration,
    /// A request of the OpenAI route waits so long for its pictures.
    pub openai_wait: Duration,
    /// How long a client may read nothing of what is sent to it.
    pub write: Duration,
    /// Each dependency of `/readyz`.
    pub ready: Duration,
    /// How long presigned addresses are good for.
    pub presign: Duration,
    /// Silence in a stream of events, until a comment shows that it is alive.
    pub keep_alive: Duration,
    /// How often the heads of watched edits are read, in case live events were lost.
    pub poll: Duration,
    /// How long a found API key is remembered: a revoked one works so long at most.
    pub key_cache: Duration,
    /// How long open requests may go on after a shutdown.
    pub shutdown: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            header: Duration::from_secs(10),
            body_idle: Duration::from_secs(10),
            body: Duration::from_secs(120),
            request: Duration::from_secs(30),
            openai_wait: Duration::from_secs(600),
            write: Duration::from_secs(60),
            ready: Duration::from_secs(2),
            presign: Duration::from_secs(900),
            keep_alive: Duration::from_secs(15),
            poll: Duration::from_secs(1),
            key_cache: Duration::from_secs(5),
            shutdown: Duration::from_secs(8),
        }
    }
}
