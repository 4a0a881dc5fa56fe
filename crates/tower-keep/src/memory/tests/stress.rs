//! Requests as they come through the layer, at random: one thread that can be run again by its
//! seed, and many that cannot.

use std::future::Future;
use std::pin::Pin;

use tower_keep_core::{DynStore, View};
use tower_keep_testkit::{Rng, seed_or};

use super::*;
use crate::error::{Conflict, Error};
use crate::lock::{Commit, Grant, acquire_local};

type Acquiring = Pin<Box<dyn Future<Output = Result<Result<(View, Grant), Opened>, Error>> + Send>>;

/// What a request is doing.
enum Doing {
    Nothing,
    Waiting(Acquiring),
    Holding(Box<(View, Grant)>),
}

fn acquiring(store: &MemoryStore, open: Open) -> Acquiring {
    let store = DynStore::new(store.clone());
    Box::pin(async move { acquire_local(&store, &open, 3_600 * SECOND, 4).await })
}

fn put() -> Commit {
    let head = HeadChange {
        remember: Some(true),
        ..HeadChange::default()
    };
    Commit::Put(head, Patch::default())
}

/// A queue is where somebody waits and somebody else has the lease.
fn check(store: &MemoryStore, ids: &[SessionId]) {
    for id in ids {
        if store.waiting(*id) > 0 {
            let lease = store.record(*id).unwrap().lease;
            assert!(lease.is_some(), "somebody waits for a free lease");
        }
        assert!(store.0.expire_lease(*id).is_none_or(|left| left <= LEASE));
    }
    assert_eq!(store.len(), store.ids().len());
}

#[test]
fn steps_at_random_keep_the_rules() {
    let seed = seed_or(1);
    println!("seed {seed}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let _entered = runtime.enter();
    for round in 0..if std::env::var_os("KEEP_HEAVY").is_some() {
        2_000
    } else {
        40
    } {
        let mut rng = Rng::new(seed ^ (round << 32));
        let (store, clock) = store(usize::MAX);
        let mut ids = [0; 2].map(|_| store.add(3_600 * SECOND));
        let mut doing: Vec<_> = (0..8).map(|_| Doing::Nothing).collect();
        let (mut acknowledged, mut versions) = (0, 0);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..500 {
            let at = usize::try_from(rng.below(8)).unwrap();
            let which = usize::try_from(rng.below(2)).unwrap();
            doing[at] = match std::mem::replace(&mut doing[at], Doing::Nothing) {
                Doing::Nothing => {
                    let open = open(ids[which], Owner::unique());
                    Doing::Waiting(acquiring(&store, open))
                }
                // Gone while it waited.
                Doing::Waiting(_) if rng.percent(10) => Doing::Nothing,
                Doing::Waiting(mut waiting) => match waiting.as_mut().poll(&mut cx) {
                    Poll::Pending => Doing::Waiting(waiting),
                    Poll::Ready(Ok(Ok((view, grant)))) => Doing::Holding(Box::new((view, grant))),
                    Poll::Ready(_) => Doing::Nothing,
                },
                Doing::Holding(held) => {
                    let (view, grant) = *held;
                    let saw = view.head.version;
                    match rng.below(10) {
                        0..=2 => drop(grant),
                        3..=6 => match now(grant, view) {
                            Ok(version) => {
                                assert_eq!(version, saw + 1);
                                acknowledged += 1;
                            }
                            Err(Error::Conflict(Conflict::Lost | Conflict::Gone)) => {}
                            Err(error) => panic!("{error:?}"),
                        },
                        _ => {
                            doing[at] = Doing::Holding(Box::new((view, grant)));
                            continue;
                        }
                    }
                    Doing::Nothing
                }
            };
            if rng.percent(2) {
                clock.advance(LEASE);
            }
            if rng.percent(1) {
                versions += store.record(ids[which]).unwrap().head.version - 1;
                let inner = &*store.0;
                inner.step(ids[which], |s| s.destroy(ids[which], None, &*inner.clock));
                // The queue was refused in the same step.
                assert_eq!(store.waiting(ids[which]), 0);
                ids[which] = store.add(3_600 * SECOND);
            }
            check(&store, &ids);
        }
        drop(doing);
        for id in ids {
            versions += store.record(id).unwrap().head.version - 1;
            assert_eq!((store.owner(id), store.waiting(id)), (None, 0));
        }
        assert_eq!(versions, acknowledged, "round {round}");
    }
}

/// Commits, and tells the new version.
fn now(grant: Grant, view: View) -> Result<u64, Error> {
    let outcome = std::pin::pin!(grant.finish(view, put()));
    match outcome.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome.map(|(head, _)| head.version),
        Poll::Pending => panic!("a step in memory had to wait"),
    }
}

