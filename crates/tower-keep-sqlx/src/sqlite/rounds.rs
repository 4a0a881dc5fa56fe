//! Reads of several sessions at once.
//!
//! The driver hands each text to a thread of its own and waits for it: that takes longer than the
//! read itself. What is asked for while a reader is at work therefore waits for it, and is read
//! together, as one text. What is asked for alone is read at once.
//!
//! # Invariants
//! 1. A session is read after it was asked for, so whoever asks sees what was committed before.
//! 2. As long as somebody waits, there is a reader. One that ends before its time (with the
//!    runtime that it was on) sends those away whom no other is there for.
//! 3. Whoever was sent away, or was in a round that failed, reads alone: nobody's error is
//!    another's.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::Sqlite;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tower_keep_core::{SessionId, StoreError};

use super::driver::{self, driver_error};
use super::writer::repeated;
use crate::connections::{Connections, Taken};
use crate::row::{Columns, Stored};
use crate::statement::Sql;
use crate::table::Table;

/// So many are read together at most. If more wait for each reader, another one begins.
const ROUND: usize = 16;

/// How many sessions a text reads. Each text is prepared for itself, so they are few.
const SIZES: [usize; 3] = [1, 4, ROUND];

/// Those who read. Clones are the same.
#[derive(Clone)]
pub(super) struct Readers(Arc<Inner>);

struct Inner {
    connections: Connections<Sqlite>,
    texts: [(usize, Sql); SIZES.len()],
    line: Mutex<Line>,
    /// So many readers have a connection.
    most: usize,
}

/// Who waits, and how many readers are at work.
#[derive(Default)]
struct Line {
    waiting: VecDeque<Job>,
    readers: usize,
}

struct Job {
    id: SessionId,
    reply: oneshot::Sender<Result<Option<Stored>, StoreError>>,
}

impl Readers {
    pub(super) fn new(connections: Connections<Sqlite>, table: &Table) -> Self {
        let most = connections.pool().options().get_max_connections();
        Self(Arc::new(Inner {
            most: usize::try_from(most).unwrap_or(usize::MAX),
            connections,
            texts: SIZES.map(|size| (size, driver::several(table, size).into())),
            line: Mutex::default(),
        }))
    }

    /// A connection, to be kept if what it is for ends well.
    pub(super) async fn take(&self) -> Result<Taken<Sqlite>, StoreError> {
        self.0.connections.take().await.map_err(driver_error)
    }

    pub(super) async fn read(&self, id: SessionId) -> Result<Option<Stored>, StoreError> {
        let (reply, answer) = oneshot::channel();
        let job = Job { id, reply };
        if let Some(reader) = self.join(job)
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(reader.work());
        }
        match answer.await {
            Ok(answer) => answer,
            // It is rare, and so has its room elsewhere.
            Err(_) => Box::pin(self.read_alone(id)).await,
        }
    }

    async fn read_alone(&self, id: SessionId) -> Result<Option<Stored>, StoreError> {
        let mut taken = self.take().await?;
        let row = driver::read(taken.connection(), &self.0.texts[0].1, id).await?;
        taken.keep();
        Ok(row)
    }

    /// Adds somebody who waits. A reader comes back if one has to begin.
    fn join(&self, job: Job) -> Option<Reader> {
        let mut line = self.line();
        line.waiting.push_back(job);
        let is_needed = line.waiting.len() > line.readers * ROUND && line.readers < self.0.most;
        is_needed.then(|| {
            line.readers += 1;
            Reader(self.clone())
        })
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Readers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.connections.fmt(f)
    }
}

/// One reader, who is counted until this is dropped.
struct Reader(Readers);

impl Reader {
    /// Reads until nobody waits.
    async fn work(self) {
        loop {
            let mut jobs = self.next();
            if jobs.is_empty() {
                return;
            }
            jobs.retain(|job| !job.reply.is_closed());
            if !jobs.is_empty() {
                self.read(jobs).await;
            }
        }
    }

    fn next(&self) -> Vec<Job> {
        let mut line = self.0.line();
        let count = line.waiting.len().min(ROUND);
        line.waiting.drain(..count).collect()
    }

    async fn read(&self, jobs: Vec<Job>) {
        let mut taken = match self.0.take().await {
            Ok(taken) => taken,
            Err(error) => return answer(jobs, |_| Err(repeated(&error))),
        };
        let texts = &self.0.0.texts;
        let text = texts.iter().find(|(size, _)| *size >= jobs.len());
        let Some((size, text)) = text else { return };
        let ids = (0..*size).map(|at| jobs.get(at).map(|job| job.id));
        let rows = driver::rows(taken.connection(), text, ids).await;
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) if jobs.len() == 1 => return answer(jobs, |_| Err(repeated(&error))),
            // Whose fault it was is not known.
            Err(_) => return,
        };
        taken.keep();
        let ids: Vec<_> = rows.iter().map(|row| row.id(0).ok()).collect();
        answer(jobs, |id| {
            let at = ids.iter().position(|of| of.as_ref() == Some(id.as_bytes()));
            at.map(|at| Stored::read(&rows[at], 0)).transpose()
        });
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut line = self.0.line();
        line.readers -= 1;
        if line.readers == 0 {
            let sent_away = std::mem::take(&mut line.waiting);
            // Those who are woken by this may ask again.
            drop(line);
            drop(sent_away);
        }
    }
}

fn answer(jobs: Vec<Job>, row: impl Fn(SessionId) -> Result<Option<Stored>, StoreError>) {
    for Job { id, reply } in jobs {
        // Whoever asked may be gone.
        drop(reply.send(row(id)));
    }
}

#[cfg(test)]
mod tests;
