//! A folder, and the command run in it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// The small random checkpoint that most tests edit with, by name.
pub(crate) fn checkpoint(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/reference/checkpoints");
    root.join(name).display().to_string()
}

/// A folder of its own, in which a test runs the command.
pub(crate) struct TestContext(TempDir);

/// What a command did.
pub(crate) struct Done<Out = String> {
    pub(crate) status: i32,
    pub(crate) stdout: Out,
    pub(crate) stderr: String,
}

impl<Out> Done<Out> {
    fn new(output: Output, out: impl FnOnce(Vec<u8>) -> Out) -> Self {
        Self {
            status: output.status.code().unwrap(),
            stdout: out(output.stdout),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl TestContext {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Names of all files and folders, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    /// Runs `limekiln` here, without the user's settings and without a network.
    pub(crate) fn run(&self, args: &[&str]) -> Done {
        let output = self.command(args).output().unwrap();
        Done::new(output, |stdout| String::from_utf8(stdout).unwrap())
    }

    /// The command, to be run in another way than [`TestContext::run`].
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_limekiln"));
        command
            .args(args)
            .current_dir(self.0.path())
            .env_remove("LIMEKILN_MODEL")
            .env_remove("LIMEKILN_DEVICE")
            .env_remove("HF_HUB_CACHE")
            .env("HF_HOME", self.path("no-hub"))
            .env("HF_HUB_OFFLINE", "1")
            .env("RUST_BACKTRACE", "1");
        command
    }

    /// As [`TestContext::run`], with `bytes` piped in and whatever comes out.
    pub(crate) fn pipe(&self, args: &[&str], bytes: &[u8]) -> Done<Vec<u8>> {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let bytes = bytes.to_vec();
        // A command that refuses its arguments reads nothing.
        let feed = std::thread::spawn(move || drop(stdin.write_all(&bytes)));
        let output = child.wait_with_output().unwrap();
        feed.join().unwrap();
        Done::new(output, |stdout| stdout)
    }

    /// As [`TestContext::run`]; fails the test unless the command succeeds. Gives stdout.
    #[track_caller]
    pub(crate) fn succeed(&self, args: &[&str]) -> String {
        let done = self.run(args);
        assert_eq!(done.status, 0, "{args:?}: {}", done.stderr);
        done.stdout
    }

    /// `limekiln edit` with the small checkpoint and two steps of `base`, unless `args` say otherwise.
    #[track_caller]
    pub(crate) fn edit(&self, image: &str, args: &[&str]) -> String {
        let model = checkpoint("sd1");
        let mut all = vec!["edit", image, "make the sofa red", "--model", &model];
        if !args.contains(&"--steps") {
            all.extend(["--steps", "2"]);
        }
        if !args.contains(&"--preset") {
            all.extend(["--preset", "base"]);
        }
        all.extend(args);
        self.succeed(&all)
    }
}
