//! `limekiln dev`, started.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Result, ensure};
use limekiln_testbed::Process;
use serde_json::Value;
use uuid::Uuid;

use crate::binary::limekiln;
use crate::wait::wait_for;

/// Starts it on the folder `data` below `folder`, with these arguments and variables, too: the process, and what it says once it is up.
///
/// # Errors
///
/// When it ends before, with the end of its log.
pub async fn dev(
    folder: &Path,
    port: u16,
    args: &[&str],
    env: &[(&str, &str)],
) -> Result<(Process, Value)> {
    let log = folder.join(format!("dev-{}.log", Uuid::now_v7()));
    let port = port.to_string();
    let own = ["dev", "--json", "--port", &port, "--data"].map(OsString::from);
    let process = Process::start(
        limekiln()?,
        own.into_iter()
            .chain([folder.join("data").into_os_string()])
            .chain(args.iter().map(OsString::from)),
        env.iter().copied().chain([("NO_COLOR", "1")]),
        &log,
    );
    let said = wait_for(
        "limekiln dev to come up",
        Duration::from_secs(60),
        async || {
            ensure!(
                process.ended().is_none(),
                "it ended:\n{}",
                process.log_tail()
            );
            let text = std::fs::read_to_string(&log)?;
            let line = text.lines().find(|line| line.starts_with("{\""));
            Ok(line.and_then(|line| serde_json::from_str(line).ok()))
        },
    )
    .await?;
    Ok((process, said))
}
