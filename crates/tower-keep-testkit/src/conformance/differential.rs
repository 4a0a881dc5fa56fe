//! Random sequences of verbs, each compared with the rules.

use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Created, Expect, Finish, Finished, HeadChange, Limits, NewSession, Op, Open, Opened,
    Owner, Put, Record, Revision, STALE_WINDOW, SecretHash, SessionId, SessionStore, Sweep,
    Timestamp,
};

use super::compare::{compare, said, say_created, say_finished, say_opened};
use super::context::{Context, Failure, MILLI, Result, data, from_json, new_session, secret};
use super::same;
use crate::calls::Answer;
use crate::rng::{Rng, seed_or};

pub(super) async fn agrees_with_the_rules(cx: &Context) -> Result {
    let (seeds, steps) = if cx.exact() { (6, 1_500) } else { (1, 150) };
    let first = seed_or(1);
    for seed in first..first.saturating_add(seeds) {
        let mut run = Run::new(cx, seed);
        for step in 0..steps {
            let result = run.step().await;
            result.map_err(|seen| {
                Failure::new(format!(
                    "step {step} of the run with KEEP_SEED={seed}: {seen}"
                ))
            })?;
        }
    }
    Ok(())
}

/// A session that the run knows of, which may or may not be there.
struct Known {
    new: NewSession,
    /// The newest last.
    secrets: Vec<SecretHash>,
    finishes: Vec<Finish>,
}

struct Run<'a> {
    cx: &'a Context,
    rng: Rng,
    known: Vec<Known>,
    owners: Vec<Owner>,
}

impl<'a> Run<'a> {
    fn new(cx: &'a Context, seed: u64) -> Self {
        Self {
            cx,
            rng: Rng::new(seed),
            known: Vec::new(),
            owners: (0..3).map(|_| Owner::unique()).collect(),
        }
    }

    fn span(&mut self, units: u64) -> Duration {
        self.rng
            .up_to(self.cx.unit() * u32::try_from(units).unwrap_or(1))
            .max(MILLI)
    }

    fn limits(&mut self) -> Limits {
        // Some live long enough for many commits.
        let scale = if self.rng.percent(50) { 1 } else { 20 };
        Limits {
            idle: self.span(20 * scale),
            absolute: self.span(60 * scale),
        }
    }

    fn owner(&mut self) -> Owner {
        let known = self.rng.pick(&self.owners).copied();
        known.unwrap_or_else(Owner::unique)
    }

    async fn step(&mut self) -> Result {
        if self.known.len() < 3 || self.rng.percent(2) {
            let mut new = new_session();
            new.limits = self.limits();
            let secrets = vec![new.secret];
            self.known.push(Known {
                new,
                secrets,
                finishes: Vec::new(),
            });
            if self.known.len() > 4 {
                self.known.remove(0);
            }
        }
        let which = usize::try_from(self.rng.below(self.known.len() as u64)).unwrap_or_default();
        let Some(id) = self.known.get(which).map(|known| known.new.id) else {
            return Ok(());
        };
        if self.rng.percent(40) {
            self.move_on(id).await?;
        }
        match self.rng.below(20) {
            0..8 => self.open(which, id).await,
            8..14 => self.finish(which, id).await,
            14..16 => self.create(which, id).await,
            16 => self.renew(id).await,
            17 => self.destroy(id).await,
            18 => self.cas(id).await,
            _ => self.sweep().await,
        }
    }

    /// Lets a random time pass, often until just when something happens to the record.
    async fn move_on(&mut self, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let mut borders = Vec::new();
        if let Some((record, _)) = &looked.record {
            borders.extend([record.head.idle_deadline, record.head.absolute_deadline]);
            borders.extend(record.lease.map(|lease| lease.until));
            borders.extend(record.waiting_until);
            borders.extend(record.rotated_at.map(|at| at.plus(STALE_WINDOW)));
        }
        let near = |at: &Timestamp| at.since(looked.now) <= 20 * self.cx.unit();
        borders.retain(|at| *at > looked.now && near(at));
        match self.rng.pick(&borders).copied() {
            Some(border) if self.rng.percent(50) => {
                let ahead = border.minus(MILLI);
                let target = ahead.plus(MILLI * u32::try_from(self.rng.below(3)).unwrap_or(0));
                self.cx.reach(target.max(looked.now)).await
            }
            _ => {
                let span = self.span(2);
                self.cx.pass(span).await
            }
        }
    }

