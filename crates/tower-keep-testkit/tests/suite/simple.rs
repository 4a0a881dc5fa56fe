//! A simple store, right or with one mistake planted.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    Clock, Created, Cursor, Expect, Finish, Finished, Looked, NewSession, Open, Opened, Owner,
    Record, Revision, Scan, ScanFuture, ScanPage, Scope, SessionId, SessionStore, StoreError,
    Sweep, Swept, View,
};
use tower_keep_testkit::TestClock;
use tower_keep_testkit::conformance::Harness;

use crate::mistake::{Mistake, mistaken_finish, mistaken_open};

pub(crate) struct Simple {
    records: Mutex<HashMap<SessionId, (Record, u64)>>,
    clock: Box<dyn Clock>,
    mistake: Mistake,
}

impl Simple {
    pub(crate) fn new(clock: impl Clock, mistake: Mistake) -> Self {
        Self {
            records: Mutex::default(),
            clock: Box::new(clock),
            mistake,
        }
    }

    fn is(&self, mistake: Mistake) -> bool {
        self.mistake == mistake
    }

    /// Removes records without a word.
    pub(crate) fn forget(&self, over: impl Fn(&Record, tower_keep_core::Timestamp) -> bool) {
        let now = self.clock.now();
        let mut records = self.records.lock().unwrap();
        records.retain(|_, (record, _)| !over(record, now));
    }

    /// Decides and writes in one step.
    fn step<A>(
        &self,
        id: SessionId,
        decide: impl FnOnce(Option<Record>, tower_keep_core::Timestamp) -> (A, Option<Record>),
    ) -> A {
        let mut records = self.records.lock().unwrap();
        let found = records.get(&id).cloned();
        let revision = found.as_ref().map_or(0, |(_, revision)| *revision);
        let before = found.as_ref().map(|(record, _)| record.clone());
        let (answer, write) = decide(before.clone(), self.clock.now());
        if let Some(mut write) = write {
            let touch = before
                .is_some_and(|b| b.head.version == write.head.version && b.lease == write.lease);
            if self.is(Mistake::ForgetsClient) {
                write.head.client = None;
            }
            let next = revision + u64::from(!(touch && self.is(Mistake::KeepsRevision)));
            records.insert(id, (write, next));
        }
        answer
    }
}

impl Scan for Simple {
    fn page<'a>(&'a self, from: Option<&'a Cursor>, limit: usize) -> ScanFuture<'a> {
        Box::pin(async move {
            let by_position = self.is(Mistake::WalkCounts);
            let (mut behind, mut skip) = (None, 0);
            match from {
                None => {}
                Some(cursor) if by_position && cursor.as_bytes().len() == 1 => {
                    skip = usize::from(cursor.as_bytes()[0]);
                }
                Some(cursor) => behind = Some(cursor.id()?),
            }
            let (now, records) = (self.clock.now(), self.records.lock().unwrap());
            let mut live: Vec<_> = records
                .values()
                .map(|(record, _)| record)
                .filter(|r| r.gone_at.is_none() || self.is(Mistake::WalkShowsTombstones))
                .filter(|r| !r.head.is_expired(now))
                .filter(|r| {
                    behind.is_none_or(|id| {
                        r.head.id > id || r.head.id == id && self.is(Mistake::WalkRepeats)
                    })
                })
                .collect();
            live.sort_unstable_by_key(|record| record.head.id);
            if from.is_some() && self.is(Mistake::WalkSkips) {
                skip = 1;
            }
            let views: Vec<_> = live
                .into_iter()
                .skip(skip)
                .take(limit)
                .map(|record| {
                    let (head, data) = (record.head.clone(), Data::default());
                    View { head, data, now }
                })
                .collect();
            let last = views.last().filter(|_| views.len() == limit);
            let next = last.map(|view| {
                if by_position {
                    Cursor::new([u8::try_from(skip + limit).unwrap()])
                } else {
                    Cursor::behind(view.head.id)
                }
            });
            Ok(ScanPage {
                views,
                next,
                ..ScanPage::default()
            })
        })
    }
}

impl SessionStore for Simple {
    fn scan(&self) -> Option<&dyn Scan> {
        Some(self)
    }

    async fn look(&self, id: SessionId) -> Result<Looked, StoreError> {
        let records = self.records.lock().unwrap();
        let record = records
            .get(&id)
            .map(|(record, r)| (record.clone(), Revision(*r)));
        let now = self.clock.now();
        Ok(Looked { record, now })
    }

    async fn cas(
        &self,
        id: SessionId,
        expect: Expect,
        record: &Record,
    ) -> Result<bool, StoreError> {
        let found = self
            .records
            .lock()
            .unwrap()
            .get(&id)
            .map(|(_, r)| Revision(*r));
        if self.is(Mistake::CasRaces) {
            tokio::task::yield_now().await;
        }
        let mut records = self.records.lock().unwrap();
        let found = match self.mistake {
            Mistake::CasRaces => found,
            _ => records.get(&id).map(|(_, r)| Revision(*r)),
        };
        let fits = match expect {
            Expect::Absent => found.is_none() || self.is(Mistake::CasOverwrites),
            Expect::Revision(_) if found.is_none() => self.is(Mistake::CasUpserts),
            Expect::Revision(revision) => found == Some(revision),
        };
        if fits {
            records.insert(id, (record.clone(), found.map_or(1, |r| r.0 + 1)));
        }
        Ok(fits)
    }

