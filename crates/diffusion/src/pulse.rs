//! Signs of life of a long computation. Whoever runs one and wants to tell work from a hang listens on the thread that runs it;
//! networks, and whatever computes for long beside them, beat between their parts. A beat that nobody listens to costs nothing.

use std::cell::RefCell;

type Listener = Box<dyn Fn()>;

thread_local!(static LISTENER: RefCell<Option<Listener>> = const { RefCell::new(None) });

/// Hears every beat of this thread from now on, in place of whoever heard them before.
pub fn listen(listener: impl Fn() + 'static) {
    LISTENER.set(Some(Box::new(listener)));
}

/// The computation goes on. To be called on the thread that was told to compute, and not on those that help it.
pub fn beat() {
    LISTENER.with_borrow(|listener| {
        if let Some(listener) = listener {
            listener();
        }
    });
}
