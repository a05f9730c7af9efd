//! `limekiln dev`.

use std::path::PathBuf;

use clap::Args;

use super::serve::ApiArgs;
use super::{
    EditorArgs, FlagsOnly, LeaseArgs, RetentionArgs, ServedArgs, ServicesArgs, TelemetryArgs,
};
use crate::args::ModelArgs;

/// Run everything in one process, with no service to install
///
/// Gateway, coordinator and worker on a data folder: Postgres and the queue run in the process, blobs are files. A restart keeps
/// images, edits and queue, even after kill -9: an edit under way goes on from its last checkpoint. --database, --amqp and
/// --s3-endpoint, all three or none, put real services in the place of the built-in ones; DATABASE_URL and the other
/// variables that name a fleet's services are ignored.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DevArgs {
    /// Folder for everything that is kept: database, images, results, key; and, unless --cache names another, the cache, in which
    /// Postgres is unpacked (100 MB)
    #[arg(
        long,
        value_name = "DIR",
        env = "LIMEKILN_DATA",
        default_value = "limekiln-data"
    )]
    pub(crate) data: PathBuf,

    /// Port on 127.0.0.1; 0 takes a free one
    #[arg(long, value_name = "N", env = "LIMEKILN_PORT", default_value_t = 8080)]
    pub(crate) port: u16,

    /// Print the address and the key as one line of JSON once it is up
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) served: ServedArgs,
    #[command(flatten)]
    pub(crate) editor: EditorArgs,
    #[command(flatten)]
    pub(crate) api: ApiArgs,
    #[command(flatten)]
    pub(crate) lease: LeaseArgs,
    #[command(flatten)]
    pub(crate) retention: RetentionArgs,
    #[command(flatten)]
    pub(crate) services: FlagsOnly<ServicesArgs>,
    #[command(flatten)]
    pub(crate) telemetry: TelemetryArgs,
}

impl DevArgs {
    /// Folder of what can be fetched and unpacked again.
    pub(crate) fn cache(&self) -> PathBuf {
        let named = self.lease.cache.clone();
        named.unwrap_or_else(|| self.data.join("cache"))
    }
}

const EXAMPLES: &str = "\
Examples:
  limekiln dev
      on http://127.0.0.1:8080, data in ./limekiln-data; prints a key and a curl line to start with
  limekiln dev --port 9000 --data /srv/limekiln --model ./instruct-pix2pix
      another port, folder and model";
