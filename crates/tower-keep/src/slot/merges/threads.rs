//! Requests of one process that merge into one session, beside one that locks it.

use std::sync::Arc;

use tokio::runtime;
use tower_keep_core::StoreErrorKind;

use crate::error::Error;
use crate::handle::SessionHandle;
use crate::lock::threads::keeper::Remote;
use crate::lock::threads::stage::{Stage, WorldClock, count};
use crate::merge::MergeSession;
use crate::session::Session;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::threads::{Time, choose, play, start};
use crate::{SessionLayer, SessionLayerBuilder};

struct Process {
    stage: Arc<Stage>,
    shared: Arc<Shared>,
}

impl Process {
    fn new() -> Arc<Self> {
        let stage = Stage::new(true);
        let store = Remote::new(&stage.memory);
        let layer: SessionLayerBuilder = SessionLayer::builder(store).clock(Arc::new(WorldClock));
        let shared = layer.build().unwrap().shared;
        Arc::new(Self { stage, shared })
    }

    /// One request that counts.
    async fn request(self: Arc<Self>, locks: bool) -> Result<(), Error> {
        let arrived = self.shared.clock.monotonic();
        let slot = Slot::without_response(self.shared.clone(), arrived);
        let handle = SessionHandle::by_id(Arc::new(slot), self.stage.id);
        if locks {
            let add = async |s: Session| s.increment("count", 1).map(drop);
            handle.write(add).await
        } else {
            let add = async |s: MergeSession| s.increment("count", 1);
            handle.merge(add).await
        }
    }

    fn counted(&self) -> u64 {
        count(&self.stage.memory.record(self.stage.id).unwrap().data)
    }

    /// Shuts down, and finds that nothing is left.
    async fn shut_down(&self) {
        self.shared.tasks.close();
        self.shared.tasks.drained().await;
        for lines in &self.shared.merges.lines {
            assert!(lines.lock().unwrap().is_empty(), "a line is left");
        }
        let record = self.stage.memory.record(self.stage.id).unwrap();
        assert!(record.lease.is_none(), "a lease was left behind");
    }
}

/// So many merge, and one locks.
pub fn everyone_counts(merges: u64) {
    play(Time::StandsStill, async move {
        let process = Process::new();
        let one = |number| start(process.clone().request(number == 0));
        let tasks: Vec<_> = (0..=merges).map(one).collect();
        for task in tasks {
            task.await.unwrap().unwrap();
        }
        process.shut_down().await;
        assert_eq!(process.counted(), merges + 1);
    });
}

/// Some are dropped, at any moment: they count or not, the others do.
pub fn some_leave() {
    play(Time::StandsStill, async {
        let process = Process::new();
        let tasks = [(); 4].map(|()| start(process.clone().request(false)));
        for task in &tasks {
            if choose(2) == 0 {
                task.abort();
            }
        }
        let (mut done, mut left) = (0, 0);
        for task in tasks {
            match task.await {
                Ok(answer) => {
                    answer.unwrap();
                    done += 1;
                }
                Err(_) => left += 1,
            }
        }
        process.shut_down().await;
        let counted = process.counted();
        assert!(
            (done..=done + left).contains(&counted),
            "{done} {left} {counted}"
        );
    });
}

/// A shutdown while they come, or the end of the runtime under them: whoever is told so counts, and
/// everybody is told something.
pub fn it_ends(abruptly: bool) {
    play(Time::Passes, async move {
        let process = Process::new();
        let tasks = [(); 3].map(|()| start(process.clone().request(false)));
        if abruptly {
            runtime::end().await;
        } else {
            process.shared.tasks.close();
        }
        let (mut done, mut unknown) = (0, 0);
        for task in tasks {
            match task.await.unwrap() {
                Ok(()) => done += 1,
                Err(Error::OutcomeUnknown) => unknown += 1,
                Err(Error::ShuttingDown | Error::LockTimeout) => {}
                Err(Error::Store(error)) if error.kind() == StoreErrorKind::Unavailable => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        process.shared.tasks.close();
        process.shared.tasks.drained().await;
        for lines in &process.shared.merges.lines {
            assert!(lines.lock().unwrap().is_empty(), "a line is left");
        }
        let counted = process.counted();
        assert!(
            (done..=done + unknown).contains(&counted),
            "{done} {unknown} {counted}"
        );
    });
}
