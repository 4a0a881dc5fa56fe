//! Who is next, whatever happens to the lease, the record and those who wait.

use tower_keep_core::{Expect, Finish, SessionStore};

use super::*;

#[test]
fn first_come_first_served_and_nobody_pushes_in() {
    let (store, _) = store(usize::MAX);
    let id = store.add(60 * SECOND);
    let mut holder = store.hold(id);
    let turns: Vec<_> = (0..3).map(|_| store.queue(id)).collect();
    for (n, turn) in turns.iter().enumerate() {
        assert_eq!(store.waiting(id), 3 - n);
        store.release(id, holder);
        // The lease never was free in between.
        assert_eq!(store.owner(id), asked_by(turn));
        let (_, late) = store.ask(id, 0);
        assert!(matches!(late, LocalOpened::Full), "{late:?}");
        assert!(is_granted(turn), "turn {n}");
        holder = asked_by(turn).unwrap();
    }
    store.release(id, holder);
    assert_eq!((store.owner(id), store.waiting(id)), (None, 0));
}

#[test]
fn a_leaver_takes_its_place_or_its_lease_with_it() {
    let (store, _) = store(usize::MAX);
    let id = store.add(60 * SECOND);
    let holder = store.hold(id);
    let [first, second, third, fourth] = [0; 4].map(|_| store.queue(id));
    // Before its turn, out of the middle.
    store.0.leave(&second);
    assert_eq!(store.waiting(id), 3);
    // After its turn, before it heard of it.
    store.release(id, holder);
    store.0.leave(&first);
    assert_eq!(store.owner(id), asked_by(&third));
    // After it heard of it, leaving is nothing: the lease is the holder's to end.
    assert!(is_granted(&third));
    store.0.leave(&third);
    assert_eq!(store.owner(id), asked_by(&third));
    // Twice is once.
    store.0.leave(&fourth);
    store.0.leave(&fourth);
    assert_eq!(store.waiting(id), 0);
    store.release(id, asked_by(&third).unwrap());
    assert_eq!(store.owner(id), None);
}

#[test]
fn as_many_wait_as_may() {
    let (store, _) = store(usize::MAX);
    let id = store.add(60 * SECOND);
    assert!(matches!(store.ask(id, 0), (_, LocalOpened::Now(_))));
    assert!(matches!(store.ask(id, 0), (_, LocalOpened::Full)));
    assert_eq!(store.waiting(id), 0);
    let (_, queued) = store.ask(id, 1);
    let LocalOpened::Queued(turn) = queued else {
        panic!("{queued:?}");
    };
    assert!(matches!(store.ask(id, 1), (_, LocalOpened::Full)));
    store.0.leave(&turn);
    assert!(matches!(store.ask(id, 1), (_, LocalOpened::Queued(_))));
}

#[test]
fn a_lease_that_ran_out_goes_to_the_first_who_waits() {
    let (store, clock) = store(usize::MAX);
    let id = store.add(3_600 * SECOND);
    let holder = store.hold(id);
    let [first, second] = [0; 2].map(|_| store.queue(id));
    assert_eq!(store.0.expire_lease(id), Some(LEASE));
    clock.advance(LEASE);
    // Whoever comes first notices, and cannot push in.
    let (_, late) = store.ask(id, 0);
    assert!(matches!(late, LocalOpened::Full), "{late:?}");
    assert!(is_granted(&first));
    assert_eq!(store.end(id, holder, rotation()), Finished::Lost);
    clock.advance(LEASE);
    assert_eq!(store.0.expire_lease(id), Some(LEASE));
    assert!(is_granted(&second));
    clock.advance(LEASE);
    // Nobody has taken it, so it is still good.
    let done = store.end(id, asked_by(&second).unwrap(), rotation());
    assert!(matches!(done, Finished::Done { .. }));
}

#[test]
fn who_waits_is_judged_again_at_its_turn() {
    for destroys in [false, true] {
        let (store, _) = store(usize::MAX);
        let id = store.add(60 * SECOND);
        let holder = store.hold(id);
        let turns = [0; 3].map(|_| store.queue(id));
        let op = if destroys { Op::Destroy } else { rotation() };
        store.end(id, holder, op);
        for turn in &turns {
            assert!(matches!(answer(turn), Some(Opened::Stale)));
        }
        assert_eq!((store.owner(id), store.waiting(id)), (None, 0));
    }
}

#[test]
fn a_session_that_expires_refuses_those_who_wait() {
    let (store, clock) = store(usize::MAX);
    let id = store.add(5 * SECOND);
    let holder = store.hold(id);
    let turn = store.queue(id);
    clock.advance(5 * SECOND);
    assert_eq!(store.end(id, holder, rotation()), Finished::Gone);
    assert!(matches!(answer(&turn), Some(Opened::Expired)));
    assert_eq!(store.waiting(id), 0);
}

#[tokio::test]
async fn whatever_ends_a_lease_moves_the_queue_on() {
    // Destroyed from outside.
    let (store, clock) = store(usize::MAX);
    let id = store.add(60 * SECOND);
    store.hold(id);
    let turn = store.queue(id);
    assert!(SessionStore::destroy(&store, id).await.unwrap());
    assert!(matches!(answer(&turn), Some(Opened::Stale)));

    // Swept.
    let id = store.add(5 * SECOND);
    store.hold(id);
    let turn = store.queue(id);
    clock.advance(5 * SECOND);
    store
        .sweep(tower_keep_core::Sweep::default())
        .await
        .unwrap();
    assert!(matches!(answer(&turn), Some(Opened::Absent)));
    assert_eq!(store.waiting(id), 0);

    // Written over.
    let id = store.add(60 * SECOND);
    store.hold(id);
    let turn = store.queue(id);
    let (mut record, revision) = store.look(id).await.unwrap().record.unwrap();
    record.lease = None;
    let expect = Expect::Revision(revision);
    assert!(store.cas(id, expect, &record).await.unwrap());
    assert!(is_granted(&turn));
}

#[tokio::test]
async fn a_destruction_moves_the_queue_on_though_it_names_a_successor() {
    let (store, _) = store(usize::MAX);
    let id = store.add(60 * SECOND);
    let owner = store.hold(id);
    let turn = store.queue(id);
    let finish = Finish {
        id,
        owner,
        version: 1,
        commit: CommitId::unique(),
        op: Op::Destroy,
        next: Some((Owner::unique(), LEASE)),
    };
    let done = SessionStore::finish(&store, &finish).await.unwrap();
    assert!(matches!(done, Finished::Done { .. }));
    assert!(matches!(answer(&turn), Some(Opened::Stale)));
    assert_eq!(store.waiting(id), 0);
}

#[test]
fn the_queue_alone_decides_who_is_next() {
    let (store, _) = store(usize::MAX);
    let id = store.add(60 * SECOND);
    let finish = |owner| Finish {
        id,
        owner,
        version: 1,
        commit: CommitId::unique(),
        op: Op::Release,
        next: Some((Owner::unique(), LEASE)),
    };
    let owner = store.hold(id);
    let turn = store.queue(id);
    LocalStore::finish(&*store.0, &finish(owner), &Patch::default()).unwrap();
    assert!(is_granted(&turn));
    let owner = asked_by(&turn).unwrap();
    LocalStore::finish(&*store.0, &finish(owner), &Patch::default()).unwrap();
    assert_eq!(store.owner(id), None);
}
