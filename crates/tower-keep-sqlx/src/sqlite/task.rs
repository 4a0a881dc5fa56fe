//! What the writer is asked for, and what it answers.

use std::sync::Arc;

use tower_keep_core::{SessionId, StoreError, Timestamp};

use crate::engine::{Outcome, Removed, Step};
use crate::error::unavailable;
use crate::row::{Listed, Stored};
use crate::statement::{Sql, Statements};
use crate::users::{Change, Changed, Listing};

/// What the writer can be asked for.
pub(super) enum Task {
    Step(Step),
    Read(SessionId),
    List(Listing),
    Change(Change),
    Count,
    Remove { limit: i64, keep: i64 },
    HasTable,
    Script(Sql),
}

impl Task {
    /// Whether it changes more than who holds a lease and when somebody was there.
    pub(super) fn must_last(&self, statements: &Statements) -> bool {
        let passing = [
            &statements.lease,
            &statements.touch,
            &statements.release,
            &statements.renew,
        ];
        match self {
            Self::Step(step) => !passing.into_iter().any(|sql| Arc::ptr_eq(sql, &step.sql)),
            Self::Read(_) | Self::List(_) | Self::Count | Self::HasTable => false,
            Self::Change(_) | Self::Remove { .. } | Self::Script(_) => true,
        }
    }
}

/// The answer to a [`Task`] of the same name.
pub(super) enum Answer {
    Step(Outcome),
    Read(Option<Stored>, Timestamp),
    List(Vec<Listed>, Timestamp),
    Change(Changed),
    Count([i64; 4]),
    Remove(Vec<Removed>),
    HasTable(bool),
    Script,
}

impl Answer {
    pub(super) fn outcome(self) -> Result<Outcome, StoreError> {
        match self {
            Self::Step(outcome) => Ok(outcome),
            _ => Err(mixed_up()),
        }
    }

    pub(super) fn row(self) -> Result<(Option<Stored>, Timestamp), StoreError> {
        match self {
            Self::Read(row, now) => Ok((row, now)),
            _ => Err(mixed_up()),
        }
    }

    pub(super) fn rows(self) -> Result<(Vec<Listed>, Timestamp), StoreError> {
        match self {
            Self::List(rows, now) => Ok((rows, now)),
            _ => Err(mixed_up()),
        }
    }

    pub(super) fn changed(self) -> Result<Changed, StoreError> {
        match self {
            Self::Change(changed) => Ok(changed),
            _ => Err(mixed_up()),
        }
    }

    pub(super) fn counts(self) -> Result<[i64; 4], StoreError> {
        match self {
            Self::Count(counts) => Ok(counts),
            _ => Err(mixed_up()),
        }
    }

    pub(super) fn has_table(self) -> Result<bool, StoreError> {
        match self {
            Self::HasTable(is_there) => Ok(is_there),
            _ => Err(mixed_up()),
        }
    }

    pub(super) fn removed(self) -> Result<Vec<Removed>, StoreError> {
        match self {
            Self::Remove(removed) => Ok(removed),
            _ => Err(mixed_up()),
        }
    }
}

fn mixed_up() -> StoreError {
    unavailable("the writer answered something else than it was asked")
}
