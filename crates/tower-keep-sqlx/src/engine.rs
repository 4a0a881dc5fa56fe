//! The verbs, once for every engine.

use std::future::Future;
use std::time::Duration;

use tower_keep_core::{
    CommitId, Created, Expect, Finish, Finished, Looked, NewSession, Op, Open, Opened, Owner,
    Record, SessionId, Stats, StoreError, Sweep, Swept, Timestamp,
};

use crate::error::unavailable;
use crate::parameters;
use crate::row::{Left, Stored};
use crate::statement::{Reads, Sql, Statements};
use crate::users::{self, Index};
use crate::value::{Value, millis};

/// A step that keeps losing against others gives up after this many tries: somebody else made
/// progress each time.
pub(crate) const TRIES: usize = 256;

/// One writing statement with its parameters, and what to read if it does not match.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) sql: Sql,
    pub(crate) id: SessionId,
    /// Those from `$2` on.
    pub(crate) values: Vec<Value>,
    pub(crate) reads: Reads,
}

/// What became of a [`Step`].
pub(crate) struct Outcome {
    /// Whether it matched and was carried out.
    pub(crate) applied: bool,
    pub(crate) now: Timestamp,
    /// The row after it, or the one that did not match; none if there is none or none was asked
    /// for.
    pub(crate) row: Option<Stored>,
    /// What was asked for of the row after it.
    pub(crate) left: Option<Left>,
}

impl Outcome {
    /// Of a step that did not match the row, or of none.
    pub(crate) fn unmatched(row: Option<Stored>, now: Timestamp) -> Self {
        Self {
            applied: false,
            now,
            row,
            left: None,
        }
    }
}

/// A database.
pub(crate) trait Engine: Index + Send + Sync {
    fn statements(&self) -> &Statements;

    /// The most bytes of data it accepts.
    fn max_data(&self) -> usize;

    fn step(&self, step: Step) -> impl Future<Output = Result<Outcome, StoreError>> + Send;

    fn read(
        &self,
        id: SessionId,
    ) -> impl Future<Output = Result<(Option<Stored>, Timestamp), StoreError>> + Send;

    /// The numbers of [`counts`](crate::statement::counts).
    fn count(&self) -> impl Future<Output = Result<[i64; 4], StoreError>> + Send;

    /// Whether the table is there.
    fn has_table(&self) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Which rows were removed, and for each whether it was a tombstone.
    fn remove(
        &self,
        limit: i64,
        keep: i64,
    ) -> impl Future<Output = Result<Vec<Removed>, StoreError>> + Send;
}

/// A row that a sweep removed, and whether it was a tombstone.
pub(crate) type Removed = (SessionId, bool);

fn exhausted() -> StoreError {
    unavailable("the record kept changing under every attempt to write it")
}

pub(crate) async fn look<E: Engine>(engine: &E, id: SessionId) -> Result<Looked, StoreError> {
    let (row, now) = engine.read(id).await?;
    let record = row.map(|row| {
        let revision = row.revision;
        row.complete(engine.max_data())
            .map(|record| (record, revision))
    });
    Ok(Looked {
        record: record.transpose()?,
        now,
    })
}

pub(crate) async fn open<E: Engine>(engine: &E, open: &Open) -> Result<Opened, StoreError> {
    let sql = engine.statements();
    let secret = || Value::secret(open.secret.as_ref());
    // A touch is seldom due, and to write is dear even where nothing matches.
    let mut touch_is_due = false;
    for _ in 0..TRIES {
        let step = match (open.lease, open.touch) {
            (Some((owner, span)), touch) => Some(Step {
                sql: sql.lease.clone(),
                id: open.id,
                values: vec![
                    secret(),
                    Value::owner(Some(owner)),
                    Value::span(Some(span)),
                    Value::due(touch),
                ],
                reads: Reads::Whole,
            }),
            (None, Some(due)) if touch_is_due => Some(Step {
                sql: sql.touch.clone(),
                id: open.id,
                values: vec![secret(), Value::due(Some(due))],
                reads: Reads::Whole,
            }),
            (None, _) => None,
        };
        let outcome = if let Some(step) = step {
            engine.step(step).await?
        } else {
            let (row, now) = engine.read(open.id).await?;
            Outcome::unmatched(row, now)
        };
        match judge(open, outcome, engine.max_data()) {
            Ok(Some(opened)) => return Ok(opened),
            // It would have matched: it changed meanwhile, or the touch is due.
            Ok(None) => touch_is_due = true,
            Err(unreadable) => {
                // Nobody else should have to wait for a lease that is of no use.
                if let Some((owner, _)) = open.lease {
                    let release = release(engine, open.id, owner, CommitId::unique(), None);
                    engine.step(release).await?;
                }
                return Err(unreadable);
            }
        }
    }
    Err(exhausted())
}

/// The answer, unless the step should be tried again.
fn judge(open: &Open, outcome: Outcome, max: usize) -> Result<Option<Opened>, StoreError> {
    let Outcome {
        applied, now, row, ..
    } = outcome;
    let Some(row) = row else {
        return Ok(Some(Opened::Absent));
    };
    if applied
        && let Some((owner, _)) = open.lease
        && let Some(lease) = row.record.lease
    {
        return Ok(Some(if lease.owner == owner {
            Opened::Granted(row.complete(max)?.view(now))
        } else {
            Opened::Busy(lease.until.since(now))
        }));
    }
    if let Some(refusal) = row.record.refuses(open.secret.as_ref(), open.age, now) {
        return Ok(Some(refusal));
    }
    let (opened, changes) = row.complete(max)?.open(open, now);
    Ok((!changes).then_some(opened))
}

