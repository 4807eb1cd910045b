//! The flows of License Central once more, over PostgreSQL: one server for all of them, and a
//! database for each.

use std::cell::RefCell;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use strongroom_tests::postgres::Postgres;

/// The server, as long as some test uses it.
static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());

/// Databases that were made.
static MADE: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// What worlds of this thread keep their Central in.
    static USED: RefCell<Option<Arc<Postgres>>> = const { RefCell::new(None) };
}

/// Runs a test whose Centrals keep their records in PostgreSQL.
fn on_postgresql(test: fn()) {
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    let running = shared.upgrade().unwrap_or_else(|| Arc::new(Postgres::start()));
    *shared = Arc::downgrade(&running);
    drop(shared);
    USED.set(Some(running));
    test();
    USED.set(None);
}

/// URL of a new database, where this test uses PostgreSQL.
pub(crate) fn new_database() -> Option<String> {
    let url = USED.with_borrow(|used| used.as_ref().map(|running| running.url()))?;
    let name = format!("world{}", MADE.fetch_add(1, Ordering::Relaxed));
    let mut make = Command::new("psql");
    make.args([&url, "-q", "-c", &format!("CREATE DATABASE {name}")]).stdin(Stdio::null());
    assert!(make.status().expect("psql is installed").success());
    Some(url.replace("/postgres?", &format!("/{name}?")))
}

/// Tests of another file, with PostgreSQL beneath.
macro_rules! again {
    ($($file:ident: $($test:ident),* $(,)?;)*) => {
        $(mod $file {
            $(#[test]
            fn $test() {
                super::on_postgresql(crate::$file::$test);
            })*
        })*
    };
}

again! {
    central:
        a_ticket_becomes_a_license_that_moves_to_another_dongle,
        an_order_is_one_order_and_a_ticket_is_told_once,
        a_license_is_renewed_at_its_checkpoint_and_lapses_without,
        what_is_due_is_renewed_whoever_asks_and_only_once,
        an_answer_that_was_lost_is_had_again_and_issues_nothing_anew,
        a_server_that_starts_again_knows_all,
        a_container_whose_firmware_is_revoked_gets_nothing_and_may_give_back,
        what_is_no_ticket_or_no_key_is_refused_with_the_reason,
        terms_that_no_license_can_have_are_refused_before_they_are_sold,
        a_key_for_a_shop_may_order_and_nothing_else_until_it_is_revoked,
        a_user_may_with_every_key_what_the_role_says_until_disabled;
    decisions:
        a_move_takes_a_license_to_the_other_dongle_alone,
        what_is_suspended_is_shown_as_done_when_the_container_proved_it,
        what_is_withdrawn_leaves_its_container_and_never_comes_back,
        a_blocked_container_loses_what_it_has_and_gets_nothing,
        an_assigned_license_comes_without_a_ticket,
        an_upgrade_replaces_a_license_by_one_update,
        a_further_period_extends_the_license_once,
        what_lapsed_in_a_dongle_with_a_clock_is_free_for_another,
        what_lapsed_in_a_dongle_that_may_sleep_waits_for_it,
        a_container_that_shows_what_nothing_leads_to_waits_for_a_person,
        a_lost_dongle_is_blocked_and_its_licenses_come_back_by_the_rule,
        an_inventory_brings_licenses_to_another_dongle_after_a_while,
        what_was_there_before_is_brought_in_with_a_preview;
    by_files:
        three_files_activate_a_container_without_network,
        several_updates_travel_in_one_file_and_are_applied_as_far_as_they_are_new,
        the_wizard_redeems_a_ticket_step_by_step,
        the_wizard_falls_back_to_files;
    central_upkeep:
        certified_time_comes_from_the_gateway_in_one_step_by_files_and_with_each_renewal,
        a_container_with_a_clock_is_told_the_time_when_it_heard_nothing_for_a_day,
        a_key_that_was_rotated_is_taken_over_by_a_central_that_runs,
        a_container_that_was_revoked_gets_nothing_more_and_others_hear_of_it;
    central_signer:
        a_signer_that_is_killed_is_started_again_and_nothing_is_lost_or_signed_twice,
        what_a_cap_stopped_is_signed_when_it_is_raised,
        a_restored_backup_sells_nothing_twice,
        a_signer_of_its_own_may_end_and_come_back;
    served:
        a_license_is_served_and_taken_back_when_its_seats_are_free,
        a_credential_that_is_revoked_takes_no_seat;
}
