//! A store with the `local` ability, right or with one mistake planted.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use tower_keep_core::data::Patch;
use tower_keep_core::{
    Clock, CommitId, Created, Expect, Finish, Finished, LocalOpened, LocalStore, Looked,
    NewSession, Op, Open, Opened, Owner, Record, Revision, Scope, SessionId, SessionStore,
    StoreError, Sweep, Swept, Timestamp, Turn, TurnState,
};
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::Harness;

/// What the queue does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mistake {
    None,
    /// The last one is served first.
    LastIn,
    /// A lease given up is free for a moment, for whoever comes first.
    FreesTheLease,
    /// Who is next is answered and not woken.
    NoWake,
    /// Who leaves with the lease keeps it.
    LeavesWithTheLease,
    /// Who leaves keeps its place.
    KeepsItsPlace,
    /// Leaving after the answer was taken gives the lease away.
    LeavesTwice,
    /// The answer is granted without another look at the secret.
    NotJudgedAgain,
    /// A destruction from outside answers nobody.
    ForgetsTheQueue,
    /// Everybody may wait.
    Unbounded,
    /// Strangers may wait.
    AdmitsStrangers,
    /// A lease that ran out is not handed on.
    NeverExpires,
    /// The next owner of the request is believed.
    BelievesNext,
}

#[derive(Default)]
struct Slot {
    record: Option<Record>,
    revision: u64,
    queue: VecDeque<Arc<Turn>>,
}

pub(crate) struct Queueing {
    slots: Mutex<HashMap<SessionId, Slot>>,
    clock: TestClock,
    mistake: Mistake,
}

impl Queueing {
    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// One step on a slot; afterwards, if the lease is free, the queue is served.
    fn step<A>(&self, id: SessionId, step: impl FnOnce(&mut Slot, Timestamp) -> A) -> A {
        let now = self.clock.now();
        let mut wakers = Vec::new();
        let answer = {
            let mut slots = self.slots.lock().unwrap();
            let slot = slots.entry(id).or_default();
            let answer = step(slot, now);
            self.serve(slot, now, &mut wakers);
            answer
        };
        if !self.is(Mistake::NoWake) {
            wakers.into_iter().for_each(Waker::wake);
        }
        answer
    }

    fn serve(&self, slot: &mut Slot, now: Timestamp, wakers: &mut Vec<Waker>) {
        while slot
            .record
            .as_ref()
            .is_none_or(|record| record.lease.is_none())
        {
            let next = match self.mistake {
                Mistake::LastIn => slot.queue.pop_back(),
                Mistake::ForgetsTheQueue
                    if slot.record.as_ref().is_none_or(|r| r.gone_at.is_some()) =>
                {
                    None
                }
                _ => slot.queue.pop_front(),
            };
            let Some(turn) = next else { return };
            let opened = match &mut slot.record {
                None => Opened::Absent,
                Some(record) => {
                    let mut open = *turn.open();
                    if self.is(Mistake::NotJudgedAgain) {
                        open.secret = None;
                    }
                    slot.revision += 1;
                    let opened = record.open(&open, now).0;
                    if self.is(Mistake::FreesTheLease) {
                        record.lease = None;
                    }
                    opened
                }
            };
            match turn.answer(opened) {
                Ok(waker) => wakers.extend(waker),
                // Nobody is there to take it.
                Err(_) => free(slot),
            }
            if self.is(Mistake::FreesTheLease) {
                return;
            }
        }
    }

    /// A lease that ran out goes to who waits.
    fn expire(&self, slot: &mut Slot, now: Timestamp) {
        let lease = slot.record.as_ref().and_then(|record| record.lease);
        let over = lease.is_some_and(|lease| lease.until <= now);
        if over && !slot.queue.is_empty() && !self.is(Mistake::NeverExpires) {
            free(slot);
        }
    }
}

fn free(slot: &mut Slot) {
    if let Some(record) = &mut slot.record {
        record.lease = None;
        slot.revision += 1;
    }
}

fn open(slot: &mut Slot, open: &Open, now: Timestamp) -> Opened {
    let Some(record) = &mut slot.record else {
        return Opened::Absent;
    };
    let (opened, changed) = record.open(open, now);
    slot.revision += u64::from(changed);
    opened
}

fn create(slot: &mut Slot, new: &NewSession, now: Timestamp) -> Created {
    if let Some(record) = &slot.record {
        return record.meet_create(new.commit, now);
    }
    slot.record = Some(Record::create(new, now));
    slot.revision += 1;
    Created::Done(now)
}

fn finish(slot: &mut Slot, finish: &Finish, now: Timestamp) -> Finished {
    let Some(record) = &mut slot.record else {
        return Finished::Gone;
    };
    let (finished, changed) = record.finish(finish, now);
    slot.revision += u64::from(changed);
    finished
}

impl LocalStore for Queueing {
    fn open(&self, request: &Open) -> Opened {
        self.step(request.id, |slot, now| {
            if request.lease.is_some() {
                self.expire(slot, now);
            }
            open(slot, request, now)
        })
    }