pub(crate) async fn finish<E: Engine>(engine: &E, finish: &Finish) -> Result<Finished, StoreError> {
    for _ in 0..TRIES {
        let step = finishing(engine, finish)?;
        let (outcome, refusal) = users::step(engine, step, finish.joins()).await?;
        let Outcome {
            applied,
            now,
            row,
            left,
        } = outcome;
        if applied {
            return Ok(done(finish, now, left));
        }
        let Some(mut row) = row else {
            return Ok(Finished::Gone);
        };
        if let (finished, false) = row.record.finish(finish, now) {
            return Ok(finished);
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    Err(exhausted())
}

/// Where writing and reading are two statements, the row may be of a later time already.
fn done(finish: &Finish, now: Timestamp, left: Option<Left>) -> Finished {
    let waited_until = left.and_then(|left| left.waited_until);
    Finished::Done {
        version: match finish.op {
            Op::Release => left.map_or(finish.version, |left| left.version),
            Op::Put(_) | Op::Merge(_) | Op::Destroy => finish.version + 1,
        },
        now,
        waiting: waited_until.is_some_and(|until| until > now),
    }
}

fn finishing<E: Engine>(engine: &E, finish: &Finish) -> Result<Step, StoreError> {
    let Finish {
        id,
        owner,
        version,
        commit,
        op,
        next,
    } = finish;
    let sql = engine.statements();
    let mut step = release(engine, *id, *owner, *commit, *next);
    match op {
        Op::Release => {}
        Op::Destroy => {
            step.sql = sql.bury.clone();
            step.values.truncate(2);
            step.values.push(Value::count(*version));
        }
        Op::Merge(data) => {
            step.sql = sql.merge.clone();
            step.values = vec![
                Value::commit(*commit),
                Value::count(*version),
                Value::data(data, engine.max_data())?,
            ];
        }
        Op::Put(put) => {
            step.values.push(Value::count(*version));
            if let Some(data) = parameters::only_data(put) {
                step.sql = sql.save.clone();
                step.values.push(Value::data(data, engine.max_data())?);
            } else {
                step.sql = sql.put.clone();
                let changes = parameters::changes(put, engine.max_data())?;
                step.values.extend(changes);
            }
        }
    }
    Ok(step)
}

fn release<E: Engine>(
    engine: &E,
    id: SessionId,
    owner: Owner,
    commit: CommitId,
    next: Option<(Owner, Duration)>,
) -> Step {
    Step {
        sql: engine.statements().release.clone(),
        id,
        values: vec![
            Value::owner(Some(owner)),
            Value::commit(commit),
            Value::owner(next.map(|(owner, _)| owner)),
            Value::span(next.map(|(_, span)| span)),
        ],
        reads: Reads::Left,
    }
}

pub(crate) async fn renew<E: Engine>(
    engine: &E,
    id: SessionId,
    owner: Owner,
    lease: Duration,
) -> Result<bool, StoreError> {
    let values = vec![Value::owner(Some(owner)), Value::span(Some(lease))];
    apply(engine, &engine.statements().renew, id, values).await
}

pub(crate) async fn destroy<E: Engine>(engine: &E, id: SessionId) -> Result<bool, StoreError> {
    apply(engine, &engine.statements().destroy, id, Vec::new()).await
}

async fn apply<E: Engine>(
    engine: &E,
    sql: &Sql,
    id: SessionId,
    values: Vec<Value>,
) -> Result<bool, StoreError> {
    let step = Step {
        sql: sql.clone(),
        id,
        values,
        reads: Reads::Nothing,
    };
    engine.step(step).await.map(|outcome| outcome.applied)
}

pub(crate) async fn create<E: Engine>(engine: &E, new: &NewSession) -> Result<Created, StoreError> {
    for _ in 0..TRIES {
        let step = Step {
            sql: engine.statements().create.clone(),
            id: new.id,
            values: parameters::creation(new, engine.max_data())?,
            reads: Reads::Left,
        };
        let joins = new.user.as_deref().map(|user| (user, new.cap));
        let (outcome, refusal) = users::step(engine, step, joins).await?;
        if outcome.applied {
            return Ok(Created::Done(outcome.now));
        }
        // Without a row it was taken a moment ago and is free again, or not to be seen yet.
        if let Some(row) = outcome.row {
            return Ok(row.record.meet_create(new.commit, outcome.now));
        }
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
    }
    Err(exhausted())
}

pub(crate) async fn cas<E: Engine>(
    engine: &E,
    id: SessionId,
    expect: Expect,
    record: &Record,
) -> Result<bool, StoreError> {
    let sql = engine.statements();
    let (sql, revision) = match expect {
        Expect::Absent => (&sql.insert, 1),
        Expect::Revision(revision) => (&sql.replace, revision.0),
    };
    let values = parameters::whole(record, revision, engine.max_data())?;
    apply(engine, sql, id, values).await
}

pub(crate) async fn stats<E: Engine>(engine: &E) -> Result<Option<Stats>, StoreError> {
    let counts = engine.count().await?;
    // What is counted is not negative.
    let [live, with_user, expired, tombstones] = counts.map(|n| u64::try_from(n).unwrap_or(0));
    Ok(Some(Stats {
        live,
        with_user,
        expired,
        tombstones,
    }))
}

pub(crate) async fn sweep<E: Engine>(engine: &E, sweep: Sweep) -> Result<Swept, StoreError> {
    let limit = i64::try_from(sweep.limit).unwrap_or(i64::MAX);
    let removed = engine.remove(limit, millis(sweep.keep_tombstones)).await?;
    let expired: Vec<_> = removed
        .iter()
        .filter_map(|(id, tombstone)| (!tombstone).then_some(*id))
        .collect();
    Ok(Swept {
        tombstones: removed.len() - expired.len(),
        expired,
        more: removed.len() == sweep.limit && sweep.limit > 0,
    })
}
