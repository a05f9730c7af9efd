//! The thread that starts every child. The kernel ends a child when the *thread* that started it ends
//! (`PR_SET_PDEATHSIG`), so no test thread may do it: tests come and go within one process.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

type Order = (Command, Sender<io::Result<Child>>);

/// Starts `command` on the keeper's thread.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<Sender<Order>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (orders, inbox) = channel::<Order>();
        std::thread::Builder::new()
            .name("keeper".into())
            .spawn(move || {
                for (mut command, answer) in inbox {
                    // The asker waits for the answer, so nobody is missing.
                    let _ = answer.send(command.spawn());
                }
            })
            .unwrap();
        orders
    });
    let (answer, child) = channel();
    keeper.send((command, answer)).unwrap();
    child.recv().unwrap()
}
