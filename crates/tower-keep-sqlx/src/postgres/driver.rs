//! The statements as PostgreSQL takes them, and how they are run.

use sqlx::postgres::PgRow;
use sqlx::types::Uuid;
use sqlx::{PgExecutor, PgPool, Postgres, Row};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use crate::engine::{Outcome, Step};
use crate::error::{corrupt, from_driver, unavailable};
use crate::row::Stored;
use crate::statement::{Dialect, OVER, OWN, REVOKE, Reads, Sql, Update};
use crate::table::Table;
use crate::users::Listing;
use crate::value::Value;

pub(super) struct Text;

/// The server's time, taken once a statement.
const CLOCK: &str = "t AS MATERIALIZED \
     (SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now)";

impl Dialect for Text {
    const LEAST: &'static str = "LEAST";
    const GREATEST: &'static str = "GREATEST";

    fn update(table: &Table, update: &Update) -> String {
        let Update {
            set, when, reads, ..
        } = update;
        let returned = match reads {
            Reads::Nothing => "1 AS one".to_owned(),
            reads => reads.columns(),
        };
        // What was written comes from RETURNING: beside it, the statement sees only what was
        // there before it waited for the row.
        let update = format!(
            "UPDATE {table} SET {set} FROM t WHERE id = $1 AND {when} RETURNING {returned}"
        );
        finished(table, &update, *reads)
    }

    fn insert(table: &Table, columns: &str, values: &str) -> String {
        let insert = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM t \
             ON CONFLICT (id) DO NOTHING RETURNING {}",
            Reads::Head.columns()
        );
        finished(table, &insert, Reads::Head)
    }

    fn select(table: &Table, reads: Reads) -> String {
        format!(
            "WITH {CLOCK} SELECT id IS NOT NULL, now, {} FROM t LEFT JOIN {table} ON id = $1",
            reads.columns()
        )
    }

    fn list(table: &Table, reads: Reads) -> String {
        let sql = format!(
            "WITH {CLOCK} SELECT TRUE, now, {} FROM {table}, t WHERE {OWN}",
            reads.columns()
        );
        sql.replace("{now}", "t.now")
    }

    fn sweep(table: &Table) -> String {
        // Rows that others hold at the moment are left for the next time.
        let over = format!(
            "SELECT id FROM {table}, t WHERE {OVER} LIMIT $1 FOR UPDATE OF {} SKIP LOCKED",
            table.name()
        );
        let sql = format!(
            "WITH {CLOCK}, over AS MATERIALIZED ({over}) \
             DELETE FROM {table} AS s USING over WHERE s.id = over.id \
             RETURNING s.gone_at IS NOT NULL"
        );
        sql.replace("{now}", "t.now")
    }
}

/// Destroys those of the sessions `$1` that are alive and user `$2`'s, and returns which they were.
pub(super) fn revocation(table: &Table) -> Sql {
    let Update { set, when, .. } = REVOKE;
    let sql = format!(
        "WITH {CLOCK}, done AS \
         (UPDATE {table} SET {set} FROM t WHERE id = ANY($1) AND {when} RETURNING id) \
         SELECT id FROM done"
    );
    sql.replace("{now}", "t.now").into()
}

/// Carries out `change`, and returns the row after it or the one that did not match.
fn finished(table: &Table, change: &str, reads: Reads) -> String {
    let sql = if reads == Reads::Nothing {
        format!("WITH {CLOCK}, done AS ({change}) SELECT EXISTS (SELECT 1 FROM done), now FROM t")
    } else {
        let columns = reads.columns();
        let after = columns.replace("CAST(NULL AS TEXT) AS ", "");
        format!(
            "WITH {CLOCK}, done AS ({change}) SELECT TRUE, now, {after} FROM done, t \
             UNION ALL SELECT FALSE, now, {columns} FROM {table}, t \
             WHERE id = $1 AND NOT EXISTS (SELECT 1 FROM done)"
        )
    };
    sql.replace("{now}", "t.now")
}

