//! Many pieces of work, some at a time.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::error::Result;

/// Does `work` for `0..count`, `jobs` at a time with one thread each (one job: with all threads), and calls `done`
/// with how many are after each. Results come in order.
///
/// # Errors
///
/// The first error; what has not been started then is left.
pub(crate) fn run<T: Send>(
    count: usize,
    jobs: usize,
    work: impl Fn(usize) -> Result<T> + Sync,
    done: impl Fn(usize) + Sync,
) -> Result<Vec<T>> {
    let (next, finished, failed) = (
        AtomicUsize::new(0),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    let results: Mutex<Vec<(usize, Result<T>)>> = Mutex::default();
    let worker = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count || failed.load(Ordering::Relaxed) {
                break;
            }
            let result = work(index);
            failed.fetch_or(result.is_err(), Ordering::Relaxed);
            results
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push((index, result));
            done(finished.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    if jobs <= 1 {
        worker();
    } else {
        std::thread::scope(|scope| -> Result<()> {
            for _ in 0..jobs.min(count) {
                // Everything that would fan out inside the work stays on this pool's one thread.
                let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
                scope.spawn(move || pool.install(worker));
            }
            Ok(())
        })?;
    }
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use limekiln_rooms::score;

    #[test]
    fn results_come_in_order_and_errors_stop_the_rest() {
        for jobs in [1, 3] {
            let squares = run(20, jobs, |i| Ok(i * i), |_| {}).unwrap();
            assert_eq!(squares, (0..20).map(|i| i * i).collect::<Vec<_>>());
            let started = AtomicUsize::new(0);
            let error = run(
                1000,
                jobs,
                |i| {
                    started.fetch_add(1, Ordering::Relaxed);
                    if i == 2 {
                        Err(Error::Score(score::Error::Empty))
                    } else {
                        Ok(())
                    }
                },
                |_| {},
            );
            assert!(matches!(error, Err(Error::Score(score::Error::Empty))));
            if jobs == 1 {
                assert_eq!(started.into_inner(), 3);
            }
        }
    }
}
