//! Plays the scenes of `tower_keep::threads`, whose documentation has what must hold.
//!
//! Each test plays one scene many times, the threads' steps in another order each time:
//!
//! - `many_orders`: by chance, and by PCT, which interrupts at a few moments only and so finds what needs
//!   just those; some schedules are played twice, which must be the same;
//! - `every_order`: all orders that there are, or the first of them where there are too many.
//!
//! `KEEP_SCHEDULES` is how many of a scene (of `every_order` five times as many), `KEEP_HEAVY=1` a lot. The
//! seed is printed, and `KEEP_SEED` takes it. A schedule that fails is printed as well; with it in
//! `KEEP_SCHEDULE` its test plays it again:
//!
//! ```sh
//! KEEP_SCHEDULE=9102... cargo test --manifest-path tests/threads/Cargo.toml direct_some_leave
//! ```

mod schedules;

use tower_keep_threads::threads::{direct, events, keeper, merges, slot, tasks, users};

macro_rules! scenes {
    ($orders:ident: $($name:ident => $scene:expr;)*) => {$(
        #[test]
        fn $name() {
            schedules::$orders(stringify!($name), || $scene);
        }
    )*};
}

scenes! { many_orders:
    direct_everyone_counts => direct::everyone_counts(4);
    direct_one_leaves => direct::one_leaves(2);
    direct_some_leave => direct::some_leave();
    direct_some_time_out => direct::some_time_out();
    direct_it_is_destroyed => direct::it_ends(false);
    direct_its_secret_is_replaced => direct::it_ends(true);
    direct_it_is_revoked => direct::it_is_revoked();
    keeper_everyone_counts => keeper::everyone_counts(3);
    keeper_some_leave => keeper::some_leave();
    keeper_it_is_destroyed => keeper::it_ends(false);
    keeper_its_secret_is_replaced => keeper::it_ends(true);
    keeper_somebody_watches => keeper::somebody_watches();
    keeper_two_processes => keeper::two_processes();
    keeper_the_runtime_ends => keeper::the_runtime_ends();
    keeper_it_shuts_down => keeper::it_shuts_down();
    merges_everyone_counts => merges::everyone_counts(3);
    merges_some_leave => merges::some_leave();
    merges_it_shuts_down => merges::it_ends(false);
    merges_the_runtime_ends => merges::it_ends(true);
    tasks_what_was_admitted_has_ended => tasks::what_was_admitted_has_ended(3);
    users_logins_keep_to_the_cap => users::logins_keep_to_the_cap(3);
    users_all_at_once => users::all_at_once();
    events_no_end_is_missed => events::no_end_is_missed(true);
    slot_one_opens_at_a_time => slot::one_opens_at_a_time(3);
}

scenes! { every_order:
    every_order_in_which_two_count => direct::everyone_counts(2);
    every_order_in_which_one_leaves => direct::one_leaves(0);
    every_order_of_a_task_and_a_shutdown => tasks::what_was_admitted_has_ended(1);
    every_order_of_two_logins => users::logins_keep_to_the_cap(2);
    every_order_of_an_end_and_who_watches => events::no_end_is_missed(false);
    every_order_of_two_that_open => slot::one_opens_at_a_time(1);
}
