//! One thread of a child stalled by `ptrace(2)` while the rest of its process goes on, as by a call that never returns.

use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use std::{fs, io};

use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Between two looks at the thread.
const LOOK: Duration = Duration::from_millis(5);

/// A thread that stands still; dropped, it goes on.
#[derive(Debug)]
pub struct StalledThread {
    /// Dropped, it tells the tracer to let go.
    release: Option<Sender<()>>,
    tracer: Option<JoinHandle<()>>,
}

impl Drop for StalledThread {
    fn drop(&mut self) {
        self.release = None;
        if let Some(tracer) = self.tracer.take() {
            // A panic there has been told already.
            let _ = tracer.join();
        }
    }
}

/// Stalls the thread of process `pid` that is called `name`. It is never the process's first, for which its parent waits as
/// well.
///
/// # Errors
///
/// When there is no such thread, or the kernel refuses to trace it.
pub(crate) fn stall(pid: u32, name: &str) -> io::Result<StalledThread> {
    let thread = thread_find(pid, name)?;
    let (release, released) = channel();
    let (answer, stalled) = channel();
    // All requests must come from the one thread that traces.
    let tracer = std::thread::Builder::new()
        .name("tracer".into())
        .spawn(move || match seize(thread) {
            Ok(()) => {
                // Whoever asked waits for the answer.
                let _ = answer.send(Ok(()));
                until_released(thread, &released);
            }
            Err(errno) => {
                let _ = answer.send(Err(errno));
            }
        })?;
    stalled.recv().map_err(io::Error::other)??;
    Ok(StalledThread {
        release: Some(release),
        tracer: Some(tracer),
    })
}

fn thread_find(pid: u32, name: &str) -> io::Result<Pid> {
    let tasks = Path::new("/proc").join(pid.to_string()).join("task");
    for task in fs::read_dir(&tasks)? {
        let task = task?;
        let id = task.file_name().to_str().and_then(|id| id.parse().ok());
        // Threads come and go.
        let comm = fs::read_to_string(task.path().join("comm")).unwrap_or_default();
        if let Some(id) = id.filter(|id: &u32| *id != pid && comm.trim_end() == name) {
            return Ok(Pid::from_raw(id.cast_signed()));
        }
    }
    Err(io::Error::new(
        io::ErrorKind::NotFound,
        format!("process {pid} has no thread called {name}"),
    ))
}

/// Stops the thread, and waits until it stands.
fn seize(thread: Pid) -> Result<(), Errno> {
    ptrace::seize(thread, ptrace::Options::empty())?;
    ptrace::interrupt(thread)?;
    match waitpid(thread, Some(WaitPidFlag::__WALL))? {
        WaitStatus::Exited(..) | WaitStatus::Signaled(..) => Err(Errno::ESRCH),
        _ => Ok(()),
    }
}

/// Waits until it is to go on, or its process ends: a traced thread that nobody waits for would keep its process from ending.
fn until_released(thread: Pid, released: &Receiver<()>) {
    loop {
        match waitpid(thread, Some(WaitPidFlag::__WALL | WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(_) => return,
            Ok(_) => {}
        }
        if released.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
            // It may have died just now.
            let _ = ptrace::detach(thread, None);
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::thread_find;
    use crate::{Process, until};

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
        let args = ["--ignored", "--exact", "stall::tests::with_a_thread"];
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
