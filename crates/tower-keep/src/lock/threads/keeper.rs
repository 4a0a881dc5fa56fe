//! Requests at a store that does I/O: the keeper's lines, its actors, and their watchdog.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;
use tokio::{point, runtime, time};
use tower_keep_core::{
    DynStore, Expect, Finish, Finished, Looked, Open, Opened, Owner, Record, Scope, SessionId,
    SessionStore, StoreError, StoreErrorKind, Sweep, Swept,
};

use super::stage::{End, LEASE, Stage, WorldClock};
use crate::error::{Conflict, Error};
use crate::lock::{Keeper, LockConfig, Tasks};
use crate::memory::MemoryStore;
use crate::threads::{Time, choose, play, start};

/// A store behind a network without delay: others may run before a call and after it.
#[derive(Clone)]
pub(crate) struct Remote {
    memory: MemoryStore,
    renewed: Arc<Notify>,
}

impl Remote {
    pub(crate) fn new(memory: &MemoryStore) -> Self {
        let (memory, renewed) = (memory.clone(), Arc::default());
        Self { memory, renewed }
    }
}

impl SessionStore for Remote {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        self.memory.look(id).await
    }

    async fn cas(&self, id: SessionId, expect: Expect, new: &Record) -> Result<bool, StoreError> {
        self.memory.cas(id, expect, new).await
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        self.memory.sweep(sweep).await
    }

    fn scope(&self) -> Scope {
        Scope::Shared
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        tokio::task::yield_now().await;
        let opened = SessionStore::open(&self.memory, open).await;
        tokio::task::yield_now().await;
        opened
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        tokio::task::yield_now().await;
        let finished = SessionStore::finish(&self.memory, finish).await;
        tokio::task::yield_now().await;
        finished
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: time::Duration,
    ) -> Result<bool, StoreError> {
        self.renewed.notify_one();
        self.memory.renew(id, owner, lease).await
    }
}

/// A process with a keeper.
struct Process {
    stage: Arc<Stage>,
    keeper: Arc<Keeper>,
    renewed: Arc<Notify>,
}

impl Process {
    fn new(stage: &Arc<Stage>) -> Arc<Self> {
        let store = Remote::new(&stage.memory);
        let renewed = store.renewed.clone();
        let store = DynStore::new(store);
        let locks = LockConfig {
            lease: LEASE,
            ..LockConfig::default()
        };
        let (clock, tasks) = (Arc::new(WorldClock), Arc::new(Tasks::default()));
        Arc::new(Self {
            stage: stage.clone(),
            keeper: Arc::new(Keeper::new(store, locks, clock, tasks)),
            renewed,
        })
    }

    /// Whether it was granted the session, and ended its turn so.
    async fn request(self: Arc<Self>, end: End) -> Result<bool, Error> {
        let over = self.stage.is_over();
        let open = Open {
            lease: None,
            ..self.stage.open()
        };
        match self.keeper.acquire(&open, self.keeper.config.wait).await? {
            Ok(granted) => self.stage.hold(granted, end, over).await.map(|()| true),
            Err(opened) => {
                let fits = matches!(opened, Opened::Stale | Opened::Absent | Opened::Expired);
                assert!(fits, "{opened:?}");
                Ok(false)
            }
        }
    }

    /// Keeps the session until its lease was renewed, and then gives it up.
    async fn stay(self: Arc<Self>) -> Result<(), Error> {
        let open = Open {
            lease: None,
            ..self.stage.open()
        };
        let wait = self.keeper.config.wait;
        let granted = self.keeper.acquire(&open, wait).await?;
        let Ok(_granted) = granted else {
            panic!("it is there");
        };
        self.renewed.notified().await;
        Ok(())
    }

    /// Shuts down, and finds that nothing is left.
    async fn shut_down(&self) {
        self.keeper.tasks.close();
        self.keeper.tasks.drained().await;
        assert!(!self.keeper.visit(|_, _| {}), "a line is left");
    }
}

/// So many add one each.
pub fn everyone_counts(requests: u64) {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let process = Process::new(&stage);
        let one = |_| start(process.clone().request(End::Count));
        let tasks: Vec<_> = (0..requests).map(one).collect();
        for task in tasks {
            assert!(task.await.unwrap().unwrap());
        }
        process.shut_down().await;
        stage.check_all(requests);
    });
}

