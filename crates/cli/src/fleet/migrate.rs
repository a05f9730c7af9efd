//! `limekiln migrate`: the tables, and an operator's word on the bucket.

use anyhow::Result;
use limekiln_coordinator::{ORPHANS_MOST, adopt, restore_accept};

use super::services::{self, patient};
use crate::args::MigrateArgs;
use crate::output::print;

/// Makes or upgrades the tables, and does what the arguments say to the bucket.
///
/// # Errors
///
/// One line that says what to do.
pub(crate) async fn run(args: &MigrateArgs) -> Result<()> {
    let store = patient("Postgres", async || services::store(&args.database).await).await?;
    store.migrate().await?;
    let roles = store.roles_grant(args.roles.as_deref()).await?;
    let server = store.server().await?;
    print(&format!(
        "the tables are at version {} (PostgreSQL {})",
        server.schema, server.version
    ));
    if let Some(roles) = roles {
        print(&format!(
            "the roles have their rights: {}",
            roles.names.join(", ")
        ));
        for advice in roles.advice {
            eprintln!("note: {advice}");
        }
    }
    if args.adopt_bucket || args.accept_restore {
        let blobs = services::blobs(&args.s3).await?;
        patient("S3", async || Ok(blobs.bucket_ensure().await?)).await?;
        let target = blobs.target();
        if args.adopt_bucket {
            let most = if args.accept_orphans {
                1.0
            } else {
                ORPHANS_MOST
            };
            let found = patient("S3", async || Ok(adopt(&store, &blobs, most).await?)).await?;
            print(&format!(
                "{target} is this fleet's; of {} blobs that lay there without a marker the database knows all but {}",
                found.blobs, found.unknown
            ));
        }
        if args.accept_restore {
            let accepted = patient("S3", async || Ok(restore_accept(&store, &blobs).await?));
            print(&if accepted.await? {
                format!(
                    "the database is the truth about {target}: what it does not know goes once the sweep's grace is over"
                )
            } else {
                format!("the database is not older than {target}: there is nothing to accept")
            });
        }
    }
    if args.accept_orphans {
        let orphans = store.sweep_accept().await?;
        print(&format!("{orphans} blobs that no row refers to may go"));
    }
    Ok(())
}
