//! Who is in the next call: interactive edits first, then whoever has waited longest, and with the first of them all that fit.
//!
//! Nobody waits for company: a call is made of those who are ready when it begins, and an edit that comes meanwhile is in the next.

use crate::{Fit, RunId};

/// A bulk edit that was passed over by so many calls goes with the interactive ones: it is slow then, and never stands still.
const PATIENCE: u32 = 8;

/// An edit that is ready for its next step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ready {
    pub(super) run: RunId,
    pub(super) interactive: bool,
    /// Calls that were made without it since its last one.
    pub(super) passed_over: u32,
    /// None where it must be alone.
    pub(super) fit: Option<Fit>,
}

/// The edits of the next call, of those that are `ready`, who came in this order; none where nobody is.
pub(super) fn next_call(ready: &[Ready]) -> Vec<RunId> {
    let mut line: Vec<&Ready> = ready.iter().collect();
    // Stable: of equals, who came first.
    line.sort_by_key(|ready| {
        let urgent = ready.interactive || ready.passed_over >= PATIENCE;
        (!urgent, std::cmp::Reverse(ready.passed_over))
    });
    let Some((first, others)) = line.split_first() else {
        return Vec::new();
    };
    let mut call = vec![first.run];
    let Some(Fit { kind, work, most }) = first.fit else {
        return call;
    };
    let mut sum = work;
    for other in others {
        let Some(fit) = other.fit.filter(|fit| fit.kind == kind) else {
            continue;
        };
        if sum.saturating_add(fit.work) <= most {
            sum += fit.work;
            call.push(other.run);
        }
    }
    call
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(run: u64, interactive: bool, passed_over: u32, fit: Option<(usize, u64)>) -> Ready {
        Ready {
            run: RunId(run),
            interactive,
            passed_over,
            fit: fit.map(|(kind, work)| Fit {
                kind: [kind, 0, 0],
                work,
                most: 10,
            }),
        }
    }

    fn called(all: &[Ready]) -> Vec<u64> {
        next_call(all).into_iter().map(|run| run.0).collect()
    }

    #[test]
    fn a_call_takes_the_first_and_all_of_its_kind_that_fit() {
        assert_eq!(called(&[]), [0; 0]);
        let bulk = |run, kind, work| ready(run, false, 0, Some((kind, work)));
        assert_eq!(
            called(&[bulk(1, 0, 3), bulk(2, 1, 3), bulk(3, 0, 3)]),
            [1, 3]
        );
        assert_eq!(
            called(&[bulk(1, 0, 6), bulk(2, 0, 5), bulk(3, 0, 4)]),
            [1, 3],
            "who is too large leaves room for others"
        );
        assert_eq!(
            called(&[bulk(1, 0, 11), bulk(2, 0, 1)]),
            [1],
            "too large for any company"
        );
        assert_eq!(called(&[ready(1, false, 0, None), bulk(2, 0, 1)]), [1]);
        assert_eq!(called(&[bulk(2, 0, 1), ready(1, false, 0, None)]), [2]);
    }

    #[test]
    fn interactive_edits_come_first_and_bulk_goes_with_them_where_there_is_room() {
        let all = [
            ready(1, false, 1, Some((0, 5))),
            ready(2, false, 0, Some((0, 4))),
            ready(3, true, 0, Some((0, 5))),
        ];
        assert_eq!(called(&all), [3, 1]);
        let other = [
            ready(1, false, 7, Some((0, 5))),
            ready(3, true, 0, Some((1, 5))),
        ];
        assert_eq!(called(&other), [3]);
    }

    #[test]
    fn nobody_is_passed_over_for_ever() {
        let mut passed_over = [0; 3];
        for _ in 0..100 {
            let all: Vec<Ready> = (0..3)
                .map(|i| ready(i, i == 2, passed_over[i as usize], Some((i as usize, 1))))
                .collect();
            let call = called(&all);
            for (i, passed) in passed_over.iter_mut().enumerate() {
                *passed = if call.contains(&(i as u64)) {
                    0
                } else {
                    *passed + 1
                };
                assert!(*passed <= PATIENCE + 2);
            }
        }
    }
}