crate::store::impl_driver!(
    Postgres,
    PgRow,
    id: Uuid,
    |id: SessionId| Uuid::from_bytes(*id.as_bytes()),
    |id: Uuid| Ok(id.into_bytes())
);

/// Messages about data and constraints quote values.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` passes")]
pub(super) fn driver_error(error: sqlx::Error) -> StoreError {
    from_driver(&error, |code| {
        code.starts_with("22") || code.starts_with("23")
    })
}

pub(super) async fn read(
    pool: &PgPool,
    sql: &Sql,
    id: SessionId,
) -> Result<(Option<Stored>, Timestamp), StoreError> {
    let row = bind(query(sql), Value::Id(id))
        .fetch_one(pool)
        .await
        .map_err(driver_error)?;
    let (found, now) = preamble(&row)?;
    let row = found.then(|| Stored::read(&row, 2)).transpose()?;
    Ok((row, now))
}

pub(super) async fn step(executor: impl PgExecutor<'_>, step: Step) -> Result<Outcome, StoreError> {
    let Step {
        sql,
        id,
        values,
        reads,
    } = step;
    let mut query = bind(query(&sql), Value::Id(id));
    for value in values {
        query = bind(query, value);
    }
    let Some(row) = query.fetch_optional(executor).await.map_err(driver_error)? else {
        return Ok(Outcome {
            applied: false,
            now: Timestamp::from_millis(0),
            row: None,
        });
    };
    let (applied, now) = preamble(&row)?;
    let row = match reads {
        Reads::Nothing => None,
        Reads::Whole | Reads::Head => Some(Stored::read(&row, 2)?),
    };
    Ok(Outcome { applied, now, row })
}

pub(super) async fn list(
    executor: impl PgExecutor<'_>,
    listing: Listing,
) -> Result<(Vec<Stored>, Timestamp), StoreError> {
    let query = listing.values.into_iter().fold(query(&listing.sql), bind);
    let rows = query.fetch_all(executor).await.map_err(driver_error)?;
    let now = match rows.first() {
        Some(row) => preamble(row)?.1,
        None => Timestamp::from_millis(0),
    };
    let rows: Result<_, _> = rows.iter().map(|row| Stored::read(row, 2)).collect();
    Ok((rows?, now))
}

pub(super) async fn revoke(
    executor: impl PgExecutor<'_>,
    sql: &Sql,
    user: &str,
    ids: &[SessionId],
) -> Result<Vec<SessionId>, StoreError> {
    let ids: Vec<_> = ids
        .iter()
        .map(|id| Uuid::from_bytes(*id.as_bytes()))
        .collect();
    let query = query(sql).bind(ids).bind(user.to_owned());
    let rows = query.fetch_all(executor).await.map_err(driver_error)?;
    let id = |row: &PgRow| {
        let id: Uuid = row.try_get(0).map_err(driver_error)?;
        SessionId::from_bytes(id.into_bytes()).map_err(|_| corrupt("its id is none"))
    };
    rows.iter().map(id).collect()
}

fn preamble(row: &PgRow) -> Result<(bool, Timestamp), StoreError> {
    let (applied, now): (bool, i64) = (
        row.try_get(0).map_err(driver_error)?,
        row.try_get(1).map_err(driver_error)?,
    );
    let now = u64::try_from(now).map_err(|_| unavailable("its clock is before 1970"))?;
    Ok((applied, Timestamp::from_millis(now)))
}

pub(super) async fn remove(
    pool: &PgPool,
    sql: &Sql,
    limit: i64,
    keep: i64,
) -> Result<Vec<bool>, StoreError> {
    let rows = query(sql)
        .bind(limit)
        .bind(keep)
        .fetch_all(pool)
        .await
        .map_err(driver_error)?;
    rows.iter()
        .map(|row| row.try_get(0).map_err(driver_error))
        .collect()
}
