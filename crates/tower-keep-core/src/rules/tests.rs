//! The rules at their edges: the first and the last instant of each, and which of two reasons counts.

use std::sync::Arc;

use super::*;
use crate::id::SessionId;
use crate::record::{Client, HeadChange, Limits, NewSession};
use crate::store::Put;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
const IDLE: Duration = Duration::from_secs(60);
const ABSOLUTE: Duration = Duration::from_secs(600);
const LEASE: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const SECRET: SecretHash = SecretHash::from_bytes([1; 32]);
const WRONG: SecretHash = SecretHash::from_bytes([2; 32]);
const CREATION: CommitId = CommitId::from_u128(1);
const COMMIT: CommitId = CommitId::from_u128(2);
const ME: Owner = Owner::from_u128(7);
const OTHER: Owner = Owner::from_u128(8);

fn record() -> Record {
    let new = NewSession {
        id: SessionId::new(NOW),
        secret: SECRET,
        commit: CREATION,
        limits: Limits {
            idle: IDLE,
            absolute: ABSOLUTE,
        },
        extend: None,
        user: Some("ada".into()),
        cap: None,
        authenticated: true,
        client: Some(Arc::new(Client::default())),
        remember: false,
        data: data(1),
    };
    Record::create(&new, NOW)
}

fn data(n: u8) -> Data {
    Data::from_json(format!(r#"{{"data":{{"n":{n}}}}}"#).as_bytes(), 100).unwrap()
}

/// With the lease of `owner`, which ends [`LEASE`] after [`NOW`].
fn leased(owner: Owner) -> Record {
    let until = NOW.plus(LEASE);
    Record {
        lease: Some(Lease { owner, until }),
        ..record()
    }
}

fn after(span: Duration) -> Timestamp {
    NOW.plus(span)
}

/// The last instant in front of it.
fn just_before(span: Duration) -> Duration {
    span.saturating_sub(MILLI)
}

fn reading() -> Open {
    Open {
        id: SessionId::new(NOW),
        secret: Some(SECRET),
        age: Duration::ZERO,
        touch: None,
        lease: None,
    }
}

fn locking(owner: Owner) -> Open {
    Open {
        lease: Some((owner, LEASE)),
        ..reading()
    }
}

fn finish(op: Op) -> Finish {
    Finish {
        id: SessionId::new(NOW),
        owner: ME,
        version: 1,
        commit: COMMIT,
        op,
        next: None,
    }
}

fn put() -> Op {
    Op::Put(Put::default())
}

fn is_granted((opened, _): (Opened, bool)) -> bool {
    matches!(opened, Opened::Granted(_))
}

fn version((finished, changed): (Finished, bool)) -> (u64, bool) {
    match finished {
        Finished::Done { version, .. } => (version, changed),
        other => panic!("{other:?}"),
    }
}

/// What is decided about a record that must stay as it is.
fn refused(record: &Record, finish: &Finish, now: Timestamp) -> Finished {
    let mut copy = record.clone();
    let (finished, changed) = copy.finish(finish, now);
    assert!(!changed);
    assert_eq!(copy.to_bytes(), record.to_bytes());
    finished
}

#[test]
fn from_its_deadline_on_it_is_expired() {
    let last = after(just_before(IDLE));
    assert!(is_granted(record().open(&reading(), last)));
    let expired =
        |record: &mut Record, now| matches!(record.open(&reading(), now).0, Opened::Expired);
    assert!(expired(&mut record(), after(IDLE)));
    let mut busy = record();
    busy.head.idle_deadline = Timestamp::MAX;
    assert!(!expired(&mut busy, after(just_before(ABSOLUTE))));
    assert!(expired(&mut busy, after(ABSOLUTE)));
}

#[test]
fn a_tombstone_is_stale_for_who_was_there_before() {
    let mut gone = record();
    assert!(gone.destroy(after(SECOND)));
    let now = after(3 * SECOND);
    for secret in [None, Some(SECRET), Some(WRONG)] {
        let refuses = |age| gone.refuses(secret.as_ref(), age, now);
        assert!(matches!(refuses(2 * SECOND), Some(Opened::Stale)));
        assert!(matches!(
            refuses(just_before(2 * SECOND)),
            Some(Opened::Absent)
        ));
        // Also when its time would be over.
        let late = gone.refuses(secret.as_ref(), ABSOLUTE, after(ABSOLUTE));
        assert!(matches!(late, Some(Opened::Stale)));
    }
}

#[test]
fn a_wrong_secret_learns_nothing_but_that_it_may_be_an_old_one() {
    let mut rotated = record();
    let refuses = |record: &Record, age, now| record.refuses(Some(&WRONG), age, now);
    let old = refuses(&rotated, ABSOLUTE, NOW);
    assert!(matches!(old, Some(Opened::Absent)), "it never had another");
    rotated.rotated_at = Some(NOW);
    let end = after(STALE_WINDOW);
    assert!(matches!(
        refuses(&rotated, Duration::ZERO, end),
        Some(Opened::Stale)
    ));
    let late = end.plus(MILLI);
    assert!(matches!(
        refuses(&rotated, Duration::ZERO, late),
        Some(Opened::Absent)
    ));
    assert!(matches!(
        refuses(&rotated, MILLI, late),
        Some(Opened::Stale)
    ));
    // Nor that it is over.
    assert!(matches!(
        refuses(&rotated, Duration::ZERO, after(IDLE)),
        Some(Opened::Absent)
    ));
    assert!(
        rotated
            .refuses(Some(&SECRET), Duration::ZERO, NOW)
            .is_none()
    );
    assert!(rotated.refuses(None, Duration::ZERO, NOW).is_none());
}

#[test]
fn reading_changes_nothing_and_needs_no_lease() {
    let mut record = leased(OTHER);
    let before = record.to_bytes();
    let (opened, changed) = record.open(&reading(), NOW);
    let Opened::Granted(view) = opened else {
        panic!("{opened:?}")
    };
    assert_eq!((view.now, view.data, view.head.version), (NOW, data(1), 1));
    assert_eq!(view.head.user.as_deref(), Some("ada"));
    assert!(!changed);
    assert_eq!(record.to_bytes(), before);
}

#[test]
fn a_lease_excludes_others_until_it_ends() {
    let mut record = leased(OTHER);
    let last = after(just_before(LEASE));
    let (busy, changed) = record.open(&locking(ME), last);
    assert!(
        matches!(busy, Opened::Busy(left) if left == MILLI),
        "{busy:?}"
    );
    assert!(changed);
    assert_eq!(record.waiting_until, Some(last.plus(WAIT_MARK)));
    assert_eq!(record.lease, leased(OTHER).lease);
    let (opened, changed) = record.open(&locking(ME), after(LEASE));
    assert!(changed && is_granted((opened, changed)));
    let (owner, until) = (ME, after(2 * LEASE));
    assert_eq!(record.lease, Some(Lease { owner, until }));
    assert_eq!(record.waiting_until, None, "who still waits says so again");
}

#[test]
fn an_owner_is_granted_again_and_knows_who_waits() {
    let mut record = leased(ME);
    record.waiting_until = Some(after(SECOND));
    assert!(is_granted(record.open(&locking(ME), after(MILLI))));
    let (owner, until) = (ME, after(LEASE + MILLI));
    assert_eq!(record.lease, Some(Lease { owner, until }));
    assert_eq!(record.waiting_until, Some(after(SECOND)));
}

#[test]
fn a_touch_moves_the_deadline_by_what_is_due_and_never_back() {
    let now = after(5 * SECOND);
    let touched = |due| {
        let mut record = record();
        (
            record.touch(due, now),
            record.head.idle_deadline,
            record.head.last_seen,
        )
    };
    assert_eq!(touched(5 * SECOND), (true, after(65 * SECOND), now));
    assert_eq!(touched(5 * SECOND + MILLI), (false, after(IDLE), NOW));
    assert!(!record().touch(Duration::ZERO, NOW), "it moves by nothing");
    let mut extended = record();
    extended.head.idle_deadline = after(2 * IDLE);
    assert!(!extended.touch(Duration::ZERO, now));
    assert_eq!(extended.head.idle_deadline, after(2 * IDLE));
    // Another node's clock was ahead.
    let mut seen = record();
    seen.head.last_seen = after(9 * SECOND);
    assert!(seen.touch(SECOND, now));
    assert_eq!(seen.head.last_seen, after(9 * SECOND));
}

#[test]
fn what_is_opened_is_touched_and_what_is_refused_is_not() {
    let touching = |open: Open| Open {
        touch: Some(SECOND),
        ..open
    };
    let now = after(2 * SECOND);
    let mut record = leased(OTHER);
    assert!(record.open(&touching(reading()), now).1);
    assert_eq!(record.head.idle_deadline, now.plus(IDLE));
    assert!(
        !record.open(&touching(reading()), now).1,
        "it is not due again"
    );
    let later = after(4 * SECOND);
    assert!(!is_granted(record.open(&touching(locking(ME)), later)));
    assert_eq!(record.head.idle_deadline, now.plus(IDLE));
    assert!(
        record.open(&touching(locking(OTHER)), now).1,
        "the lease is new"
    );
}

#[test]
fn a_known_commit_is_done_again_whatever_has_become_of_the_record() {
    let mut commit = finish(put());
    commit.commit = CREATION;
    let mut gone = record();
    gone.destroy(NOW);
    for record in [record(), leased(OTHER), gone] {
        for now in [NOW, after(ABSOLUTE)] {
            let done = refused(&record, &commit, now);
            assert!(
                matches!(done, Finished::Done { version: 1, .. }),
                "{done:?}"
            );
        }
    }
}

#[test]
fn a_put_needs_a_live_session_its_version_and_the_lease_in_this_order() {
    let commit = finish(put());
    let mut gone = leased(ME);
    gone.destroy(NOW);
    assert_eq!(refused(&gone, &commit, NOW), Finished::Gone);
    assert_eq!(refused(&leased(ME), &commit, after(IDLE)), Finished::Gone);
    let mut other = leased(OTHER);
    assert_eq!(refused(&other, &commit, NOW), Finished::Lost);
    assert_eq!(refused(&record(), &commit, NOW), Finished::Lost);
    other.head.version = 2;
    assert_eq!(refused(&other, &commit, after(IDLE)), Finished::Gone);
    assert_eq!(refused(&other, &commit, NOW), Finished::Unknown);
    // A lease that ran out and that nobody took is still good.
    for now in [NOW, after(just_before(IDLE))] {
        let mut record = leased(ME);
        assert_eq!(version(record.finish(&commit, now)), (2, true));
        assert_eq!((record.head.version, record.lease), (2, None));
        assert!(record.commits.contains(COMMIT) && record.commits.contains(CREATION));
    }
}

#[test]
fn a_put_changes_what_it_names() {
    let now = after(SECOND);
    let mut kept = leased(ME);
    let head = HeadChange {
        remember: Some(true),
        ..HeadChange::default()
    };
    kept.finish(&finish(Op::Put(Put { head, data: None })), now);
    assert!(kept.head.remember);
    assert_eq!((kept.data, kept.rotated_at), (data(1), None));
    assert!(kept.secret.matches(&SECRET));
    let mut rotated = leased(ME);
    let head = HeadChange {
        secret: Some(WRONG),
        ..HeadChange::default()
    };
    let data = Some(data(2));
    rotated.finish(&finish(Op::Put(Put { head, data })), now);
    assert!(rotated.secret.matches(&WRONG));
    assert_eq!(rotated.rotated_at, Some(now));
    assert_eq!((rotated.data, rotated.head.generation), (self::data(2), 1));
}

#[test]
fn a_release_looks_at_the_owner_alone() {
    let mut release = finish(Op::Release);
    release.version = 99;
    assert_eq!(refused(&leased(OTHER), &release, NOW), Finished::Lost);
    assert_eq!(refused(&record(), &release, NOW), Finished::Lost);
    for now in [NOW, after(ABSOLUTE)] {
        let mut record = leased(ME);
        assert_eq!(version(record.finish(&release, now)), (1, true));
        assert_eq!((record.lease, record.head.version), (None, 1));
        assert!(!record.commits.contains(COMMIT));
    }
}

#[test]
fn the_lease_is_handed_on_in_the_same_step() {
    for op in [put(), Op::Release] {
        let mut record = leased(ME);
        let finish = Finish {
            next: Some((OTHER, LEASE)),
            ..finish(op)
        };
        record.finish(&finish, after(SECOND));
        let (owner, until) = (OTHER, after(SECOND + LEASE));
        assert_eq!(record.lease, Some(Lease { owner, until }));
    }
}

#[test]
fn a_merge_needs_that_nobody_holds_the_lease() {
    let merge = Finish {
        next: Some((ME, LEASE)),
        ..finish(Op::Merge(data(2)))
    };
    let last = after(just_before(LEASE));
    assert_eq!(refused(&leased(OTHER), &merge, last), Finished::Lost);
    assert_eq!(refused(&leased(ME), &merge, last), Finished::Lost);
    let mut newer = leased(OTHER);
    newer.head.version = 2;
    assert_eq!(refused(&newer, &merge, last), Finished::Unknown);
    assert_eq!(refused(&record(), &merge, after(IDLE)), Finished::Gone);
    for mut record in [record(), leased(OTHER)] {
        assert_eq!(version(record.finish(&merge, after(LEASE))), (2, true));
        assert_eq!((record.data.clone(), record.lease), (data(2), None));
        assert!(record.commits.contains(COMMIT));
    }
}

#[test]
fn what_is_destroyed_keeps_its_name_and_its_commits_only() {
    let mut by_commit = leased(ME);
    by_commit.waiting_until = Some(NOW);
    assert_eq!(
        version(by_commit.finish(&finish(Op::Destroy), NOW)),
        (2, true)
    );
    assert!(by_commit.commits.contains(COMMIT));
    let mut from_outside = leased(OTHER);
    assert!(from_outside.destroy(NOW));
    assert!(!from_outside.destroy(NOW), "it is already");
    for gone in [by_commit, from_outside] {
        assert_eq!(gone.gone_at, Some(NOW));
        assert!(gone.commits.contains(CREATION));
        assert!(!gone.secret.matches(&SECRET));
        assert_eq!((gone.data, gone.lease), (Data::default(), None));
        assert_eq!((gone.head.user, gone.head.client), (None, None));
        assert_eq!(gone.waiting_until, None);
    }
    let mut expired = record();
    assert!(!expired.destroy(after(IDLE)));
    assert_eq!(expired.gone_at, None);
    assert!(expired.destroy(after(just_before(IDLE))));
}

#[test]
fn who_finishes_hears_of_those_who_wait() {
    for (until, expected) in [(NOW, false), (after(MILLI), true)] {
        let mut record = leased(ME);
        record.waiting_until = Some(until);
        let (done, _) = record.finish(&finish(put()), NOW);
        match done {
            Finished::Done { waiting, now, .. } => assert_eq!((waiting, now), (expected, NOW)),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_lease_is_renewed_by_its_owner_and_never_shortened() {
    let mut record = leased(ME);
    assert!(record.renew(ME, LEASE, after(SECOND)));
    assert_eq!(record.lease.unwrap().until, after(SECOND + LEASE));
    assert!(record.renew(ME, MILLI, after(SECOND)));
    assert_eq!(record.lease.unwrap().until, after(SECOND + LEASE));
    assert!(!record.renew(OTHER, LEASE, after(LEASE)));
    assert_eq!(record.lease.unwrap().until, after(SECOND + LEASE));
    assert!(!self::record().renew(ME, LEASE, NOW), "there is none");
    record.gone_at = Some(NOW);
    assert!(!record.renew(ME, LEASE, NOW));
}

#[test]
fn a_creation_that_finds_its_id_taken_knows_itself() {
    let mut record = record();
    assert_eq!(record.meet_create(CREATION, NOW), Created::Done(NOW));
    assert_eq!(record.meet_create(COMMIT, NOW), Created::Collision);
    record.destroy(NOW);
    assert_eq!(record.meet_create(CREATION, NOW), Created::Gone);
    assert_eq!(record.meet_create(COMMIT, NOW), Created::Gone);
}

#[test]
fn a_sweep_takes_what_is_over_and_tombstones_that_are_old_enough() {
    assert!(!record().is_sweepable(after(just_before(IDLE)), Duration::ZERO));
    assert!(record().is_sweepable(after(IDLE), ABSOLUTE));
    let mut gone = record();
    gone.destroy(after(SECOND));
    assert!(!gone.is_sweepable(after(ABSOLUTE), ABSOLUTE));
    assert!(gone.is_sweepable(after(ABSOLUTE + SECOND), ABSOLUTE));
}
