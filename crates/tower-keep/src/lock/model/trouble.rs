//! The keeper where calls, stores, runtimes and the actor itself fail.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower_keep_core::{
    Expect, Looked, Record, Scope, SessionId, SessionStore, StoreError, StoreErrorKind, Sweep,
    Swept, Wakeups,
};
use tower_keep_testkit::{Fault, FaultStore, Gate, Script, Verb};

use super::scene::{SECOND, Scene, acquire, commit, is_idle, settle, write};
use crate::error::Error;
use crate::lock::{Keeper, LockConfig};
use crate::memory::MemoryStore;

/// A keeper on a store to which this happens.
fn troubled(scene: &Scene, script: Script) -> (FaultStore<MemoryStore>, Arc<Keeper>) {
    let store = FaultStore::new(scene.memory.clone()).detached();
    store.set_script(script);
    (store.clone(), scene.keeper(store, LockConfig::default()))
}

fn unavailable<T>(outcome: &Result<T, Error>) -> bool {
    matches!(outcome, Err(Error::Store(error)) if error.kind() == StoreErrorKind::Unavailable)
}

#[tokio::test(start_paused = true)]
async fn a_lost_open_is_given_back() {
    let scene = Scene::new().await;
    let (store, keeper) = troubled(
        &scene,
        Script::new().nth_of(Verb::Open, 1, Fault::LoseReply),
    );
    assert!(unavailable(&write(keeper.clone(), scene.open()).await));
    settle().await;
    assert_eq!((scene.leased(), is_idle(&keeper)), (None, true));
    assert_eq!(store.calls().of(Verb::Finish), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lost_open_is_asked_again_under_the_same_token() {
    let scene = Scene::new().await;
    let (store, keeper) = troubled(
        &scene,
        Script::new().nth_of(Verb::Open, 1, Fault::LoseReply),
    );
    let requests = [0; 2].map(|_| tokio::spawn(write(keeper.clone(), scene.open())));
    let [first, second] = requests;
    assert!(unavailable(&first.await.unwrap()));
    assert_eq!(second.await.unwrap().unwrap(), 2);
    settle().await;
    let effects: Vec<_> = store.calls().log().iter().map(|c| c.effect).collect();
    // Were it another token, the second would be busy.
    assert_eq!(effects, [Some("granted"), Some("granted"), Some("done")]);
    assert_eq!(scene.leased(), None);
}

#[tokio::test(start_paused = true)]
async fn a_lost_finish_is_asked_again_and_applied_once() {
    let faults = [
        Fault::LoseReply,
        Fault::Fail(StoreErrorKind::Unavailable),
        Fault::Panic,
        Fault::DelayBefore(Gate::new()),
        Fault::DelayAfter(Gate::new()),
        Fault::ApplyLater(Gate::new()),
    ];
    for fault in faults {
        for waiters in 0..3 {
            let scene = Scene::new().await;
            let script = Script::new().nth_of(Verb::Finish, 1, fault.clone());
            let (store, keeper) = troubled(&scene, script);
            let held = acquire(&keeper, scene.open()).await.unwrap();
            let waiting: Vec<_> = (0..waiters)
                .map(|_| tokio::spawn(write(keeper.clone(), scene.open())))
                .collect();
            settle().await;
            assert_eq!(commit(held).await.unwrap(), 2, "{fault:?}");
            for (n, request) in (3..).zip(waiting) {
                assert_eq!(request.await.unwrap().unwrap(), n, "{fault:?}");
            }
            settle().await;
            assert_eq!(scene.commits(), 1 + waiters, "{fault:?}");
            assert_eq!((scene.leased(), is_idle(&keeper)), (None, true));
            assert!(store.calls().of(Verb::Finish) >= 2);
            if let Fault::DelayBefore(late) | Fault::DelayAfter(late) | Fault::ApplyLater(late) =
                &fault
            {
                // What comes late changes nothing any more.
                late.open();
                settle().await;
                assert_eq!(scene.commits(), 1 + waiters, "{fault:?}");
                assert_eq!(scene.leased(), None);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_the_store_refuses_is_not_asked_again() {
    let scene = Scene::new().await;
    let refusal = Fault::Fail(StoreErrorKind::TooLarge);
    let (store, keeper) = troubled(&scene, Script::new().nth_of(Verb::Finish, 1, refusal));
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let waiting = tokio::spawn(write(keeper.clone(), scene.open()));
    settle().await;
    let start = Instant::now();
    match commit(held).await {
        Err(Error::Store(error)) => assert_eq!(error.kind(), StoreErrorKind::TooLarge),
        outcome => panic!("{outcome:?}"),
    }
    assert!(start.elapsed().is_zero());
    assert_eq!(waiting.await.unwrap().unwrap(), 2);
    settle().await;
    assert_eq!((scene.leased(), is_idle(&keeper)), (None, true));
    assert_eq!(store.calls().of(Verb::Finish), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_a_lost_reply_is_unknown() {
    let scene = Scene::new().await;
    let script = Script::new()
        .nth_of(Verb::Finish, 1, Fault::LoseReply)
        .nth_of(Verb::Finish, 2, Fault::Fail(StoreErrorKind::Closed));
    let (_, keeper) = troubled(&scene, script);
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let outcome = commit(held).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown)), "{outcome:?}");
    assert_eq!(scene.commits(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_fails_requests_one_by_one() {
    let scene = Scene::new().await;
    let never = Fault::DelayBefore(Gate::new());
    let (_, keeper) = troubled(&scene, Script::new().every(never));
    let requests = [0; 4].map(|_| tokio::spawn(write(keeper.clone(), scene.open())));
    let start = Instant::now();
    for (n, request) in (1..).zip(requests) {
        let outcome = request.await.unwrap();
        assert!(
            unavailable(&outcome) || matches!(outcome, Err(Error::LockTimeout)),
            "{outcome:?}"
        );
        let most = (n * 5 * SECOND).min(16 * SECOND);
        assert!(start.elapsed() <= most, "{:?}", start.elapsed());
    }
    sleep(60 * SECOND).await;
    assert!(is_idle(&keeper));
}

#[tokio::test(start_paused = true)]
async fn a_finish_that_is_never_answered_ends_unknown() {
    let scene = Scene::new().await;
    let never = Fault::DelayBefore(Gate::new());
    let (_, keeper) = troubled(&scene, Script::new().every_of(Verb::Finish, never));
    let held = acquire(&keeper, scene.open()).await.unwrap();
    let waiting = tokio::spawn(write(keeper.clone(), scene.open()));
    settle().await;
    let start = Instant::now();
    let outcome = commit(held).await;
    assert!(matches!(outcome, Err(Error::OutcomeUnknown)), "{outcome:?}");
    assert!(start.elapsed() <= 20 * SECOND, "{:?}", start.elapsed());
    // It gets the session when the lease is over, and then fails as well.
    let outcome = waiting.await.unwrap();
    assert!(outcome.is_err(), "{outcome:?}");
    sleep(60 * SECOND).await;
    assert!(is_idle(&keeper));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_store_is_a_failed_call() {
    let scene = Scene::new().await;
    let (_, keeper) = troubled(&scene, Script::new().nth_of(Verb::Open, 1, Fault::Panic));
    assert!(unavailable(&write(keeper.clone(), scene.open()).await));
    assert_eq!(write(keeper.clone(), scene.open()).await.unwrap(), 2);
}

#[test]
fn a_runtime_that_ends_takes_its_line_along_and_the_next_one_goes_on() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let scene = first.block_on(Scene::new());
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let held = first.block_on(acquire(&keeper, scene.open())).unwrap();
    // This one waits in the line whose actor lives in the first runtime.
    let waiting = second.spawn(write(keeper.clone(), scene.open()));
    second.block_on(settle());
    drop(first);
    let outcome = second.block_on(waiting).unwrap();
    assert!(unavailable(&outcome), "{outcome:?}");
    let outcome = second.block_on(commit(held));
    assert!(matches!(outcome, Err(Error::OutcomeUnknown)), "{outcome:?}");
    assert!(is_idle(&keeper));
    // The session is free as soon as the lease is over.
    let mut record = scene.memory.record(scene.id).unwrap();
    record.lease = None;
    second.block_on(async {
        let revision = scene.memory.look(scene.id).await.unwrap().record.unwrap().1;
        let expect = Expect::Revision(revision);
        assert!(scene.memory.cas(scene.id, expect, &record).await.unwrap());
        assert_eq!(write(keeper.clone(), scene.open()).await.unwrap(), 2);
    });
}

#[test]
fn without_a_runtime_there_is_an_error_and_no_line() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let scene = runtime.block_on(Scene::new());
    let keeper = scene.keeper(FaultStore::new(scene.memory.clone()), LockConfig::default());
    let open = scene.open();
    let mut request = Box::pin(keeper.acquire(&open, SECOND));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let answer = request.as_mut().poll(&mut cx);
    assert!(matches!(answer, Poll::Ready(Err(Error::NoRuntime))));
    assert!(is_idle(&keeper));
}

/// A store whose wake-ups misbehave.
struct Waking {
    memory: MemoryStore,
    bell: Bell,
}

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Bell {
    panics: bool,
    /// Runs when a wait for a wake-up is dropped.
    dropped: Arc<Mutex<Option<Hook>>>,
}

struct Listening(Arc<Mutex<Option<Hook>>>);

impl Future for Listening {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let hook = self.0.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
    }
}

impl Wakeups for Bell {
    fn released(&self, _: SessionId) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        assert!(!self.panics, "injected: the bell is broken");
        Box::pin(Listening(self.dropped.clone()))
    }
}

impl SessionStore for Waking {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.memory.look(id).await
    }
    async fn cas(&self, id: SessionId, e: Expect, record: &Record) -> Result<bool, StoreError> {
        self.memory.cas(id, e, record).await
    }
    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.memory.sweep(sweep).await
    }
    fn scope(&self) -> Scope {
        Scope::Shared
    }
    fn wakeups(&self) -> Option<&dyn Wakeups> {
        Some(&self.bell)
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_actor_ends_its_line_and_not_the_next() {
    let scene = Scene::new().await;
    let bell = Bell {
        panics: true,
        ..Bell::default()
    };
    let memory = scene.memory.clone();
    let keeper = scene.keeper(Waking { memory, bell }, LockConfig::default());
    scene.take(SECOND).await;
    let requests = [0; 3].map(|_| tokio::spawn(write(keeper.clone(), scene.open())));
    for request in requests {
        let outcome = request.await.unwrap();
        assert!(unavailable(&outcome), "{outcome:?}");
    }
    assert!(is_idle(&keeper));
    sleep(2 * SECOND).await;
    assert_eq!(write(keeper, scene.open()).await.unwrap(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_comes_when_the_line_has_just_ended_starts_its_own() {
    let scene = Scene::new().await;
    let (bell, memory) = (Bell::default(), scene.memory.clone());
    let hook = bell.dropped.clone();
    let keeper = scene.keeper(Waking { memory, bell }, LockConfig::default());
    scene.take(SECOND).await;
    // It is refused, listens, and goes away; then the actor ends.
    let leaver = tokio::spawn(write(keeper.clone(), scene.open()));
    settle().await;
    let (sender, receiver) = oneshot::channel();
    let (late, open) = (keeper.clone(), scene.open());
    *hook.lock().unwrap() = Some(Box::new(move || {
        // Polled once, so that it is in the line before the old actor is gone for good.
        let mut request = Box::pin(async move { late.acquire(&open, 15 * SECOND).await.is_ok() });
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(request.as_mut().poll(&mut cx).is_pending());
        let _ = sender.send(request);
    }));
    leaver.abort();
    let request = receiver.await.unwrap();
    assert!(request.await, "its line was taken away from it");
}