/// Four, each of which ends its turn in some way or is dropped at any moment.
pub fn some_leave() {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let process = Process::new(&stage);
        let one = |_| {
            let end = [End::Count, End::Discard][choose(2) as usize];
            start(process.clone().request(end))
        };
        let tasks: Vec<_> = (0..4).map(one).collect();
        for task in &tasks {
            if choose(2) == 0 {
                task.abort();
            }
        }
        for task in tasks {
            if let Ok(answer) = task.await {
                assert!(answer.unwrap());
            }
        }
        process.shut_down().await;
        stage.check();
    });
}

/// One destroys the session or replaces its secret while others wait, and one comes after.
pub fn it_ends(rotates: bool) {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let process = Process::new(&stage);
        let end = if rotates { End::Rotate } else { End::Destroy };
        let counts = [(); 2].map(|()| start(process.clone().request(End::Count)));
        let ends = start(process.clone().request(end));
        assert!(ends.await.unwrap().unwrap());
        assert!(!process.clone().request(End::Count).await.unwrap());
        for task in counts {
            task.await.unwrap().unwrap();
        }
        process.shut_down().await;
        stage.check();
    });
}

/// Lines come and go while the watchdog makes its rounds, and one of them stays.
pub fn somebody_watches() {
    play(Time::Passes, async {
        let stage = Stage::new(false);
        let process = Process::new(&stage);
        for _ in 0..3 {
            may_be_late(process.clone().request(End::Discard).await);
        }
        may_be_late(process.clone().stay().await.map(|()| true));
    });
}

/// Where time passes faster than the store answers, it may seem to be gone.
fn may_be_late(answer: Result<bool, Error>) {
    match answer {
        Ok(granted) => assert!(granted),
        Err(Error::Conflict(Conflict::Lost) | Error::OutcomeUnknown | Error::LockTimeout) => {}
        Err(Error::Store(error)) if error.kind() == StoreErrorKind::Unavailable => {}
        Err(error) => panic!("{error:?}"),
    }
}

/// Two processes, whose requests wait for one another at the store.
pub fn two_processes() {
    play(Time::Passes, async {
        let stage = Stage::new(false);
        let processes = [(); 2].map(|()| Process::new(&stage));
        let one = |at: usize| start(processes[at % 2].clone().request(End::Count));
        let tasks = [0, 1, 2, 3].map(one);
        for task in tasks {
            may_be_late(task.await.unwrap());
        }
        for process in processes {
            process.shut_down().await;
        }
        // A lease that could not be given back in time ends by itself.
        time::sleep(2 * LEASE).await;
        let after = SessionStore::open(&stage.memory, &stage.open()).await;
        assert!(matches!(after, Ok(Opened::Granted(_))), "{after:?}");
        SessionStore::destroy(&stage.memory, stage.id)
            .await
            .unwrap();
    });
}

/// The runtime ends under those who hold and wait; those who come later, on another one, are served
/// and watched.
pub fn the_runtime_ends() {
    play(Time::Passes, async {
        let stage = Stage::new(false);
        let process = Process::new(&stage);
        let tasks = [(); 3].map(|()| start(process.clone().request(End::Count)));
        let ends = start(runtime::end());
        for task in tasks {
            may_be_late(task.await.unwrap());
        }
        ends.await.unwrap();
        // As long as a lease of before may keep it.
        time::sleep(2 * LEASE).await;
        may_be_late(process.clone().stay().await.map(|()| true));
    });
}

/// A shutdown while requests come: those that were admitted come to their end first.
pub fn it_shuts_down() {
    play(Time::StandsStill, async {
        let stage = Stage::new(true);
        let process = Process::new(&stage);
        let served = Arc::new(AtomicUsize::new(0));
        let one = |()| {
            let (process, served) = (process.clone(), served.clone());
            start(async move {
                match process.request(End::Count).await {
                    Ok(granted) => {
                        assert!(granted);
                        served.fetch_add(1, Ordering::SeqCst);
                    }
                    Err(Error::ShuttingDown) => {}
                    // It waited in a line whose task was not admitted any more.
                    Err(Error::Store(error)) => {
                        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
                    }
                    Err(error) => panic!("{error:?}"),
                }
            })
        };
        let tasks = [(); 3].map(one);
        point();
        process.keeper.tasks.close();
        process.keeper.tasks.drained().await;
        let committed = stage.memory.record(stage.id).unwrap().head.version - 1;
        assert!(matches!(
            process.clone().request(End::Count).await,
            Err(Error::ShuttingDown)
        ));
        for task in tasks {
            task.await.unwrap();
        }
        process.shut_down().await;
        let served = served.load(Ordering::SeqCst) as u64;
        assert_eq!(committed, served, "something was done after the end");
        stage.check_all(served);
    });
}
