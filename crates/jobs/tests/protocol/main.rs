//! Every order of releases, messages, claims, deaths and reapings of one edit, on two workers and any number of
//! coordinators, walked through by a model checker.
//!
//! Time is left out: the reaper may take a lease, and a retry may fall due, at any moment, which covers every clock. A frozen
//! worker is one that is not stepped for a while; when it wakes, it goes on where it was.

mod model;

use model::{Fleet, Rules};
use stateright::{Checker, Model};

const SOUND: Rules = Rules {
    fence: true,
    announce_again: true,
};

#[test]
fn every_order_of_events_keeps_the_rules() {
    let checker = Fleet(SOUND).checker().threads(2).spawn_bfs().join();
    println!("{} states", checker.unique_state_count());
    checker.assert_properties();
    assert!(checker.unique_state_count() > 10_000);
}

#[test]
fn without_the_fence_two_results_are_found() {
    let checker = Fleet(Rules {
        fence: false,
        ..SOUND
    })
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    assert!(checker.discovery("at most one result").is_some());
}

#[test]
fn without_announcing_again_a_stuck_edit_is_found() {
    let checker = Fleet(Rules {
        announce_again: false,
        ..SOUND
    })
    .checker()
    .threads(2)
    .spawn_bfs()
    .join();
    assert!(checker.discovery("never stuck").is_some());
}
