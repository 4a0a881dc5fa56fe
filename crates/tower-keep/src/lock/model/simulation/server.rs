//! The store's end: the rules of the memory store, calls that come twice, and planted mistakes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::sleep;
use tower_keep_core::{
    Clock, Created, Expect, Finish, Finished, Looked, NewSession, Open, Opened, Owner, Record,
    Scope, SessionId, SessionStore, StoreError, Sweep, Swept, View,
};
use tower_keep_testkit::{Rng, TestClock};

use super::Story;
use crate::memory::MemoryStore;

/// A mistake of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mistake {
    /// A commit does not look at who holds the session and upon which version it was made.
    NoFencing,
    /// Who asks again gets the session, whoever has it.
    WakeWithoutLease,
    /// A commit brings back what was destroyed meanwhile.
    FinishAfterDestroy,
}

/// Clones are the same.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) memory: MemoryStore,
    pub(super) clock: TestClock,
    pub(super) story: Story,
    mistake: Option<Mistake>,
    /// How many percent of the calls come twice, the second time by chance later.
    repeats: u32,
    rng: Arc<Mutex<Rng>>,
    /// The last record that was there.
    records: Arc<Mutex<HashMap<SessionId, Record>>>,
}

const LATEST: Duration = Duration::from_secs(2);

impl Server {
    pub(super) fn new(
        clock: &TestClock,
        story: &Story,
        rng: &mut Rng,
        mistake: Option<Mistake>,
    ) -> Self {
        Self {
            memory: MemoryStore::with_clock(usize::MAX, Arc::new(clock.clone())),
            clock: clock.clone(),
            story: story.clone(),
            mistake,
            repeats: u32::try_from(rng.below(8)).unwrap(),
            rng: Arc::new(Mutex::new(Rng::new(rng.next_u64()))),
            records: Arc::default(),
        }
    }

    /// After how long a call comes once more, if it does.
    fn repeated(&self) -> Option<Duration> {
        let mut rng = self.rng.lock().unwrap();
        rng.percent(self.repeats).then(|| rng.up_to(LATEST))
    }

    fn planted(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    async fn opened(&self, open: &Open) -> Result<Opened, StoreError> {
        let held = self.memory.record(open.id).and_then(|record| record.lease);
        let mut opened = self.memory.open(open).await?;
        if let Opened::Busy(_) = opened
            && self.planted(Mistake::WakeWithoutLease)
            && let Some(record) = self.memory.record(open.id)
        {
            opened = Opened::Granted(View {
                head: record.head,
                data: record.data,
                now: self.clock.now(),
            });
        }
        // No lease is given to anybody while somebody else has one.
        if let (Opened::Granted(_), Some((owner, _)), Some(held)) = (&opened, open.lease, held)
            && held.owner != owner
            && held.until > self.clock.now()
        {
            self.story
                .tell("WRONG: a lease was given that somebody has");
        }
        Ok(opened)
    }

    async fn finished(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let mut finish = finish.clone();
        let before = self.memory.record(finish.id);
        if self.planted(Mistake::NoFencing)
            && let Some(record) = before.as_ref().filter(|record| record.gone_at.is_none())
        {
            finish.version = record.head.version;
            if let Some(lease) = record.lease {
                finish.owner = lease.owner;
            } else {
                self.taken(finish.id, finish.owner).await?;
            }
        }
        let mut finished = self.memory.finish(&finish).await?;
        if let Some(record) = before.filter(|record| record.gone_at.is_none()) {
            self.records.lock().unwrap().insert(finish.id, record);
        }
        if finished == Finished::Gone && self.planted(Mistake::FinishAfterDestroy) {
            finished = self.brought_back(&finish).await?;
        }
        Ok(finished)
    }

    async fn taken(&self, id: SessionId, owner: Owner) -> Result<(), StoreError> {
        let open = Open {
            id,
            secret: None,
            age: Duration::ZERO,
            touch: None,
            lease: Some((owner, Duration::from_secs(1))),
        };
        self.memory.open(&open).await.map(drop)
    }

    /// What a commit finds destroyed is there again.
    async fn brought_back(&self, finish: &Finish) -> Result<Finished, StoreError> {
        let looked = self.memory.look(finish.id).await?;
        let record = self.records.lock().unwrap().get(&finish.id).cloned();
        if let (Some((_, revision)), Some(record)) = (looked.record, record) {
            let expect = Expect::Revision(revision);
            self.memory.cas(finish.id, expect, &record).await?;
        }
        self.memory.finish(finish).await
    }
}

impl SessionStore for Server {
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

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        self.memory.create(new).await
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        if let Some(later) = self.repeated() {
            let (server, open) = (self.clone(), *open);
            tokio::spawn(async move {
                sleep(later).await;
                server.opened(&open).await
            });
        }
        self.opened(open).await
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        if let Some(later) = self.repeated() {
            let (server, finish) = (self.clone(), finish.clone());
            tokio::spawn(async move {
                sleep(later).await;
                server.finished(&finish).await
            });
        }
        self.finished(finish).await
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        self.memory.renew(id, owner, lease).await
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        self.memory.destroy(id).await
    }
}