    async fn sweep(&self, sweep: Sweep) -> Result<Swept, StoreError> {
        let (now, mut swept) = (self.clock.now(), Swept::default());
        let limit = if self.is(Mistake::NoLimit) {
            usize::MAX
        } else {
            sweep.limit
        };
        let keep = match self.mistake {
            Mistake::SweepsTombstones => Duration::ZERO,
            _ => sweep.keep_tombstones,
        };
        self.records.lock().unwrap().retain(|id, (record, _)| {
            let head = &record.head;
            let old = self.is(Mistake::SweepsLive)
                && now >= head.created_at.plus(head.limits.idle)
                && record.gone_at.is_none();
            if !old && !record.is_sweepable(now, keep) {
                return true;
            }
            if swept.removed() == limit {
                swept.more = true;
                return true;
            }
            match record.gone_at {
                Some(_) => swept.tombstones += 1,
                None if self.is(Mistake::TellsWrongIds) => {
                    swept.expired.push(SessionId::new(self.clock.now()));
                }
                None => swept.expired.push(*id),
            }
            false
        });
        Ok(swept)
    }

    fn scope(&self) -> Scope {
        Scope::Process
    }

    async fn open(&self, open: &Open) -> Result<Opened, StoreError> {
        if self.is(Mistake::CasRaces) {
            return racing_open(self, open).await;
        }
        Ok(self.step(open.id, |record, now| match record {
            None => (Opened::Absent, None),
            Some(record) => mistaken_open(self.mistake, record, *open, now),
        }))
    }

    async fn finish(&self, finish: &Finish) -> Result<Finished, StoreError> {
        Ok(self.step(finish.id, |record, now| match record {
            None => {
                let revived = || Record::create(&revive(finish.id), now);
                (
                    Finished::Gone,
                    self.is(Mistake::FinishRevives).then(revived),
                )
            }
            Some(record) => mistaken_finish(self.mistake, record, finish, now),
        }))
    }

    async fn renew(
        &self,
        id: SessionId,
        owner: Owner,
        lease: Duration,
    ) -> Result<bool, StoreError> {
        Ok(self.step(id, |record, now| match record {
            None => (false, None),
            Some(mut record) => {
                let owner = match record.lease {
                    Some(lease) if self.is(Mistake::AnybodyRenews) => lease.owner,
                    _ => owner,
                };
                let renewed = record.renew(owner, lease, now);
                if let Some(held) = &mut record.lease
                    && renewed
                    && self.is(Mistake::RenewShortens)
                {
                    held.until = now.plus(lease);
                }
                (renewed, renewed.then_some(record))
            }
        }))
    }

    async fn create(&self, new: &NewSession) -> Result<Created, StoreError> {
        Ok(self.step(new.id, |record, now| match record {
            Some(record) if !self.is(Mistake::CreateOverwrites) => {
                let met = record.meet_create(new.commit, now);
                match met {
                    Created::Done(_) if self.is(Mistake::CreateForgets) => {
                        (Created::Collision, None)
                    }
                    met => (met, None),
                }
            }
            _ => (Created::Done(now), Some(Record::create(new, now))),
        }))
    }

    async fn destroy(&self, id: SessionId) -> Result<bool, StoreError> {
        let destroyed = self.step(id, |record, now| match record {
            None => (false, None),
            Some(record) if record.lease.is_some() && self.is(Mistake::DestroyWaitsForLease) => {
                (false, None)
            }
            Some(mut record) => {
                let data = record.data.clone();
                let destroyed = record.destroy(now);
                if self.is(Mistake::TombstoneKeepsData) {
                    record.data = data;
                }
                (destroyed, destroyed.then_some(record))
            }
        });
        if self.is(Mistake::NoTombstone) {
            self.records.lock().unwrap().remove(&id);
        }
        Ok(destroyed)
    }
}

/// `open` by a `cas` that races.
async fn racing_open(store: &Simple, open: &Open) -> Result<Opened, StoreError> {
    loop {
        let Looked { record, now } = store.look(open.id).await?;
        let Some((mut record, revision)) = record else {
            return Ok(Opened::Absent);
        };
        let (opened, changed) = record.open(open, now);
        if !changed
            || store
                .cas(open.id, Expect::Revision(revision), &record)
                .await?
        {
            return Ok(opened);
        }
    }
}

fn revive(id: SessionId) -> NewSession {
    NewSession {
        id,
        secret: tower_keep_core::SecretHash::from_bytes([1; 32]),
        commit: tower_keep_core::CommitId::unique(),
        limits: tower_keep_core::Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: tower_keep_core::data::Data::default(),
    }
}

/// A store with this mistake and the clock that moves it.
pub(crate) async fn harness(mistake: Mistake) -> Harness {
    let clock = TestClock::new();
    let store = Simple::new(clock.clone(), mistake);
    Harness::new(store).with_clock(move |span| clock.advance(span))
}
