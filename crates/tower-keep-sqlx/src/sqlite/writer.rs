//! The one who writes.
//!
//! # Invariants
//! 1. What is asked for of one session is carried out in the order in which it was asked for, and
//!    so is what is no step, among all else; steps of different sessions in any order.
//! 2. Each gets the answer to what it asked for, and not before the transaction around it is
//!    committed.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tower_keep_core::{Clock, StoreError, StoreErrorKind};

use super::driver::{self, disk_failed, driver_error};
use super::task::{Answer, Task};
use super::together::{self, Bounds, Texts};
use super::users::Writing;
use crate::engine::Step;
use crate::error::unavailable;
use crate::statement::Statements;

/// So many steps share a transaction at most. A reader of the file waits for none of it, another
/// process that writes for all of it.
const BATCH: usize = 64;

/// So many steps may wait for the writer before those who ask wait to ask.
const QUEUE: usize = 1_024;

type Reply = oneshot::Sender<Result<Answer, StoreError>>;

struct Job {
    task: Task,
    reply: Reply,
    /// See [`in_rounds`].
    round: usize,
}

impl Job {
    fn step(&self) -> Option<&Step> {
        match &self.task {
            Task::Step(step) => Some(step),
            _ => None,
        }
    }

    /// Whether it matters which of the two is first.
    fn meets(&self, other: &Self) -> bool {
        self.step()
            .zip(other.step())
            .is_none_or(|(one, other)| one.id == other.id)
    }

    /// Whether it is the same step of another session, and can share a text with it.
    fn goes_with(&self, other: &Self) -> bool {
        let steps = self.step().zip(other.step());
        let same = steps.is_some_and(|(one, other)| Arc::ptr_eq(&one.sql, &other.sql));
        same && self.round == other.round
    }
}

/// Brings the same steps together. What meets stays in its order: it is in another round.
fn in_rounds(batch: &mut [Job]) {
    for at in 1..batch.len() {
        let (before, rest) = batch.split_at_mut(at);
        if let Some(job) = rest.first_mut() {
            let before = before.iter().filter(|earlier| job.meets(earlier));
            job.round = before.map(|earlier| earlier.round + 1).max().unwrap_or(0);
        }
    }
    batch.sort_by_key(|job| {
        let sql = job.step().map(|step| Arc::as_ptr(&step.sql).cast::<u8>());
        (job.round, sql)
    });
}

/// The way to the task that writes.
///
/// The task starts with the first step, and again if it ended with the runtime that it was on.
/// Whoever asked and went away before its turn is passed over; what has begun is carried out.
pub(super) struct Writer {
    jobs: Mutex<mpsc::Sender<Job>>,
    setup: Setup,
}

#[derive(Clone)]
pub(super) struct Setup {
    pub(super) options: Arc<SqliteConnectOptions>,
    pub(super) statements: Arc<Statements>,
    pub(super) clock: Arc<dyn Clock>,
    /// Whether what was committed has to survive a power failure.
    pub(super) lasting: bool,
    /// Whether the database is a file, and not this connection's own.
    pub(super) is_file: bool,
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").finish_non_exhaustive()
    }
}

impl Writer {
    pub(super) fn new(setup: Setup) -> Self {
        let (jobs, _) = mpsc::channel(1);
        Self {
            jobs: Mutex::new(jobs),
            setup,
        }
    }

    pub(super) async fn run(&self, task: Task) -> Result<Answer, StoreError> {
        let (reply, answer) = oneshot::channel();
        let sent = self
            .jobs()?
            .send(Job {
                task,
                reply,
                round: 0,
            })
            .await;
        sent.map_err(|_| lost())?;
        answer.await.map_err(|_| lost())?
    }

    fn jobs(&self) -> Result<mpsc::Sender<Job>, StoreError> {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if jobs.is_closed() {
            let runtime = tokio::runtime::Handle::try_current()
                .map_err(|error| unavailable(error.to_string()))?;
            let (sender, queue) = mpsc::channel(QUEUE);
            runtime.spawn(write(self.setup.clone(), queue));
            *jobs = sender;
        }
        Ok(jobs.clone())
    }
}

fn lost() -> StoreError {
    unavailable("the task that writes ended before it answered; whether it wrote is unknown")
}

