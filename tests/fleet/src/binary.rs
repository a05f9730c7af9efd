//! The command under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};

/// The `limekiln` that `LIMEKILN_BIN` names; else the one beside this test, built from this checkout.
///
/// # Errors
///
/// When it can't be built.
pub fn limekiln() -> Result<&'static Path> {
    static FOUND: OnceLock<PathBuf> = OnceLock::new();
    if let Some(path) = FOUND.get() {
        return Ok(path);
    }
    let path = match std::env::var_os("LIMEKILN_BIN") {
        Some(path) => PathBuf::from(path),
        None => build()?,
    };
    if !path.exists() {
        bail!("{}: there is no such command", path.display());
    }
    Ok(FOUND.get_or_init(|| path))
}

/// Cargo's target folder, which this test lies in.
///
/// # Errors
///
/// When it does not.
pub fn target() -> Result<PathBuf> {
    // target/release/deps/faults-0123456789abcdef
    let test = std::env::current_exe()?;
    let target = test
        .ancestors()
        .nth(3)
        .context("this test is not where cargo puts tests")?;
    Ok(target.to_owned())
}

fn build() -> Result<PathBuf> {
    let target = target()?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args([
            "build",
            "--release",
            "--quiet",
            "--package",
            "limekiln-cli",
            "--target-dir",
        ])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cargo")?;
    if !status.success() {
        bail!("cargo can't build limekiln-cli");
    }
    Ok(target.join("release/limekiln"))
}
