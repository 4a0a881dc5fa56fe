//! What passes between a request and its keeper.

use std::time::Duration;

use tokio::sync::oneshot;
use tower_keep_core::{Head, Opened, Put, StoreError, Timestamp, View};

use super::line::{self, Refusal};
use crate::error::Error;
use crate::events::Telling;

/// What a waiting request is told.
pub(super) enum Answer {
    /// It has the session, until it sends its end; dropping that discards.
    Granted(View, oneshot::Sender<End>),
    /// There is none for it: never `Granted` or `Busy`.
    Not(Opened),
}

/// How a holder ends its exclusive section.
pub(super) struct End {
    pub(super) op: EndOp,
    pub(super) reply: oneshot::Sender<Result<(Head, Timestamp), Error>>,
    /// Told by the keeper, because the request may be gone when the store answers.
    pub(super) telling: Option<Telling>,
}

pub(super) enum EndOp {
    Release,
    Put(Put),
    Destroy,
}

/// A request in the line.
pub(super) struct Waiter {
    pub(super) arrived: Duration,
    pub(super) deadline: Duration,
    pub(super) reply: oneshot::Sender<Result<Answer, Error>>,
}

impl line::Waiter for Waiter {
    type Error = StoreError;

    fn arrived(&self) -> Duration {
        self.arrived
    }

    fn deadline(&self) -> Duration {
        self.deadline
    }

    fn is_there(&self) -> bool {
        !self.reply.is_closed()
    }

    fn refuse(self, why: Refusal<StoreError>) {
        let answer = match why {
            Refusal::Stale => Ok(Answer::Not(Opened::Stale)),
            Refusal::Absent => Ok(Answer::Not(Opened::Absent)),
            Refusal::Expired => Ok(Answer::Not(Opened::Expired)),
            Refusal::Timeout => Err(Error::LockTimeout),
            Refusal::Failed(error) => Err(Error::Store(error)),
        };
        // Whoever is gone needs no answer.
        let _ = self.reply.send(answer);
    }
}