/// The connection, and whether it synchronises its commits with the disk at the moment.
struct Open {
    inner: SqliteConnection,
    texts: Texts,
    lasting: bool,
}

impl Open {
    /// `doubted` after the disk failed: then nothing is written before [`settle`](Self::settle).
    async fn connect(setup: &Setup, doubted: bool) -> Result<Self, StoreError> {
        let inner = SqliteConnection::connect_with(&setup.options).await;
        let mut open = Self {
            inner: inner.map_err(driver_error)?,
            texts: Texts::default(),
            lasting: setup.lasting,
        };
        if doubted {
            open.settle().await?;
        }
        Ok(open)
    }

    /// Has everything in the log written into the database, and a new log begun.
    ///
    /// When the log could not be synchronised, the system takes for written what is not, and the
    /// next synchronisation says nothing of it. What is committed behind that would be lost with it
    /// when the power fails, however well it is synchronised itself.
    async fn settle(&mut self) -> Result<(), StoreError> {
        let checkpoint = sqlx::query_scalar("PRAGMA wal_checkpoint(TRUNCATE)");
        let busy: i64 = checkpoint
            .fetch_one(&mut self.inner)
            .await
            .map_err(driver_error)?;
        if busy == 0 {
            return Ok(());
        }
        Err(unavailable(
            "the disk failed, and others use the log that cannot be relied on",
        ))
    }

    /// Saves the synchronisation of what nobody misses after a power failure: leases (no process
    /// is left that holds one) and the last touches. The log is one file and valid up to its
    /// first damaged commit, so that a later commit which is synchronised takes those before it
    /// along, and one that was synchronised is not lost with those behind it.
    async fn prepare(&mut self, lasting: bool) -> Result<(), StoreError> {
        if self.lasting != lasting {
            let level = if lasting {
                "PRAGMA synchronous = FULL"
            } else {
                "PRAGMA synchronous = NORMAL"
            };
            command(&mut self.inner, level).await?;
            self.lasting = lasting;
        }
        Ok(())
    }
}

/// Carries out what is asked for until nobody can ask any more.
async fn write(setup: Setup, mut queue: mpsc::Receiver<Job>) {
    let (mut connection, mut doubted) = (None, false);
    while let Some(first) = queue.recv().await {
        let mut batch = vec![first];
        while batch.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        batch.retain(|job| !job.reply.is_closed());
        if batch.is_empty() {
            continue;
        }
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => Open::connect(&setup, doubted).await,
        };
        match open {
            Ok(open) => match run(&setup, open, batch).await {
                Ok(open) => (connection, doubted) = (Some(open), false),
                Err(Lost { disk_failed }) => doubted = setup.lasting && disk_failed,
            },
            Err(error) => refuse(batch.into_iter().map(|job| job.reply), &error),
        }
    }
    if let Some(connection) = connection {
        // The last one out tidies up the log; that it could not is of no consequence.
        drop(connection.inner.close().await);
    }
}

/// A connection is not used any more.
#[derive(Debug)]
struct Lost {
    disk_failed: bool,
}

/// Carries out a batch, and gives the connection back if it is still good.
async fn run(setup: &Setup, mut open: Open, mut batch: Vec<Job>) -> Result<Open, Lost> {
    in_rounds(&mut batch);
    let mut tasks = batch.iter().map(|job| &job.task);
    let lasting = setup.lasting && tasks.any(|task| task.must_last(&setup.statements));
    // A single statement is atomic without a transaction around it.
    let alone = matches!(&batch[..], [job] if !matches!(job.task, Task::Change(_)));
    let mut answers = Vec::with_capacity(batch.len());
    let result = async {
        open.prepare(lasting).await?;
        let mut groups = batch.chunk_by(Job::goes_with).peekable();
        let mut begins = !alone;
        while let Some(jobs) = groups.next() {
            let commits = !alone && groups.peek().is_none();
            let bounds = Bounds { begins, commits };
            carry_out(setup, &mut open, jobs, bounds, &mut answers).await?;
            begins = false;
        }
        Ok(())
    }
    .await;
    let replies = batch.into_iter().map(|job| job.reply);
    match result {
        Ok(()) => {
            for (reply, answer) in replies.zip(answers) {
                // Whoever asked may be gone.
                drop(reply.send(answer));
            }
            Ok(open)
        }
        Err(error) => {
            let clean = alone || command(&mut open.inner, "ROLLBACK").await.is_ok();
            let disk_failed = disk_failed(&error);
            refuse(replies, &error);
            // After trouble with the file it may be one that can only read; a new one cannot be worse.
            let is_good = clean && !(setup.is_file && error.kind() == StoreErrorKind::Unavailable);
            if is_good {
                Ok(open)
            } else {
                Err(Lost { disk_failed })
            }
        }
    }
}

