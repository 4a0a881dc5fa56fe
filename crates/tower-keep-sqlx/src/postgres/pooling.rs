//! Finding out whether a pooler breaks prepared statements.

use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tower_keep_core::StoreError;

use super::driver::driver_error;
use crate::error::unavailable;

/// The server is behind a pooler that gives each transaction any connection, as PgBouncer does
/// with `pool_mode = transaction`, and that does not carry prepared statements along. A statement
/// could then be another client's SQL, so the store runs none.
///
/// It is the source of the [`StoreError`] of
/// [`connect`](crate::PostgresStore::connect), of [`migrate`](crate::PostgresStore::migrate) and
/// of every verb.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "this connection loses its prepared statements: it looks like PgBouncer with \
     `pool_mode = transaction`, before version 1.21 or without `max_prepared_statements`, where \
     one client's statement can run as another's. Use `pool_mode = session`, or PgBouncer 1.21 or \
     later with `max_prepared_statements` above zero, or connect to PostgreSQL directly"
)]
#[non_exhaustive]
pub struct UnsafePooling;

/// So many parameters as no other client's statement has: one that the pooler confuses with the
/// probe's is refused by the server instead of run.
const PARAMETERS: usize = 61;

/// The first already tells where nobody else is busy; the others are for servers that are.
const ROUNDS: usize = 4;

/// Has two connections prepare and run a statement each, in turns. Their names for them are the
/// same, so where the two share a server's connection, the second cannot prepare its own, and
/// where one is moved to another, it does not find its own or finds the other's. With a
/// connection each, or with a pooler that knows whose statement is meant, each gets its answer.
pub(super) async fn probe(
    options: &PgConnectOptions,
    limit: Duration,
) -> Result<Result<(), UnsafePooling>, StoreError> {
    let answers = tokio::time::timeout(limit, async {
        let mut one = PgConnection::connect_with(options).await?;
        let mut two = PgConnection::connect_with(options).await?;
        for _ in 0..ROUNDS {
            if !answers(&mut one, 1).await? || !answers(&mut two, 2).await? {
                return Ok(Err(UnsafePooling));
            }
        }
        // What was to be found out is known.
        drop(one.close().await);
        drop(two.close().await);
        Ok(Ok(()))
    });
    match answers.await {
        Ok(verdict) => verdict.map_err(driver_error),
        Err(_) => Err(unavailable(
            "two connections for a test of prepared statements could not be had in time",
        )),
    }
}

/// Whether the connection answers its own question.
async fn answers(connection: &mut PgConnection, answer: i64) -> Result<bool, sqlx::Error> {
    let terms: Vec<_> = (1..=PARAMETERS).map(|n| format!("${n}::bigint")).collect();
    let sql = AssertSqlSafe(format!("SELECT {answer}::bigint + {}", terms.join(" + ")));
    let query = sqlx::query_scalar::<_, i64>(sql);
    let query = (0..PARAMETERS).fold(query, |query, _| query.bind(0_i64));
    match query.fetch_one(connection).await {
        Ok(found) => Ok(found == answer),
        // No such statement, one that exists already, one with other parameters.
        Err(sqlx::Error::Database(error))
            if matches!(
                error.code().as_deref(),
                Some("26000" | "42P05" | "08P01" | "22P03")
            ) =>
        {
            Ok(false)
        }
        Err(
            sqlx::Error::RowNotFound
            | sqlx::Error::ColumnIndexOutOfBounds { .. }
            | sqlx::Error::ColumnDecode { .. },
        ) => Ok(false),
        Err(error) => Err(error),
    }
}
