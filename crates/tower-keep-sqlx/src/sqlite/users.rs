//! A user's sessions in SQLite.

use sqlx::SqliteConnection;
use tower_keep_core::{SessionId, StoreError, Timestamp};

use super::task::Task;
use super::{Sqlite, driver};
use crate::engine::{Outcome, Step};
use crate::row::{self, Listed, Stored};
use crate::statement::Statements;
use crate::users::{Change, Changed, Index, Listing, Transaction, revocation};

impl Index for Sqlite {
    async fn list(&self, listing: Listing) -> Result<(Vec<Listed>, Timestamp), StoreError> {
        let Some(readers) = &self.readers else {
            return self.writer.run(Task::List(listing)).await?.rows();
        };
        let now = self.clock.now();
        let mut taken = readers.take().await?;
        let rows = driver::list(taken.connection(), listing, now).await?;
        taken.keep();
        Ok((rows, now))
    }

    async fn change(&self, change: Change) -> Result<Changed, StoreError> {
        self.writer.run(Task::Change(change)).await?.changed()
    }
}

/// The writer's transaction. Nobody else writes meanwhile, so it needs no other lock.
pub(super) struct Writing<'a> {
    pub(super) connection: &'a mut SqliteConnection,
    pub(super) statements: &'a Statements,
    pub(super) now: Timestamp,
}

impl Transaction for Writing<'_> {
    async fn list(&mut self, listing: Listing) -> Result<Vec<Stored>, StoreError> {
        row::all(driver::list(&mut *self.connection, listing, self.now).await?)
    }

    async fn step(&mut self, step: Step) -> Result<Outcome, StoreError> {
        driver::step(self.connection, self.statements, &step, self.now).await
    }

    async fn revoke(
        &mut self,
        user: &str,
        ids: Vec<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let mut ended = Vec::new();
        for id in ids {
            let step = revocation(&self.statements.revoke, user, id);
            if self.step(step).await?.applied {
                ended.push(id);
            }
        }
        Ok(ended)
    }
}
