//! What the faulty stores promise to the tests that use them.

use std::future::{Future, poll_fn};
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use crate::mistake::Mistake;
use crate::simple::Simple;
use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Created, Finish, Finished, Limits, NewSession, Op, Open, Opened, Owner, SecretHash,
    SessionId, SessionStore, StoreErrorKind, Timestamp,
};
use tower_keep_testkit::{Call, Fault, FaultStore, Gate, NetworkStore, Script, TestClock, Verb};

fn simple() -> Simple {
    Simple::new(TestClock::new(), Mistake::None)
}

fn new_session() -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_700_000_000_000)),
        secret: SecretHash::from_bytes([7; 32]),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::default(),
    }
}

fn leasing(new: &NewSession, owner: Owner) -> Open {
    Open {
        id: new.id,
        secret: Some(new.secret),
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_secs(10))),
    }
}

fn release(new: &NewSession, owner: Owner) -> Finish {
    Finish {
        id: new.id,
        owner,
        version: 1,
        commit: CommitId::unique(),
        op: Op::Release,
        next: None,
    }
}

async fn stored<S: SessionStore>(store: &S, new: &NewSession) -> bool {
    store.look(new.id).await.unwrap().record.is_some()
}

/// Polls once and drops.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    for _ in 0..10_000 {
        if condition().await {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never happens");
}

#[tokio::test]
async fn a_script_counts_all_calls_and_those_of_a_verb() {
    let store = FaultStore::new(simple());
    let fail = |kind| Fault::Fail(kind);
    store.set_script(
        Script::new()
            .nth_of(Verb::Ping, 2, fail(StoreErrorKind::Corrupt))
            .nth(4, fail(StoreErrorKind::Unsupported))
            .every_of(Verb::Destroy, fail(StoreErrorKind::Closed)),
    );
    let id = new_session().id;
    assert!(store.ping().await.is_ok());
    assert!(store.look(id).await.is_ok());
    assert_eq!(
        store.ping().await.unwrap_err().kind(),
        StoreErrorKind::Corrupt
    );
    assert_eq!(
        store.look(id).await.unwrap_err().kind(),
        StoreErrorKind::Unsupported
    );
    assert!(store.ping().await.is_ok());
    for _ in 0..2 {
        assert_eq!(
            store.destroy(id).await.unwrap_err().kind(),
            StoreErrorKind::Closed
        );
    }
    assert_eq!(
        (store.calls().total(), store.calls().of(Verb::Ping)),
        (7, 3)
    );

    store.set_script(Script::new().nth(1, fail(StoreErrorKind::Full)));
    assert_eq!(store.ping().await.unwrap_err().kind(), StoreErrorKind::Full);
    assert!(store.destroy(id).await.is_ok());
}

#[tokio::test]
async fn what_fails_is_not_applied_and_a_lost_reply_is() {
    let store = FaultStore::new(simple());
    let new = new_session();
    store.set_script(
        Script::new()
            .nth_of(Verb::Create, 1, Fault::Fail(StoreErrorKind::Unavailable))
            .nth_of(Verb::Create, 2, Fault::LoseReply),
    );
    assert!(store.create(&new).await.is_err());
    assert!(!stored(store.inner(), &new).await);
    assert!(store.create(&new).await.is_err());
    assert!(stored(store.inner(), &new).await);
    assert!(matches!(store.create(&new).await, Ok(Created::Done(_))));
    let call = |effect, reply| Call {
        verb: Verb::Create,
        id: Some(new.id),
        effect,
        reply: Some(reply),
    };
    let lost = Err(StoreErrorKind::Unavailable);
    let expected = [
        call(None, lost),
        call(Some("done"), lost),
        call(Some("done"), Ok(())),
    ];
    assert_eq!(store.calls().log(), expected);
    store.calls().clear();
    assert_eq!(store.calls().total(), 0);
}

#[tokio::test]
async fn gates_hold_a_call_before_or_after_its_effect() {
    for before in [true, false] {
        let store = FaultStore::new(simple());
        let (new, gate) = (new_session(), Gate::new());
        let fault = if before {
            Fault::DelayBefore
        } else {
            Fault::DelayAfter
        };
        store.set_script(Script::new().every_of(Verb::Create, fault(gate.clone())));
        let call = tokio::spawn({
            let (store, new) = (store.clone(), new.clone());
            async move { store.create(&new).await }
        });
        gate.arrived(1).await;
        assert_eq!(stored(store.inner(), &new).await, !before);
        gate.open();
        assert!(call.await.unwrap().is_ok());
        assert!(stored(store.inner(), &new).await);
    }
}

#[tokio::test]
async fn a_call_to_be_applied_later_fails_now() {
    let store = FaultStore::new(simple());
    let (new, gate) = (new_session(), Gate::new());
    store.set_script(Script::new().nth(1, Fault::ApplyLater(gate.clone())));
    assert!(store.create(&new).await.is_err());
    gate.arrived(1).await;
    assert!(!stored(store.inner(), &new).await);
    gate.open();
    until(async || stored(store.inner(), &new).await).await;
}

