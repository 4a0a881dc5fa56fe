//! A user's sessions on PostgreSQL.

use sqlx::{AssertSqlSafe, Executor, Postgres};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use super::Inner;
use super::driver::{self, driver_error};
use crate::engine::{Outcome, Step};
use crate::row::{self, Listed, Stored};
use crate::transaction::{Held, retried};
use crate::users::{Change, Changed, Index, Listing, Transaction};

/// What the transaction sees must be newer than the lock, so every statement has a snapshot of its
/// own. The server ends it if this process stops in the middle, which others would wait for.
fn begin(lock: u64) -> String {
    format!(
        "BEGIN ISOLATION LEVEL READ COMMITTED; \
         SET LOCAL lock_timeout = '5s'; \
         SET LOCAL idle_in_transaction_session_timeout = '5s'; \
         SELECT pg_advisory_xact_lock({})",
        lock.cast_signed()
    )
}

/// A transaction and the statements that it may need.
struct Joining<'a> {
    held: Held<Postgres>,
    inner: &'a Inner,
}

impl Index for Inner {
    async fn list(&self, listing: Listing) -> Result<(Vec<Listed>, Timestamp), StoreError> {
        let mut taken = self
            .connections()
            .await?
            .take()
            .await
            .map_err(driver_error)?;
        let listed = driver::list(taken.connection(), listing).await?;
        taken.keep();
        Ok(listed)
    }

    async fn change(&self, change: Change) -> Result<Changed, StoreError> {
        let change = &change;
        retried(|| async move {
            let taken = self
                .connections()
                .await?
                .take()
                .await
                .map_err(driver_error)?;
            let mut joining = Joining {
                held: Held::new(taken),
                inner: self,
            };
            let begin = sqlx::raw_sql(AssertSqlSafe(begin(change.lock)));
            let locked = joining.held.connection().execute(begin).await;
            locked.map_err(driver_error)?;
            let changed = change.carry_out(&mut joining).await?;
            joining.held.commit().await.map_err(driver_error)?;
            Ok(changed)
        })
        .await
    }
}

impl Transaction for Joining<'_> {
    async fn list(&mut self, listing: Listing) -> Result<Vec<Stored>, StoreError> {
        let (rows, _) = driver::list(self.held.connection(), listing).await?;
        row::all(rows)
    }

    async fn step(&mut self, step: Step) -> Result<Outcome, StoreError> {
        driver::step_within(self.held.connection(), &self.inner.statements, step).await
    }

    async fn revoke(
        &mut self,
        user: &str,
        ids: Vec<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let sql = &self.inner.revocation;
        driver::revoke(self.held.connection(), sql, user, &ids).await
    }
}