    async fn open(&mut self, which: usize, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let known = self.known.get(which).map(|known| known.secrets.clone());
        let secrets = known.unwrap_or_default();
        let secret = match self.rng.below(10) {
            0 => None,
            1 => Some(secret()),
            2..4 => self.rng.pick(&secrets).copied(),
            _ => secrets.last().copied(),
        };
        let events = looked.record.iter().flat_map(|(record, _)| {
            [
                record.gone_at,
                record.rotated_at.map(|at| at.plus(STALE_WINDOW)),
            ]
        });
        let events: Vec<_> = events.flatten().collect();
        let age = match self.rng.pick(&events) {
            Some(event) if self.rng.percent(50) => {
                let border = looked.now.since(*event);
                border.saturating_sub(MILLI) + MILLI * u32::from(self.rng.percent(50))
            }
            _ if self.rng.percent(30) => self.span(30),
            _ => Duration::ZERO,
        };
        let lease = self.rng.percent(60).then(|| (self.owner(), self.span(8)));
        let touch = self.rng.percent(50).then(|| self.span(4));
        let open = Open {
            id,
            secret,
            age,
            touch,
            lease,
        };
        let opened = self.cx.store.open(&open).await?;
        if let Opened::Granted(view) = &opened {
            let (record, _) = self.cx.record(id).await?;
            same::heads(&view.head, &record.head)
                .map_err(|seen| Failure::new(format!("the view differs in {seen}")))?;
            ensure!(view.data == record.data, "the view differs in the data");
        }
        let decide = |record: &mut Option<Record>, now| match record {
            None => say_opened(&Opened::Absent),
            Some(record) => say_opened(&record.open(&open, now).0),
        };
        compare(
            self.cx,
            &format!("{open:?}"),
            id,
            looked,
            &say_opened(&opened),
            decide,
        )
        .await
    }

    async fn finish(&mut self, which: usize, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let past = self.known.get(which).map(|known| known.finishes.clone());
        let again = self.rng.pick(&past.unwrap_or_default()).cloned();
        let finish = match again {
            Some(finish) if self.rng.percent(30) => finish,
            _ => self.new_finish(id, looked.record.as_ref().map(|(record, _)| record)),
        };
        let finished = self.cx.store.finish(&finish).await?;
        if let Some(known) = self.known.get_mut(which) {
            let retried = known
                .finishes
                .iter()
                .any(|past| past.commit == finish.commit);
            if let (Finished::Done { .. }, false) = (&finished, retried) {
                match &finish.op {
                    Op::Put(put) => {
                        known.secrets.extend(put.head.secret);
                        known.finishes.push(finish.clone());
                    }
                    Op::Merge(_) | Op::Destroy => known.finishes.push(finish.clone()),
                    Op::Release => {}
                }
            }
            // Those that a retry must find, and one more.
            let excess = known.finishes.len().saturating_sub(5);
            known.finishes.drain(..excess);
        }
        let decide = |record: &mut Option<Record>, now| match record {
            None => say_finished(&Finished::Gone),
            Some(record) => say_finished(&record.finish(&finish, now).0),
        };
        let what = format!("{finish:?}");
        compare(self.cx, &what, id, looked, &say_finished(&finished), decide).await
    }

    fn new_finish(&mut self, id: SessionId, record: Option<&Record>) -> Finish {
        let holder = record
            .and_then(|record| record.lease)
            .map(|lease| lease.owner);
        let version = record.map_or(1, |record| record.head.version);
        let op = match self.rng.below(10) {
            0..2 => Op::Release,
            2 if self.rng.percent(40) => Op::Destroy,
            3..5 => Op::Merge(data(self.rng.below(1_000))),
            _ => Op::Put(self.put()),
        };
        let hands_on = !self.cx.via_local && self.rng.percent(30);
        Finish {
            id,
            owner: match holder {
                Some(holder) if self.rng.percent(80) => holder,
                _ => self.owner(),
            },
            version: version + u64::from(self.rng.percent(10)),
            commit: CommitId::unique(),
            op,
            next: hands_on.then(|| (self.owner(), self.span(8))),
        }
    }

