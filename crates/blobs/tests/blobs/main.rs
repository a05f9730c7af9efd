//! The client against the embedded server and an independent one, its faults, the embedded server's own, and the cache.
#![expect(clippy::unwrap_used, reason = "tests, and what they have in common")]

mod cache;
mod faults;
mod home;
mod kill;
mod raw;
mod server;
mod suite;

/// Every test of the suite, on both servers.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        mod embedded {
            $(#[tokio::test]
            async fn $name() {
                super::suite::$name(&super::home::Home::embedded().await).await;
            })*
        }
        mod swift {
            $(#[tokio::test]
            async fn $name() {
                super::suite::$name(&super::home::Home::independent().await).await;
            })*
        }
    };
}

suite!(
    blobs_come_back,
    the_last_put_wins,
    large_blobs_go_in_parts,
    what_is_not_expected_is_refused,
    listings_are_paged_in_order,
    deletions_are_batched_and_repeatable,
    urls_are_signed_for_one_blob_and_a_time,
    settings_prefix_keeps_apart,
    strangers_and_missing_buckets_are_told_apart,
    buckets_are_made_once,
    doctor_sees_a_good_bucket,
    abandoned_uploads_are_swept,
    an_upload_given_up_leaves_nothing,
    half_a_body_is_no_blob,
    damaged_bodies_are_refused_and_unseen,
);