#[test]
fn threads_lose_nothing_and_leave_nothing() {
    let seed = seed_or(1);
    println!("seed {seed}");
    let store = MemoryStore::new();
    let ids = [0; 3].map(|_| store.add(3_600 * SECOND));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .unwrap();
    let steps = if std::env::var_os("KEEP_HEAVY").is_some() {
        100_000
    } else {
        3_000
    };
    let workers: Vec<_> = (0..12)
        .map(|worker| {
            let store = store.clone();
            runtime.spawn(async move {
                let mut rng = Rng::new(seed ^ (worker << 32));
                let mut acknowledged = 0_u64;
                for _ in 0..steps {
                    let id = *rng.pick(&ids).unwrap();
                    let waiting = acquiring(&store, open(id, Owner::unique()));
                    let opened = if rng.percent(30) {
                        // Given up after so many polls.
                        let mut waiting = waiting;
                        let mut left = rng.below(4);
                        std::future::poll_fn(|cx| match waiting.as_mut().poll(cx) {
                            Poll::Ready(opened) => Poll::Ready(Some(opened)),
                            Poll::Pending if left == 0 => Poll::Ready(None),
                            Poll::Pending => {
                                left -= 1;
                                cx.waker().wake_by_ref();
                                Poll::Pending
                            }
                        })
                        .await
                    } else {
                        Some(waiting.await)
                    };
                    match opened {
                        Some(Ok(Ok((view, grant)))) => {
                            if rng.percent(20) {
                                tokio::task::yield_now().await;
                            }
                            if rng.percent(70) {
                                now(grant, view).unwrap();
                                acknowledged += 1;
                            }
                        }
                        None | Some(Err(Error::TooManyWaiting)) => {}
                        Some(Ok(Err(opened))) => panic!("{opened:?}"),
                        Some(Err(error)) => panic!("{error:?}"),
                    }
                }
                acknowledged
            })
        })
        .collect();
    let acknowledged: u64 = workers
        .into_iter()
        .map(|worker| runtime.block_on(worker).unwrap())
        .sum();
    let mut versions = 0;
    for id in ids {
        assert_eq!((store.owner(id), store.waiting(id)), (None, 0));
        versions += store.record(id).unwrap().head.version - 1;
    }
    assert_eq!(versions, acknowledged);
    assert_eq!(store.len(), 3);
}

/// A clock that lets other threads run whenever it is asked.
#[derive(Debug)]
struct Yielding(TestClock);

impl tower_keep_core::Clock for Yielding {
    fn now(&self) -> Timestamp {
        for _ in 0..20 {
            std::thread::yield_now();
        }
        self.0.now()
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[test]
fn of_threads_that_log_in_at_once_no_more_come_in_than_may() {
    use tower_keep_core::UserCap;
    const THREADS: usize = 8;
    for round in 0..200 {
        let clock = Arc::new(Yielding(TestClock::new()));
        let store = MemoryStore::with_clock(usize::MAX, clock);
        let start = std::sync::Barrier::new(THREADS);
        let log_in = || {
            let new = NewSession {
                user: Some("ada".into()),
                cap: Some(UserCap::refuse(2)),
                ..session(3_600 * SECOND)
            };
            start.wait();
            LocalStore::create(&*store.0, &new).is_ok()
        };
        let joined = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(log_in)).collect();
            let joined = threads.into_iter().map(|thread| thread.join().unwrap());
            joined.filter(|joined| *joined).count()
        });
        assert_eq!(joined, 2, "round {round}");
        assert_eq!(store.len(), 2, "round {round}");
    }
}
