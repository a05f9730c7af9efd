//! Ids: `UUIDv7`, so that they sort by age, with a type for each noun, so that none is taken for another.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use time::OffsetDateTime;
use utoipa::ToSchema;
use uuid::{ContextV7, Timestamp, Uuid};

/// Ids of one moment come one after the other.
static CONTEXT: Mutex<ContextV7> = Mutex::new(ContextV7::new());

fn uuid_at(time: OffsetDateTime) -> Uuid {
    let seconds = u64::try_from(time.unix_timestamp()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(&CONTEXT, seconds, time.nanosecond()))
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(transparent)]
        #[schema(value_type = String, format = Uuid, example = "01939e0c-8a52-7c31-9d0f-3b1d6c2a4e57")]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later than every one made before by this process.
            #[expect(clippy::new_without_default, reason = "every call gives another id; a default should not")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The same by another clock than this machine's: later than every one that was made this way before.
            pub fn at(time: OffsetDateTime) -> Self {
                Self(uuid_at(time))
            }

            /// The bare UUID, for SQL.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )*};
}

ids! {
    /// Id of a file of OpenAI's API.
    FileId;
    /// Id of a fleet: of one database, and of the bucket, or the prefix in one, that its pictures lie under.
    FleetId;
    /// Id of a tenant, which owns keys, images and edits and is charged for them.
    TenantId;
    /// Id of an API key.
    KeyId;
    /// Id of an uploaded image.
    ImageId;
    /// Id of a place that pictures may be fetched from.
    SourceId;
    /// Id of a session.
    SessionId;
    /// Id of an edit.
    EditId;
    /// Id of a batch: many edits asked for at once.
    BatchId;
    /// Id of something that an edit computed of a picture, kept for others.
    IntermediateId;
    /// Id of a worker process. A restarted worker has another one.
    WorkerId;
    /// Id of one delivery of a webhook, the same for all its attempts.
    WebhookId;
}
