//! A child process that dies with its parent.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::spawner;
use crate::stall::{StalledThread, stall};

/// A signal that can be sent to a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Ask to end.
    Term,
    /// Postgres: end at once without a checkpoint.
    Quit,
    /// Postgres: end quickly and cleanly.
    Int,
    /// End without a word.
    Kill,
    /// Freeze.
    Stop,
    /// Thaw.
    Cont,
}

impl Signal {
    fn name(self) -> &'static str {
        match self {
            Self::Term => "TERM",
            Self::Quit => "QUIT",
            Self::Int => "INT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Cont => "CONT",
        }
    }
}

/// The command line of `program` that ends with this process: the kernel sends `at_death` when we are gone. `account` is the
/// user it runs as, if another.
pub(crate) fn tied(program: impl AsRef<OsStr>, at_death: Signal, account: Option<&str>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", at_death.name()]);
    if let Some(account) = account {
        command.args(["--reuid", account, "--regid", account, "--init-groups"]);
    }
    command.arg("--").arg(program);
    command
}

/// A child process; dropped, it is killed.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: PathBuf,
    pid: u32,
    child: Mutex<Child>,
}

impl Process {
    /// Starts `program`, which writes both its outputs to `log` (appended). It is killed with this process.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub fn start(
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = impl AsRef<OsStr>>,
        env: impl IntoIterator<Item = (impl AsRef<OsStr>, impl AsRef<OsStr>)>,
        log: &Path,
    ) -> Self {
        let name = Path::new(program.as_ref()).display().to_string();
        let mut command = tied(program, Signal::Kill, None);
        command.args(args).envs(env);
        Self::run(&name, command, log)
    }

    pub(crate) fn run(name: &str, mut command: Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        command
            .stdin(Stdio::null())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        let child = spawner::spawn(command)
            .unwrap_or_else(|error| panic!("{name} can't be started ({error}); run tests/install"));
        Self {
            name: name.into(),
            log: log.into(),
            pid: child.id(),
            child: Mutex::new(child),
        }
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Where it writes.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// How it ended, if it has.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.lock().unwrap().try_wait().unwrap()
    }

    /// Sends a signal. To a process that has ended this does nothing.
    pub fn signal(&self, signal: Signal) {
        let mut child = self.child.lock().unwrap();
        // Unless it has been waited for, its id belongs to nobody else.
        if child.try_wait().unwrap().is_some() {
            return;
        }
        if signal == Signal::Kill {
            child.kill().unwrap();
            return;
        }
        let status = Command::new("sh")
            .args(["-c", &format!("kill -{} {}", signal.name(), self.pid)])
            .status()
            .unwrap();
        assert!(
            status.success(),
            "kill -{} {} failed",
            signal.name(),
            self.pid
        );
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill9(&self) {
        let mut child = self.child.lock().unwrap();
        if child.try_wait().unwrap().is_none() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGSTOP.
    pub fn freeze(&self) {
        self.signal(Signal::Stop);
    }

    /// SIGCONT.
    pub fn thaw(&self) {
        self.signal(Signal::Cont);
    }

    /// Stalls its thread called `name`; all others go on.
    ///
    /// # Errors
    ///
    /// When it has none, or the kernel refuses `ptrace`.
    pub fn stall(&self, name: &str) -> std::io::Result<StalledThread> {
        stall(self.pid, name)
    }

    /// SIGTERM, and waits until it ends.
    ///
    /// # Panics
    ///
    /// When it does not end within `deadline`.
    pub fn terminate(&self, deadline: Duration) -> ExitStatus {
        self.signal(Signal::Term);
        self.wait(deadline)
    }

    /// Waits until it ends.
    ///
    /// # Panics
    ///
    /// When it does not end within `deadline`.
    pub fn wait(&self, deadline: Duration) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(
                start.elapsed() < deadline,
                "{} did not end within {deadline:?}; its log ends:\n{}",
                self.name,
                self.log_tail()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits until `ready` holds.
    ///
    /// # Errors
    ///
    /// What it wrote last, when it ends before or is not ready within `deadline`.
    pub(crate) fn ready(
        &self,
        deadline: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<(), String> {
        let start = Instant::now();
        loop {
            if ready() {
                return Ok(());
            }
            if let Some(status) = self.ended() {
                return Err(format!(
                    "{} ended ({status}):\n{}",
                    self.name,
                    self.log_tail()
                ));
            }
            if start.elapsed() > deadline {
                let name = &self.name;
                return Err(format!(
                    "{name} is not ready after {deadline:?}:\n{}",
                    self.log_tail()
                ));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The last 40 lines that it wrote.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill9();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Process;
    use crate::stall::thread_find;
    use crate::until::until;

    #[test]
    #[ignore = "a process with a thread to stall, started by another test"]
    fn with_a_thread() {
        let wait = || -> () {
            loop {
                std::thread::park();
            }
        };
        let thread = std::thread::Builder::new().name("to-stall".into());
        thread.spawn(wait).unwrap().join().unwrap();
    }

    fn process(dir: &tempfile::TempDir) -> Process {
        let args = ["--ignored", "--exact", "process::tests::with_a_thread"];
        let env = std::iter::empty::<(&str, &str)>();
        let program = std::env::current_exe().unwrap();
        Process::start(program, args, env, &dir.path().join("log"))
    }

    /// The kernel's word for what the thread does: `t` while a tracer keeps it.
    fn state(process: &Process) -> char {
        let thread = thread_find(process.pid(), "to-stall").unwrap();
        let stat = format!("/proc/{}/task/{thread}/stat", process.pid());
        let stat = std::fs::read_to_string(stat).unwrap();
        let (_, rest) = stat.rsplit_once(") ").unwrap();
        rest.chars().next().unwrap()
    }

    #[tokio::test]
    async fn a_stalled_thread_stands_until_it_is_let_go_or_its_process_ends() {
        let dir = tempfile::tempdir().unwrap();
        let process = process(&dir);
        let pid = process.pid();
        let is_there = async || thread_find(pid, "to-stall").is_ok();
        until("the thread", Duration::from_secs(20), is_there).await;
        let stalled = process.stall("to-stall").unwrap();
        assert_eq!(state(&process), 't');
        drop(stalled);
        assert_ne!(state(&process), 't');

        let _stalled = process.stall("to-stall").unwrap();
        process.kill9();
        assert!(process.ended().is_some());
    }

    #[test]
    fn a_thread_that_is_not_there_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let error = process(&dir).stall("engine").unwrap_err().to_string();
        assert!(error.ends_with("has no thread called engine"), "{error}");
    }
}
