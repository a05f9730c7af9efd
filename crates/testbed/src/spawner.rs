//! The thread that starts every child. The kernel ends a child when the *thread* that started it ends
//! (`PR_SET_PDEATHSIG`), so no test thread may do it: tests come and go within one process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

/// What to start, and where to say how that went.
type Request = (Command, Sender<io::Result<Child>>);

/// Starts `command` on that thread.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static SPAWNER: OnceLock<Sender<Request>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (requests, inbox) = channel::<Request>();
        std::thread::Builder::new()
            .name("spawner".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // The asker waits for the answer, so nobody is missing.
                    let _ = answer.send(command.spawn());
                }
            })
            .unwrap();
        requests
    });
    let (answer, child) = channel();
    spawner.send((command, answer)).unwrap();
    child.recv().unwrap()
}
