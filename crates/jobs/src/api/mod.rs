//! What the HTTP API takes and gives: one type for the gateway, for its description in OpenAPI and for clients.
//!
//! | module | what is in it |
//! |---|---|
//! | `account` | `/v1/me` |
//! | `admin` | `/v1/admin`: workers, queues, dead letters, pause, drain |
//! | `catalog` | `/v1/catalogs` |
//! | `delete` | what a deletion takes with it |
//! | `edit` | `/v1/edits`; the body of its `POST` is [`EditRequest`](crate::EditRequest) |
//! | `health` | `/readyz` |
//! | `image` | `/v1/images` |
//! | `model` | `/v1/models` |
//! | `openai` | `/v1/images/edits`, in OpenAI's form |
//! | `limits` | what the workers of a model take on |
//! | `problem` | answers to requests that failed, and their codes |
//! | `result` | as which file a result leaves |
//! | `session` | `/v1/sessions` |
//! | `stream` | server-sent events |
//! | `tenant` | `/v1/admin/tenants`: limits, use and keys of tenants |
//! | `webhook` | `/v1/webhooks`, and what is posted when an edit ended |
//!
//! The comments of these types and fields are what the API page shows. Fields that newer gateways add are ignored here.

mod account;
mod admin;
mod catalog;
mod delete;
mod edit;
mod health;
mod image;
mod limits;
mod model;
mod openai;
mod openai_batch;
mod problem;
mod result;
mod segmentation;
mod session;
mod source;
mod stream;
mod tenant;
mod webhook;

pub use account::{Account, AccountLimits, DayUsage, Role, TenantUse};
pub use admin::{
    DeadLetter, DeadLetterPage, DeadLetterQuery, Drained, Paused, QueueCount, Queues, RetriedEdit,
    Worker, Workers,
};
pub use catalog::{
    CatalogLinks, CatalogPage, CatalogQuery, CatalogRequest, CatalogRow, CatalogView, Decision,
    DecisionKind, DecisionRequest, PriorityRequest, Rate, Rates, RatesQuery, ResultsFormat,
    ResultsQuery, RowPage, RowQuery, RowView, RowsChanged, RowsTaken,
};
pub use delete::DeleteQuery;
pub use edit::{AcceptedEdit, EditLinks, EditPage, EditQuery, EditView};
pub use health::{Check, Readiness};
pub use image::{ImageLinks, ImageView};
pub use limits::ModelLimits;
pub use model::{Model, Models};
pub use openai::{
    ImageAddress, ImageEditEvent, ImageEditForm, ImageEditJson, ImagesResponse, OpenAiError,
    OpenAiPicture, OpenAiProblem,
};
pub use openai_batch::{
    OpenAiBatchError, OpenAiBatchErrors, OpenAiBatchPage, OpenAiBatchQuery, OpenAiBatchRequest,
    OpenAiBatchView, OpenAiFile, OpenAiFileDeleted, OpenAiFileForm, OpenAiFilePage,
    OpenAiFileQuery, OpenAiRequestCounts,
};
pub use problem::{Invalid, ProblemCode, ProblemDocument};
pub use result::{PIXELS_MOVED, ResultQuery};
pub use segmentation::{Part, Parts, SegmentationRequest, SegmentationView};
pub use session::{
    Branch, BranchChange, BranchRequest, HeadMoved, HeadRequest, HeadStep, SessionChange,
    SessionEvent, SessionLinks, SessionPage, SessionQuery, SessionRequest, SessionTree,
    SessionView, TurnRequest, TurnView, branch_check, title_check,
};
pub use source::{SourceList, SourceRequest, SourceView};
pub use stream::{SentCatalogEvent, SentEvent, SentSessionEvent};
pub use tenant::{KeyView, TenantLimits, TenantPage, TenantQuery, TenantView};
pub use webhook::{FormerSecret, RotateQuery, WebhookDelivery, WebhookSecrets};
