//! Server-sent events.

use utoipa::ToSchema;

/// A server-sent event of an edit's stream, field by field. It is sent as text; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct SentEvent {
    /// Number of the event, to be sent back as `Last-Event-ID`. Previews have none.
    pub id: Option<String>,
    /// Kind of the event as in `EditEvent`, or `preview`.
    pub event: String,
    /// An `EditEvent` as JSON. Of a preview an object with `step`, the number of steps done, and `jpeg`, a small JPEG in
    /// base64.
    pub data: String,
}

/// A server-sent event of a session's stream, field by field. It is sent as text; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct SentSessionEvent {
    /// Number of the event in the session, to be sent back as `Last-Event-ID`. Previews have none.
    pub id: Option<String>,
    /// Kind of the turn's event as in `EditEvent`, `head` where the head moved, or `preview`.
    pub event: String,
    /// A `SessionEvent` as JSON. Of a preview an object with `edit`, the turn, `step`, the number of steps done, and `jpeg`, a
    /// small JPEG in base64.
    pub data: String,
}

/// A server-sent event of a catalog's stream, field by field. It is sent as text; this describes it.
#[derive(Clone, Debug, ToSchema)]
pub struct SentCatalogEvent {
    /// Version of the catalog, to be sent back as `Last-Event-ID`.
    pub id: Option<String>,
    /// `progress`, or `ended` at its end.
    pub event: String,
    /// A `CatalogView` as JSON.
    pub data: String,
}
