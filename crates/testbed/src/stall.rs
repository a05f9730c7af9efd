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

/// The thread of process `pid` that is called `name`.
pub(crate) fn thread_find(pid: u32, name: &str) -> io::Result<Pid> {
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
