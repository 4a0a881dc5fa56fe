//! A user's sessions on MySQL and MariaDB.

use sqlx::{MySql, Row};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use super::Inner;
use super::driver::{self, Via, driver_error, filled, now, send};
use crate::engine::{Outcome, Step};
use crate::error::unavailable;
use crate::row::{self, Listed, Stored};
use crate::statement::Statements;
use crate::table::Table;
use crate::transaction::{Held, retried};
use crate::users::{Change, Changed, Index, Listing, Transaction};
use crate::value::Value;

/// So many sessions at most end in one packet, each by a statement of its own: a packet may not be
/// too long.
const AT_ONCE: usize = 500;

/// So many rows the table of locks has.
const LOCKS: u64 = 64;

/// What the transaction sees must be newer than the lock, so every statement has a snapshot of its
/// own. MariaDB ends it if this process stops in the middle, which others would wait for; MySQL
/// cannot.
fn begin(table: &Table, lock: u64) -> String {
    format!(
        "SET @keep_now = NULL /*M!100300 , SESSION idle_transaction_timeout = 5 */; \
         SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION; \
         SELECT id FROM {table}_locks WHERE id = {} FOR UPDATE",
        lock % LOCKS
    )
}

/// A transaction and the statements that it may need.
struct Joining<'a> {
    held: Held<MySql>,
    statements: &'a Statements,
}

impl Index for Inner {
    async fn list(&self, listing: Listing) -> Result<(Vec<Listed>, Timestamp), StoreError> {
        list(&mut Via::Any(&self.connections), listing).await
    }

    async fn change(&self, change: Change) -> Result<Changed, StoreError> {
        let change = &change;
        retried(|| async move {
            let taken = self.connections.take().await.map_err(driver_error)?;
            let mut joining = Joining {
                held: Held::new(taken),
                statements: &self.statements,
            };
            let begin = begin(&self.table, change.lock);
            let locked = send(&mut joining.via(), begin).await;
            if locked.map_err(driver_error)?.is_empty() {
                let why = "the table of locks has too few rows: run the store's `migrate`";
                return Err(unavailable(why));
            }
            let changed = change.carry_out(&mut joining).await?;
            joining.held.commit().await.map_err(driver_error)?;
            Ok(changed)
        })
        .await
    }
}

impl Joining<'_> {
    fn via(&mut self) -> Via<'_> {
        Via::Transaction(self.held.connection())
    }
}

impl Transaction for Joining<'_> {
    async fn list(&mut self, listing: Listing) -> Result<Vec<Stored>, StoreError> {
        let (rows, _) = list(&mut self.via(), listing).await?;
        row::all(rows)
    }

    async fn step(&mut self, step: Step) -> Result<Outcome, StoreError> {
        let statements = self.statements;
        driver::step(&mut self.via(), statements, step).await
    }

    async fn revoke(
        &mut self,
        user: &str,
        ids: Vec<SessionId>,
    ) -> Result<Vec<SessionId>, StoreError> {
        let (sql, user) = (&self.statements.revoke, Value::Text(Some(user.to_owned())));
        let each = |id: &SessionId| filled(sql, &[Value::Id(*id), user.clone()]);
        let mut ended = Vec::new();
        for ids in ids.chunks(AT_ONCE) {
            let text: Vec<_> = ids.iter().map(each).collect();
            let rows = send(&mut self.via(), text.join("; ")).await;
            for (id, row) in ids.iter().zip(rows.map_err(driver_error)?) {
                let applied: i64 = row.try_get(0).map_err(driver_error)?;
                if applied > 0 {
                    ended.push(*id);
                }
            }
        }
        Ok(ended)
    }
}

async fn list(via: &mut Via<'_>, listing: Listing) -> Result<(Vec<Listed>, Timestamp), StoreError> {
    let rows = send(via, filled(&listing.sql, &listing.values)).await;
    let rows = rows.map_err(driver_error)?;
    let now = match rows.first() {
        Some(row) => now(row)?,
        None => Timestamp::from_millis(0),
    };
    Ok((row::each(&rows, 3), now))
}
