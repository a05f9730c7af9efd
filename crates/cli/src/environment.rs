//! The environment as the command reads it.

use std::env;
use std::ffi::OsStr;
#[cfg(feature = "embedded")]
use std::path::{Path, PathBuf};

/// Variables that say something by being empty: no GPU is visible.
const MEANT: [&str; 1] = ["CUDA_VISIBLE_DEVICES"];

/// Removes variables that are set to nothing: a line such as `DATABASE_URL=` in a file of settings means that there is none,
/// for this command and for every library that reads the environment (the SDK for S3, TLS, proxies, the hub).
///
/// To be called before anything else: another thread must not read the environment meanwhile.
pub(crate) fn forget_empty() {
    let empty: Vec<_> = env::vars_os()
        .filter(|(name, value)| value.is_empty() && !MEANT.iter().any(|meant| name == meant))
        .map(|(name, _)| name)
        .collect();
    for name in empty {
        remove(&name);
    }
}

/// Has the library of the embedded Postgres unpack in `folder` in place of the user's cache folder, which may not be there or not
/// be writable. The hub's cache stays where it is.
///
/// To be called before threads start, as [`forget_empty`].
#[cfg(feature = "embedded")]
pub(crate) fn cache_folder(folder: &Path) {
    let users = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache")));
    if let Some(users) = users
        && env::var_os("HF_HOME").is_none()
    {
        set("HF_HOME", &users.join("huggingface"));
    }
    set("XDG_CACHE_HOME", folder);
}

#[expect(
    unsafe_code,
    reason = "sound while the process has one thread, as it has at the start of main"
)]
fn remove(name: &OsStr) {
    unsafe { env::remove_var(name) }
}

#[cfg(feature = "embedded")]
#[expect(
    unsafe_code,
    reason = "sound while the process has one thread, as it has at the start of main"
)]
fn set(name: &str, value: &Path) {
    unsafe { env::set_var(name, value) }
}