/// Carries out jobs that go together, and answers each in its turn.
///
/// # Errors
/// What cannot be read fails one of them, what cannot be done the whole batch.
async fn carry_out(
    setup: &Setup,
    open: &mut Open,
    jobs: &[Job],
    bounds: Bounds,
    answers: &mut Vec<Result<Answer, StoreError>>,
) -> Result<(), StoreError> {
    let connection = &mut open.inner;
    let all = match jobs {
        [job] if job.step().is_none() || bounds == Bounds::default() => {
            if bounds.begins {
                command(connection, together::BEGIN).await?;
            }
            let answer = carry_out_one(setup, connection, &job.task).await;
            if bounds.commits && !fails_all(&answer) {
                command(connection, together::COMMIT).await?;
            }
            vec![answer]
        }
        _ => {
            let steps: Vec<_> = jobs.iter().filter_map(Job::step).collect();
            let (texts, clock) = (&mut open.texts, &*setup.clock);
            let done = together::steps(connection, texts, &setup.statements, &steps, bounds, clock);
            let done = done.await?.into_iter();
            done.map(|done| done.map(Answer::Step)).collect()
        }
    };
    for answer in all {
        if fails_all(&answer) {
            return answer.map(drop);
        }
        answers.push(answer);
    }
    Ok(())
}

/// Whether the batch cannot go on.
fn fails_all(answer: &Result<Answer, StoreError>) -> bool {
    let kind = answer.as_ref().err().map(StoreError::kind);
    matches!(
        kind,
        Some(StoreErrorKind::Unavailable | StoreErrorKind::Full)
    )
}

async fn carry_out_one(
    setup: &Setup,
    connection: &mut SqliteConnection,
    task: &Task,
) -> Result<Answer, StoreError> {
    let statements = &*setup.statements;
    let now = setup.clock.now();
    Ok(match task {
        Task::Step(step) => Answer::Step(driver::step(connection, statements, step, now).await?),
        Task::Read(id) => Answer::Read(driver::read(connection, &statements.look, *id).await?, now),
        Task::List(listing) => {
            Answer::List(driver::list(connection, listing.clone(), now).await?, now)
        }
        Task::Change(change) => {
            let mut writing = Writing {
                connection,
                statements,
                now,
            };
            Answer::Change(change.carry_out(&mut writing).await?)
        }
        Task::Count => Answer::Count(driver::count(connection, &statements.count, now).await?),
        Task::Remove { limit, keep } => {
            let sweep = &statements.sweep;
            Answer::Remove(driver::remove(connection, sweep, *limit, *keep, now).await?)
        }
        Task::HasTable => {
            Answer::HasTable(driver::has_table(connection, &statements.has_table).await?)
        }
        Task::Script(sql) => {
            let script = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone()));
            script.execute(connection).await.map_err(driver_error)?;
            Answer::Script
        }
    })
}

async fn command(connection: &mut SqliteConnection, sql: &'static str) -> Result<(), StoreError> {
    let command = sqlx::raw_sql(sql);
    command
        .execute(connection)
        .await
        .map(drop)
        .map_err(driver_error)
}

fn refuse(replies: impl Iterator<Item = Reply>, error: &StoreError) {
    for reply in replies {
        drop(reply.send(Err(repeated(error))));
    }
}

/// The same error for another one who asked.
pub(super) fn repeated(error: &StoreError) -> StoreError {
    let source = std::error::Error::source(error).map(ToString::to_string);
    StoreError::new(error.kind(), source.unwrap_or_default())
}

#[cfg(test)]
mod tests;
