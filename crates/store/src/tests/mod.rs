//! One suite for real Postgres, a database each, and for the embedded one; the model; what only concurrency shows.

mod cases;
mod concurrent;
mod context;
#[cfg(feature = "embedded")]
mod embedded;
mod migrate;
mod model;
mod months;
mod plans;
mod pooler;
mod roles;
mod rules;

/// Every case, run on real Postgres as a test of its own and on the embedded one after the other.
macro_rules! suite {
    ($($module:ident::$case:ident)*) => {
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    super::cases::$module::$case(&super::context::postgres().await).await;
                }
            )*
        }

        #[cfg(feature = "embedded")]
        async fn every_case(store: &crate::Store) {
            $(
                println!(concat!(stringify!($module), "::", stringify!($case)));
                cases::$module::$case(store).await;
            )*
        }
    };
}

suite! {
    access::tenants_have_limits_and_keys
    access::keys_expire_and_show_their_use
    access::what_is_stored_is_counted
    access::images_are_one_row_for_one_content
    access::workers_beat_drain_and_go
    submit::an_edit_is_written_once
    submit::what_is_missing_is_named
    submit::limits_are_exact
    submit::a_bucket_keeps_what_it_gains_while_an_edit_comes_in
    submit::turns_wait_for_their_parents
    release::tenants_take_turns_and_interactive_goes_first
    release::the_window_follows_the_slots
    release::what_is_not_claimed_is_announced_again
    release::each_class_has_turns_and_a_window_of_its_own
    release::bulk_ages
    release::only_lost_messages_are_announced_again
    release::a_turn_is_offered_to_the_worker_of_its_parent
    aside::bulk_steps_aside_for_edits_that_wait_for_a_slot
    aside::an_edit_steps_aside_a_few_times_in_its_life
    aside::who_could_not_take_the_slot_or_give_it_is_not_asked_for
    lease::a_claim_carries_everything
    lease::a_lost_claim_is_found_again
    lease::writes_are_fenced
    lease::checkpoints_only_grow
    lease::a_checkpoint_that_is_of_no_use_is_forgotten
    needs::an_edit_waits_for_a_worker_that_can_do_it
    needs::kinds_share_the_window_of_their_model
    needs::an_edit_whose_workers_are_gone_leaves_its_place_in_the_window
    needs::an_edit_that_meets_an_unable_worker_goes_on_to_another
    needs::words_and_rows_of_the_future_spoil_no_other
    outages::leases_are_left_alone_after_an_outage
    outcome::results_are_referenced_once
    outcome::failures_are_classed
    outcome::hangs_and_attempts_are_bounded
    outcome::dead_leases_are_taken
    outcome::cancel_and_retry_by_hand
    outcome::turns_follow_their_parents
    reads::pages_and_strangers
    reads::counts_and_places
    reads::lines_are_what_the_edits_are
    reads::ids_and_live_events_have_the_databases_clock
    reads::rows_that_cannot_be_are_refused
    webhooks::deliveries_are_jobs
    webhooks::a_delivery_shows_the_edit_as_it_ended
    webhooks::endpoints_have_lines_of_their_own
    webhooks::a_secret_is_replaced_in_two_steps
    retention::the_old_goes_and_the_needed_stays
    retention::a_session_goes_with_all_its_turns
    retention::an_edit_is_a_use_of_its_image
    retention::one_prunes_at_a_time
    catalogs::rows_come_once_and_become_edits_once
    catalogs::a_catalog_is_paused_cancelled_and_tried_again
    catalogs::rows_are_held_for_their_reasons_and_decided_on
    catalogs::pictures_that_rows_wait_with_do_not_expire
    catalogs::a_row_whose_picture_is_gone_fails_alone
    catalogs::rows_about_one_object_wait_for_the_first
    catalogs::an_ended_catalog_is_told_of_once_and_goes_when_it_is_old
    deletion::edits_go_with_all_that_is_left_of_them
    deletion::what_is_in_use_stays
    deletion::a_picture_deleted_and_uploaded_again_lies_elsewhere
    deletion::a_tenant_goes_in_steps
    sessions::posting_moves_the_head_and_moves_bring_it_back
    sessions::a_turn_that_is_lost_gives_the_head_back
    sessions::what_does_not_belong_together_is_refused
    sessions::turns_of_one_call_stand_on_each_other
    sessions::events_of_all_turns_have_one_order
    sessions::branches_name_turns
    sessions::a_session_goes_with_all_that_is_left_of_it
    sessions::edits_of_older_versions_are_turns
    sessions::sessions_are_listed_in_pages
    sweep::a_walk_that_died_begins_again_soon
    intermediates::of_several_that_make_the_same_the_first_is_kept
    intermediates::what_was_not_used_for_longest_goes_first
    intermediates::what_was_computed_of_a_picture_goes_with_it
    sweep::candidates_are_orphans_of_two_walks_a_grace_apart
    sweep::marks_only_grow_and_outlive_their_edits
}
