//! `limekiln` run to its end.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::binary::limekiln;
use crate::services::Namespace;

/// A cache folder that nobody can make: what a test leaves behind is not the user's.
pub const NO_CACHE: &str = "/dev/null/none";

/// Runs a command to its end: what it wrote to stdout.
///
/// # Errors
///
/// What it wrote to stderr, when it fails.
pub async fn command(namespace: &Namespace, args: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(limekiln()?)
        .args(args)
        .envs(namespace.env.iter().map(|(name, value)| (name, value)))
        .env("XDG_CACHE_HOME", NO_CACHE)
        .kill_on_drop(true)
        .output()
        .await
        .context("limekiln")?;
    ensure!(
        output.status.success(),
        "limekiln {}: {}",
        args.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

/// Makes a key of a tenant that no limit holds back.
///
/// # Errors
///
/// What the command says.
pub async fn key_create(namespace: &Namespace, tenant: &str) -> Result<String> {
    let limits = [
        "--rate",
        "100000",
        "--burst",
        "1000000",
        "--in-flight",
        "1000000",
    ];
    let args = [
        &["keys", "create", "--json", "--tenant", tenant],
        limits.as_slice(),
    ]
    .concat();
    let answer: Value = serde_json::from_str(&command(namespace, &args).await?)?;
    Ok(answer["key"].as_str().context("no key")?.to_owned())
}
