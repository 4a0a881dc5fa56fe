//! Commands of many callers in one write.
//!
//! The driver writes a command as soon as it is sent, since the runtime lets the task that was woken
//! last run first. So on a busy server each command was a write of its own, which took a quarter of
//! the server's time, and a read of its own at Redis. Here whoever comes first lets those run who
//! can run at that moment, and what they ask for goes along, in one pipeline.
//!
//! # Invariants
//! 1. While jobs wait there are tasks that will take all of them: one for each [`MOST`]. Nobody waits
//!    for the future of another caller, which need not be polled. A task that ends before (with the
//!    runtime that it was on) sends its jobs away, as if the connection had broken.
//! 2. The commands of a pipeline are in the order in which they came, those of one job next to each
//!    other.
//! 3. For whom nobody waits any more nothing is sent if it has not been; nor does it wait for a
//!    connection.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisResult, Value};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// So many jobs go in one pipeline, since all of them wait for its last reply.
const MOST: usize = 64;

/// A connection by which callers send together. Clones are the same.
#[derive(Clone)]
pub(crate) struct Gathering<C> {
    connection: C,
    line: Line,
}

/// Who waits to send.
#[derive(Clone, Default)]
struct Line(Arc<Mutex<Vec<Job>>>);

struct Job {
    commands: Vec<Cmd>,
    reply: Reply,
}

type Reply = oneshot::Sender<RedisResult<Vec<Value>>>;

impl<C> Gathering<C>
where
    C: ConnectionLike + Clone + Send + 'static,
{
    pub(crate) fn new(connection: C) -> Self {
        let line = Line::default();
        Self { connection, line }
    }

    /// Runs commands one behind the other. A reply may be an error of the server.
    ///
    /// # Errors
    /// The connection's.
    pub(crate) async fn run(&self, commands: Vec<Cmd>) -> RedisResult<Vec<Value>> {
        let (reply, replies) = oneshot::channel();
        if let Some(turn) = self.line.join(Job { commands, reply }) {
            let runtime = Handle::try_current().map_err(io::Error::other)?;
            runtime.spawn(send(turn, self.connection.clone()));
        }
        match replies.await {
            Ok(replies) => replies,
            Err(_) => Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
        }
    }
}

impl Line {
    /// Adds a job. A turn comes back if there are none for all who wait.
    fn join(&self, job: Job) -> Option<Turn> {
        let mut jobs = self.jobs();
        let is_first = jobs.len().is_multiple_of(MOST);
        jobs.push(job);
        is_first.then(|| Turn(Some(self.clone())))
    }

    fn jobs(&self) -> MutexGuard<'_, Vec<Job>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to take those of a line who are first.
struct Turn(Option<Line>);

impl Turn {
    fn take(&mut self) -> Vec<Job> {
        let Some(line) = self.0.take() else {
            return vec![];
        };
        let mut jobs = line.jobs();
        let count = jobs.len().min(MOST);
        jobs.drain(..count).collect()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.take());
    }
}

async fn send(mut turn: Turn, mut connection: impl ConnectionLike) {
    // Until all have run who can.
    yield_now().await;
    let (mut pipeline, mut waiting) = (Pipeline::new(), Vec::new());
    for Job { commands, reply } in turn.take() {
        if !reply.is_closed() {
            waiting.push((commands.len(), reply));
            for command in commands {
                pipeline.add_command(command);
            }
        }
    }
    let replies = tokio::select! {
        biased;
        () = all_gone(&mut waiting) => return,
        replies = connection.req_packed_commands(&pipeline, 0, pipeline.len()) => replies,
    };
    match replies {
        Ok(replies) => {
            let mut replies = replies.into_iter();
            for (count, reply) in waiting {
                // Whoever asked may be gone.
                drop(reply.send(Ok(replies.by_ref().take(count).collect())));
            }
        }
        Err(error) => {
            for (_, reply) in waiting {
                drop(reply.send(Err(error.clone())));
            }
        }
    }
}

/// At once if nobody is there.
async fn all_gone(waiting: &mut [(usize, Reply)]) {
    for (_, reply) in waiting {
        reply.closed().await;
    }
}

#[cfg(test)]
mod tests;
