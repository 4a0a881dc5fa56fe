//! Who is let at a record, and what becomes of a write whose caller has left.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use tower_keep::core::Expect;
use tower_keep::{SessionStore, StoreErrorKind};
use tower_keep_testkit::Gate;

use crate::rows::{bridged, lock, new_session};

/// Polls once, as far as it comes without waiting.
fn begun<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
    let mut cx = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut cx) {
        Poll::Ready(answer) => Some(answer),
        Poll::Pending => None,
    }
}

/// A commit whose caller leaves while theirs writes is applied before the next one looks: else it
/// would undo what came after it.
#[tokio::test]
async fn f1_a_write_that_nobody_waits_for_goes_before_the_next() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    let (_, finish) = lock(&store, new.id).await;
    let gate = Gate::new();
    rows.save_at(&gate);
    {
        let mut leaving = Box::pin(store.finish(&finish));
        tokio::select! {
            biased;
            () = gate.arrived(1) => {}
            _ = &mut leaving => panic!("it went through a closed gate"),
        }
    }
    rows.calls();
    // Begun, and polled no more before the next one is done: it must keep nobody waiting.
    let mut seen = Box::pin(store.look(new.id));
    assert!(begun(&mut seen).is_none());
    let mut next = Box::pin(store.destroy(new.id));
    assert!(begun(&mut next).is_none());
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(rows.calls().is_empty(), "somebody reads beside a write");
    gate.open();
    assert!(next.await.unwrap());
    let (record, _) = seen.await.unwrap().record.unwrap();
    assert!(record.head.version == 2, "the commit is not there");
    let (last, _) = store.look(new.id).await.unwrap().record.unwrap();
    assert!(last.gone_at.is_some(), "the commit undid the destruction");
}

/// Of two that have seen the same revision, one writes.
#[tokio::test]
async fn f1_one_of_many_writes() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    store.create(&new).await.unwrap();
    let (record, revision) = store.look(new.id).await.unwrap().record.unwrap();
    let gate = Gate::new();
    rows.save_at(&gate);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (store, record) = (store.clone(), record.clone());
            tokio::spawn(
                async move { store.cas(new.id, Expect::Revision(revision), &record).await },
            )
        })
        .collect();
    gate.arrived(1).await;
    gate.open();
    let mut swapped = 0;
    for task in tasks {
        swapped += usize::from(task.await.unwrap().unwrap());
    }
    assert_eq!(swapped, 1);
    assert_eq!(
        rows.calls().iter().filter(|call| **call == "save").count(),
        1
    );
}

#[test]
fn f1_without_a_runtime_nothing_is_written() {
    let (rows, store, clock) = bridged();
    let new = new_session(&clock);
    let mut create = Box::pin(store.create(&new));
    let error = begun(&mut create).unwrap().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert_eq!(rows.all(), []);
}
