//! One suite on both halves, S3 with two servers; the faults of S3, the folder's own promises, and the cache.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests, and what they have in common"
)]

mod cache;
mod context;
mod faults;
mod folder;
mod kill;
mod raw;
mod suite;

/// Makes a module of tests from functions of the suite, each with a bucket of its own.
macro_rules! suite {
    ($half:ident: $($name:ident),* $(,)?) => {
        mod $half {
            $(#[tokio::test]
            async fn $name() {
                super::suite::$name(&super::context::TestContext::$half().await).await;
            })*
        }
    };
}

/// What holds on both halves, on S3 alone, and where Swift would take too long or knows no conditional puts.
macro_rules! suites {
    (both: [$($both:ident),* $(,)?], s3: [$($s3:ident),* $(,)?], ours: [$($ours:ident),* $(,)?]) => {
        suite!(folder_half: $($both,)* $($ours),*);
        suite!(s3: $($both,)* $($s3,)* $($ours),*);
        suite!(swift: $($both,)* $($s3),*);
    };
}

suites!(
    both: [
        blobs_come_back,
        the_last_put_wins,
        new_puts_leave_one_of_them,
        large_blobs_go_in_parts,
        what_is_not_expected_is_refused,
        listings_are_paged_in_order,
        deletions_are_batched_and_repeatable,
        prefixes_keep_apart,
        missing_buckets_are_told,
        buckets_are_made_once,
        doctor_sees_a_good_bucket,
    ],
    s3: [
        urls_are_signed_for_one_blob_and_a_time,
        strangers_are_told,
        abandoned_uploads_are_swept,
        an_upload_given_up_leaves_nothing,
        half_a_body_is_no_blob,
        damaged_bodies_are_refused_and_unseen,
    ],
    ours: [
        deletions_may_be_more_than_a_request_takes,
        one_of_many_new_puts_wins,
    ]
);

#[tokio::test]
async fn a_key_is_no_path() {
    suite::a_key_is_no_path(&context::TestContext::s3().await).await;
}