    fn acquire(&self, request: &Open, max_waiting: usize) -> LocalOpened {
        self.step(request.id, |slot, now| {
            self.expire(slot, now);
            let opened = open(slot, request, now);
            let stranger = matches!(opened, Opened::Absent) && slot.record.is_some();
            match opened {
                Opened::Busy(_) => {}
                _ if stranger && self.is(Mistake::AdmitsStrangers) => {}
                _ => return LocalOpened::Now(opened),
            }
            if slot.queue.len() >= max_waiting && !self.is(Mistake::Unbounded) {
                return LocalOpened::Full;
            }
            let turn = Turn::new(*request);
            slot.queue.push_back(turn.clone());
            LocalOpened::Queued(turn)
        })
    }

    fn leave(&self, turn: &Arc<Turn>) {
        let Some((owner, _)) = turn.open().lease else {
            return;
        };
        self.step(turn.open().id, |slot, now| {
            let gives_up = match turn.end() {
                TurnState::Waiting(_) => {
                    if !self.is(Mistake::KeepsItsPlace) {
                        slot.queue.retain(|other| !Arc::ptr_eq(other, turn));
                    }
                    false
                }
                TurnState::Answered(Opened::Granted(_)) => !self.is(Mistake::LeavesWithTheLease),
                TurnState::Answered(_) => false,
                TurnState::Over => self.is(Mistake::LeavesTwice),
            };
            if gives_up {
                let release = Finish {
                    id: turn.open().id,
                    owner,
                    version: 0,
                    commit: CommitId::unique(),
                    op: Op::Release,
                    next: None,
                };
                finish(slot, &release, now);
            }
        });
    }

    fn expire_lease(&self, id: SessionId) -> Option<Duration> {
        self.step(id, |slot, now| self.expire(slot, now));
        self.step(id, |slot, now| {
            let lease = slot.record.as_ref()?.lease?;
            (lease.until > now).then(|| lease.until.since(now))
        })
    }

    fn finish(&self, request: &Finish, patch: &Patch) -> Result<Finished, StoreError> {
        let mut request = request.clone();
        if !self.is(Mistake::BelievesNext) {
            request.next = None;
        }
        Ok(self.step(request.id, |slot, now| {
            if let (Op::Put(put), Some(record)) = (&mut request.op, &slot.record) {
                let mut data = record.data.clone();
                data.apply(patch);
                put.data = Some(data);
            }
            finish(slot, &request, now)
        }))
    }

    fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        Ok(self.step(new.id, |slot, now| create(slot, new, now)))
    }
}

impl SessionStore for Queueing {
    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        Ok(self.step(id, |slot, now| Looked {
            record: slot
                .record
                .clone()
                .map(|record| (record, Revision(slot.revision))),
            now,
        }))
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        Ok(self.step(id, |slot, _| {
            let fits = match expect {
                Expect::Absent => slot.record.is_none(),
                Expect::Revision(revision) => {
                    slot.record.is_some() && revision == Revision(slot.revision)
                }
            };
            if fits {
                slot.record = Some(record.clone());
                slot.revision += 1;
            }
            fits
        }))
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let (now, mut swept) = (self.clock.now(), Swept::default());
        for (id, slot) in self.slots.lock().unwrap().iter_mut() {
            let over = |record: &&Record| record.is_sweepable(now, sweep.keep_tombstones);
            let Some(record) = slot.record.as_ref().filter(over) else {
                continue;
            };
            if swept.removed() == sweep.limit {
                swept.more = true;
                break;
            }
            match record.gone_at {
                Some(_) => swept.tombstones += 1,
                None => swept.expired.push(*id),
            }
            slot.record = None;
        }
        Ok(swept)
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        Ok(LocalStore::open(self, open))
    }

    async fn finish(&self, request: &Finish) -> Result<Finished, StoreError> {
        Ok(self.step(request.id, |slot, now| finish(slot, request, now)))
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        Ok(self.step(id, |slot, now| {
            let renewed = slot
                .record
                .as_mut()
                .is_some_and(|r| r.renew(owner, lease, now));
            slot.revision += u64::from(renewed);
            renewed
        }))
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        LocalStore::create(self, new)
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        Ok(self.step(id, |slot, now| {
            let destroyed = slot
                .record
                .as_mut()
                .is_some_and(|record| record.destroy(now));
            slot.revision += u64::from(destroyed);
            destroyed
        }))
    }

    fn local(&self) -> Option<&dyn LocalStore> {
        Some(self)
    }
}

/// A store with this mistake and the clock that moves it.
pub(crate) async fn harness(mistake: Mistake) -> Harness {
    let clock = TestClock::new();
    let store = Queueing {
        slots: Mutex::default(),
        clock: clock.clone(),
        mistake,
    };
    Harness::new(store).with_clock(move |span| clock.advance(span))
}