    fn put(&mut self) -> Put {
        let some = |rng: &mut Rng| rng.percent(25);
        let head = HeadChange {
            secret: some(&mut self.rng).then(secret),
            user: some(&mut self.rng).then(|| self.rng.percent(50).then(|| "ada".into())),
            cap: None,
            authenticated: some(&mut self.rng),
            anchor: some(&mut self.rng),
            limits: some(&mut self.rng).then(|| self.limits()),
            extend: some(&mut self.rng).then(|| self.span(30)),
            client: some(&mut self.rng).then(Default::default),
            remember: some(&mut self.rng).then(|| self.rng.percent(50)),
        };
        let data = match self.rng.below(4) {
            0 => None,
            1 => Some(Data::default()),
            2 => Some(from_json(r#"{"data":{"a":[1,{"b":null}],"n":1}}"#)),
            _ => Some(data(self.rng.below(1_000))),
        };
        Put { head, data }
    }

    async fn create(&mut self, which: usize, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let Some(known) = self.known.get(which) else {
            return Ok(());
        };
        let mut new = known.new.clone();
        if self.rng.percent(30) {
            new.commit = CommitId::unique();
        }
        new.extend = self.rng.percent(30).then(|| self.span(40));
        let created = self.cx.store.create(&new).await?;
        let decide = |record: &mut Option<Record>, now| {
            if let Some(record) = record {
                return say_created(&record.meet_create(new.commit, now));
            }
            *record = Some(Record::create(&new, now));
            say_created(&Created::Done(now))
        };
        if looked.record.is_none() {
            // Its secret is the one of the creation again.
            if let Some(known) = self.known.get_mut(which) {
                known.secrets = vec![new.secret];
            }
        }
        compare(
            self.cx,
            "create",
            id,
            looked,
            &say_created(&created),
            decide,
        )
        .await
    }

    async fn renew(&mut self, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let lease = looked.record.as_ref().and_then(|(record, _)| record.lease);
        let owner = match lease {
            Some(lease) if self.rng.percent(70) => lease.owner,
            _ => self.owner(),
        };
        let span = self.span(10);
        let renewed = self.cx.store.renew(id, owner, span).await?;
        let decide = |record: &mut Option<Record>, now| {
            let renewed = record
                .as_mut()
                .is_some_and(|record| record.renew(owner, span, now));
            said(renewed.word(), [])
        };
        compare(
            self.cx,
            "renew",
            id,
            looked,
            &said(renewed.word(), []),
            decide,
        )
        .await
    }

    async fn destroy(&mut self, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let destroyed = self.cx.store.destroy(id).await?;
        let decide = |record: &mut Option<Record>, now| {
            let destroyed = record.as_mut().is_some_and(|record| record.destroy(now));
            said(destroyed.word(), [])
        };
        compare(
            self.cx,
            "destroy",
            id,
            looked,
            &said(destroyed.word(), []),
            decide,
        )
        .await
    }

    async fn cas(&mut self, id: SessionId) -> Result {
        let looked = self.cx.store.look(id).await?;
        let found = looked.record.as_ref().map(|(_, revision)| *revision);
        let expect = match (found, self.rng.below(3)) {
            (_, 0) => Expect::Absent,
            (Some(revision), 1) => Expect::Revision(Revision(revision.0.wrapping_sub(1))),
            (Some(revision), _) => Expect::Revision(revision),
            (None, _) => Expect::Revision(Revision(1)),
        };
        let mut record = match &looked.record {
            Some((record, _)) => record.clone(),
            // Only `create` of a known session may make one here, so that its secret is known.
            None if expect == Expect::Absent => return Ok(()),
            None => Record::create(&new_session(), looked.now),
        };
        record.head.remember = !record.head.remember;
        record.head.id = id;
        let fits = match expect {
            Expect::Absent => found.is_none(),
            Expect::Revision(revision) => found == Some(revision),
        };
        let wrote = self.cx.store.cas(id, expect, &record).await?;
        let decide = |stored: &mut Option<Record>, _| {
            if fits {
                *stored = Some(record.clone());
            }
            said(fits.word(), [])
        };
        compare(self.cx, "cas", id, looked, &said(wrote.word(), []), decide).await
    }

    async fn sweep(&mut self) -> Result {
        let sweep = Sweep {
            keep_tombstones: self.span(20),
            ..Sweep::default()
        };
        let before = self.cx.now().await?;
        let mut records = Vec::new();
        for known in &self.known {
            let found = self.cx.store.look(known.new.id).await?.record;
            records.extend(found.map(|(record, _)| record));
        }
        let told = self.cx.store.sweep(sweep).await?.expired;
        let after = self.cx.now().await?;
        for record in records {
            let id = record.head.id;
            let found = self.cx.store.look(id).await?.record;
            let by_itself = self.cx.by_itself;
            let must_go = !by_itself && record.is_sweepable(before, sweep.keep_tombstones);
            let may_go = record.is_sweepable(after, sweep.keep_tombstones)
                || by_itself && record.is_sweepable(after, Duration::ZERO);
            ensure!(!(must_go && found.is_some()), "a sweep leaves what is over");
            ensure!(
                may_go || found.is_some(),
                "a sweep removes what is not over"
            );
            let times = told.iter().filter(|told| **told == id).count();
            let expired = found.is_none() && record.gone_at.is_none();
            ensure!(
                times == usize::from(expired) || by_itself && times == 0,
                "a sweep tells {times} times of what it removed"
            );
            if let Some((found, _)) = found {
                same::records(&record, &found)
                    .map_err(|seen| Failure::new(format!("a sweep changes {seen}")))?;
            }
        }
        Ok(())
    }
}