#[tokio::test]
async fn dropping_a_call_stops_it_unless_detached() {
    for detached in [false, true] {
        let mut store = FaultStore::new(simple());
        if detached {
            store = store.detached();
        }
        let (new, gate) = (new_session(), Gate::new());
        store.set_script(Script::new().nth(1, Fault::DelayBefore(gate.clone())));
        assert!(poll_once(store.create(&new)).await.is_none());
        gate.open();
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(stored(store.inner(), &new).await, detached);
        let [call] = store.calls().log().try_into().unwrap();
        assert_eq!(
            (call.effect, call.reply),
            (detached.then_some("done"), None)
        );
    }
}

#[tokio::test]
async fn a_panic_reaches_the_caller_and_applies_nothing() {
    for detached in [false, true] {
        let mut store = FaultStore::new(simple());
        if detached {
            store = store.detached();
        }
        let new = new_session();
        store.set_script(Script::new().nth(1, Fault::Panic));
        let call = tokio::spawn({
            let (store, new) = (AssertUnwindSafe(store.clone()), new.clone());
            async move { store.create(&new).await }
        });
        assert!(call.await.unwrap_err().is_panic());
        assert!(!stored(store.inner(), &new).await);
        assert!(store.create(&new).await.is_ok());
    }
}

/// Ten rounds of lease and release over a network; which calls were made, and what came of them.
async fn rounds(store: &NetworkStore<Simple>) -> Vec<Call> {
    let new = new_session();
    until(async || store.create(&new).await.is_ok()).await;
    for _ in 0..10 {
        let owner = Owner::unique();
        let granted = async || {
            matches!(
                store.open(&leasing(&new, owner)).await,
                Ok(Opened::Granted(_))
            )
        };
        until(granted).await;
        until(async || store.finish(&release(&new, owner)).await.is_ok()).await;
    }
    let mut log = store.calls().log();
    for call in &mut log {
        call.id = None;
    }
    log
}

#[tokio::test(start_paused = true)]
async fn a_network_does_the_same_for_the_same_seed() {
    let network = |seed| {
        NetworkStore::new(simple(), seed)
            .latency(Duration::from_millis(20))
            .lost_requests(20)
            .lost_replies(20)
    };
    let first = rounds(&network(1)).await;
    assert_eq!(first, rounds(&network(1)).await);
    assert_ne!(first, rounds(&network(2)).await);
    let lost = |effect: bool| {
        let lost = first
            .iter()
            .filter(|call| call.reply.is_some_and(|reply| reply.is_err()));
        lost.filter(|call| call.effect.is_some() == effect).count()
    };
    assert!(
        lost(true) > 0 && lost(false) > 0,
        "replies and requests get lost"
    );
}

#[tokio::test]
async fn calls_overtake_each_other_on_different_connections_only() {
    for (connections, overtakes) in [(1, false), (4, true)] {
        let mut overtaken = false;
        for seed in 0..50 {
            let store = NetworkStore::new(simple(), seed).connections(connections);
            let (new, owner) = (new_session(), Owner::unique());
            until(async || store.create(&new).await.is_ok()).await;
            // The lease is asked for and given back by one whose futures were both dropped.
            assert!(poll_once(store.open(&leasing(&new, owner))).await.is_none());
            assert!(
                poll_once(store.finish(&release(&new, owner)))
                    .await
                    .is_none()
            );
            let all = |calls: Vec<Call>| calls.iter().all(|call| call.effect.is_some());
            until(async || all(store.calls().log())).await;
            let looked = store.inner().look(new.id).await.unwrap();
            overtaken |= looked.record.unwrap().0.lease.is_some();
        }
        assert_eq!(overtaken, overtakes, "{connections} connections");
    }
}

#[tokio::test]
async fn wake_ups_come_for_the_session_that_was_given_up() {
    assert!(NetworkStore::new(simple(), 1).wakeups().is_none());
    let store = Arc::new(NetworkStore::new(simple(), 1).with_wakeups());
    let (one, other, owner) = (new_session(), new_session(), Owner::unique());
    for new in [&one, &other] {
        store.create(new).await.unwrap();
        store.open(&leasing(new, owner)).await.unwrap();
    }
    let wakeups = store.wakeups().unwrap();
    let mut woken = wakeups.released(one.id);
    let finished = store.finish(&release(&other, owner)).await.unwrap();
    assert!(matches!(finished, Finished::Done { .. }));
    assert!(poll_fn(|cx| Poll::Ready(woken.as_mut().poll(cx).is_pending())).await);
    store.finish(&release(&one, owner)).await.unwrap();
    woken.await;
}
