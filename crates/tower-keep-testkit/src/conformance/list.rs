//! All cases and their rules, in one list.

use super::Case;

/// Calls the macro `$with` with `$prefix` and the cases by module.
#[doc(hidden)]
#[macro_export]
macro_rules! __for_each_conformance_case {
    ($with:path, $prefix:tt) => {
        $with! { $prefix
            physical {
                look_of_nothing "an unknown id has no record, and `look` tells the store's time"
                cas_creates_once "`cas` expecting absence writes only where nothing is"
                cas_is_no_upsert "`cas` expecting a revision makes no record where none is"
                cas_needs_the_revision "`cas` writes only over the revision that it expects"
                every_write_makes_a_revision "the revision changes with every write"
                every_field_survives "a record comes back as it was written, every field"
                ping_answers "`ping` succeeds where the store answers"
            }
            open {
                shows_what_is_stored "who is granted sees head and data as they are stored, and the store's time"
                unknown_ids_are_absent "no such session: absent; opening makes no record"
                needs_no_secret_by_id_alone "without a secret it opens by id"
                wrong_secrets_learn_nothing "a wrong secret is absent, whatever the session's state, and changes nothing"
                expires_at_the_idle_deadline "from the idle deadline on, that instant included, it is expired"
                expires_at_the_absolute_deadline "from the absolute deadline on it is expired, touched or not"
                readers_are_never_blocked "opening without a lease never meets a lease"
                busy_for_the_rest_of_the_lease "another owner's live lease is busy for as long as it lasts"
                grants_its_owner_again "the owner of the lease is granted again, from now"
                takes_over_what_ran_out "from its end on a lease can be taken by another owner"
                a_refusal_marks_the_wait "who was refused counts as waiting for two seconds, or until another takes the lease"
            }
            stale {
                after_a_rotation "the wrong secret is stale for who arrived up to 10 s after the last rotation, else absent"
                after_a_destruction "a tombstone is stale for who arrived no later than the destruction, else absent"
                without_a_rotation "a wrong secret of a session that was never rotated is absent, however early it arrived"
            }
            touch {
                only_if_due "a touch extends the idle deadline if that moves it by at least as much as asked"
                never_moves_back "a touch never moves a deadline backwards"
                not_when_refused "who is refused does not touch"
                with_the_lease "touch and lease are taken in one step, and the view shows it"
                with_the_lease_only_if_due "a touch that comes with a lease is due at the same threshold"
                writes_no_data "a touch counts no commit and writes no data"
                keeps_the_session_alive "the session lives as long as it is used before each deadline"
            }
            finish {
                commits "a put stores the data, counts the version and frees the lease"
                without_data_keeps_it "a put without data leaves the data as they were"
                is_done_again "a put that is tried again is done, and applied once"
                is_recognised_among_four_commits "a retry is done while its commit is among the last four, then unknown"
                knows_its_commit_before_the_owner "a commit is recognised whoever holds the lease by now"
                is_lost_under_another_owner "another owner means lost, even if nothing was written"
                is_unknown_at_another_version "another version than the expected one is unknown, and nothing is applied"
                outlives_an_untaken_lease "a lease that ran out and that nobody took still commits"
                is_gone_from_the_deadline_on "from the deadline on a commit is gone, and nothing is applied"
                is_gone_without_a_record "on what is destroyed or was never there it is gone, and makes no record"
                hands_on_the_lease "the next owner has the lease from the very step of the finish"
                releases_by_owner_alone "a release looks at the owner alone, and counts no commit"
                tells_who_waits "every kind of finish tells whether somebody was refused lately"
                destroys "a destroy leaves a tombstone and is done again when it is tried again"
            }
            merge {
                commits_without_a_lease "a merge stores the data and counts the version where nobody holds the lease, and changes nothing else"
                waits_for_no_lease "beside a live lease a merge is lost, and the holder's commit counts"
                takes_the_place_of_a_lease_that_ran_out "a lease that ran out does not stop a merge, and does not commit after it"
                needs_its_version "on another version than the expected one a merge is unknown, lease or not"
                is_done_again "a merge that is tried again is done, and applied once"
                brings_nothing_back "on what is over, destroyed or was never there a merge is gone"
                excludes_other_commits "of merges on one version at the same time one is applied, and no commit is lost"
            }
            head {
                rotates "a new secret replaces the old one in the same record and enters the next generation"
                changes_user "a change of user ends the earlier proof, unless it comes with one"
                moves_the_anchor "the absolute deadline moves only with the anchor, by the limit in force"
                changes_limits "new limits start the idle deadline from now"
                extends "an extension moves the idle deadline forwards only"
                changes_client_and_remember "client and remember are replaced if given"
                changes_all_at_once "all changes of one commit are made at one instant"
            }
            renew {
                extends_from_now "a renewed lease ends that long from now, never earlier than before"
                only_for_the_owner "nobody but the owner renews, and nothing else makes or changes a record"
                until_it_is_taken "a lease that ran out can be renewed until another owner takes it"
            }
            create {
                stores_everything "what is created is stored as it was asked for, at the store's time"
                is_done_again "a create that is tried again is done, and changes nothing"
                collides "another session's id is a collision, and changes nothing"
                is_gone_on_a_tombstone "a create that meets a tombstone is gone"
                after_a_sweep "an id that was swept can be created again"
            }
            destroy {
                ignores_the_lease "destroying by id does not wait for a lease, and the holder is gone"
                leaves_a_tombstone "a tombstone has no data, no user, no client, no secret, and keeps the commits"
                only_the_living "destroying what is not alive is no destruction, and changes nothing"
                is_final "no verb brings back what was destroyed"
            }
            sweep {
                is_counted "`stats` counts live sessions, those of users, what is over and tombstones"
                removes_what_is_over "expired sessions are removed and counted, live ones are kept"
                keeps_what_was_renewed "a session that was touched or extended past its old deadline is kept"
                keeps_tombstones_for_a_while "a tombstone is removed when it is as old as asked, not before"
                obeys_the_limit "no more than the limit are removed at once, and `more` says that it was reached"
                is_final "no verb but `create` brings back what was swept"
            }
            late {
                dropped_finish "a finish that was dropped took effect once or not at all, and its retry is done"
                dropped_open "an open that was dropped can be asked again by the same owner"
                dropped_create "a create that was dropped can be asked again"
                wake_up_comes "a wake-up comes to who was refused when the lease is given up"
            }
            concurrency {
                increments_are_exact "no update is lost among those who take turns by lease"
                one_create_wins "of concurrent creates of one id exactly one is done"
                one_lease_is_granted "of concurrent opens with a lease exactly one is granted"
                one_commit_is_applied "of concurrent tries of one commit all are done and one is applied"
                a_destroy_is_final "a commit beside a destroy does not bring the session back"
                touches_lose_no_commit "touches and refusals beside a commit do not undo it"
                cas_has_one_winner "of concurrent `cas` over one revision exactly one writes"
            }
            users {
                lists_the_newest_first "a user's live sessions are listed, the last created first, with data if asked"
                finds_what_was_put_there "a record that is put where none was is listed"
                lists_by_pages "pages have every session once"
                follows_the_record "a session is listed for whom its record says, while it lives"
                tells_users_apart "users are told apart byte by byte"
                destroys_only_the_users "a session is destroyed for a user only if it is theirs, whoever holds its lease"
                destroys_all_but_one "all of a user's sessions are destroyed, and named, but for the one excepted"
                the_oldest_login_makes_room "under a cap that evicts the sessions with the oldest login end"
                a_full_user_is_refused "under a cap that refuses one too many is refused, and nothing is applied"
                only_live_sessions_count "what has ended or is another user's does not count"
                repeats_change_nothing "a creation that is tried again neither makes room nor comes back"
                the_cap_is_exact "of fifty logins at once no more live than may"
                nothing_survives_that_was_there "what was answered before all are destroyed does not open afterwards"
            }
            scan {
                shows_every_live_session "a walk shows every live session, whosever it is, once unless the store says otherwise"
                shows_no_others "a walk shows nothing that has ended"
                shows_what_is_stored "what a walk shows is what is stored, without the data"
                keeps_to_the_limit "a page has no more sessions than asked for"
                is_complete_while_others_come_and_go "what is alive all the time is in the walk, whatever happens meanwhile"
                goes_on_from_a_cursor "a cursor leads to the same place each time"
                refuses_a_foreign_cursor "a cursor that the store has not made is refused"
            }
            queue {
                is_first_in_first_out "the lease goes to who waits longest, with the data just committed"
                lets_nobody_push_in "while somebody waits the lease is taken"
                wakes_the_next "who is next is woken"
                admits_by_secret "who would be refused does not queue"
                is_bounded "more than may do not wait"
                serves_readers_beside "a queue does not keep readers out, and its owner is granted again"
                applies_the_patch "a finish applies the patch to the data, and looks at no next owner"
            }
            queue_ends {
                leaving_before_the_answer "who leaves the queue is not served"
                leaving_with_the_answer "who leaves with the lease hands it on, or frees it"
                leaving_afterwards "leaving after the answer was taken gives nothing away"
                judges_again_after_a_rotation "who waits with a replaced secret is stale at once"
                judges_again_after_a_destruction "a destruction answers the whole queue"
                judges_again_after_expiry "at its turn after the deadline a waiter is told that it expired"
                expired_leases_are_handed_on "a lease that ran out is handed on when asked for"
                sheds_no_lease_under_churn "whoever leaves whenever, the lease is not lost and no turn is stuck"
            }
            differential {
                agrees_with_the_rules "on random sequences every answer and every record is as the rules of `Record` say"
            }
        }
    };
}

macro_rules! table {
    (() $($group:ident { $($case:ident $rule:literal)* })*) => {
        pub(super) const CASES: &[Case] = &[$($(Case {
            name: concat!(stringify!($group), "::", stringify!($case)),
            rule: $rule,
            run: |cx| Box::pin(async move { super::$group::$case(&cx).await }),
        },)*)*];
    };
}

__for_each_conformance_case!(table, ());
