//! Private directories.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use uuid::Uuid;

/// A new directory under this process's own, which is removed when the process ends, however it ends.
pub(crate) fn dir_create(name: &str) -> PathBuf {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    let root = ROOT.get_or_init(|| {
        let root = tempfile::Builder::new()
            .prefix("limekiln-testbed-")
            .tempdir()
            .unwrap()
            .keep();
        // Postgres runs as a user of its own and must reach its directory.
        std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
        sweeper_start(&root);
        root
    });
    let dir = root.join(format!("{name}-{}", Uuid::now_v7().simple()));
    std::fs::create_dir(&dir).unwrap();
    dir
}

/// A shell that waits for this process's end (its end of the pipe closes) and then removes the directory. It has a process
/// group of its own, so that a signal to ours spares it; the services may still be writing, so it tries more than once.
fn sweeper_start(root: &Path) {
    let mut command = Command::new("sh");
    command
        .args([
            "-c",
            r#"cat >/dev/null; for i in 1 2 3 4 5 6 7 8; do rm -rf -- "$0" 2>/dev/null && exit; sleep 0.5; done"#,
        ])
        .arg(root)
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let child = command.spawn().unwrap();
    // Held for as long as the process lives: its end is the signal.
    std::mem::forget(child);
}
