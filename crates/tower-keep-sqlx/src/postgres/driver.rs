//! The statements as PostgreSQL takes them, and how they are run.

use std::future::Future;

use sqlx::error::DatabaseError;
use sqlx::postgres::PgRow;
use sqlx::types::Uuid;
use sqlx::{PgConnection, Postgres, Row};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use super::packed::{Brief, Packed, packed};
use crate::connections::Connections;
use crate::engine::{Outcome, Removed, Step, TRIES};
use crate::error::{corrupt, from_driver};
use crate::row::{self, Columns, Left, Listed, Stored, removed};
use crate::statement::{Dialect, OVER, REVOKE, Reads, Sql, Statements, Update, counts};
use crate::table::Table;
use crate::users::Listing;
use crate::value::Value;

pub(super) struct Text;

/// The server's time as a row, for statements that look at one session.
///
/// `date_part` computes in binary, where `extract` does in decimal.
const CLOCK: &str =
    "(SELECT floor(date_part('epoch', clock_timestamp()) * 1000)::bigint AS now) AS t";

/// The same for statements that look at several, taken once for all of them. The server takes
/// longer to set up a statement with it.
fn clock() -> String {
    format!("t AS MATERIALIZED (SELECT now FROM {CLOCK})")
}

impl Dialect for Text {
    const LEAST: &'static str = "LEAST";
    const GREATEST: &'static str = "GREATEST";

    fn update(table: &Table, update: &Update) -> String {
        changed(table, update, "")
    }

    fn releasing(table: &Table, update: &Update) -> String {
        changed(table, update, &tell(table))
    }

    fn insert(table: &Table, columns: &str, values: &str) -> String {
        let sql = format!(
            "INSERT INTO {table} ({columns}) SELECT {values} FROM {CLOCK} \
             ON CONFLICT (id) DO NOTHING RETURNING {}",
            packed(Reads::Left, "created_at")
        );
        sql.replace("{now}", "t.now")
    }

    fn select(table: &Table, reads: Reads) -> String {
        format!(
            "SELECT {} FROM {CLOCK} LEFT JOIN {table} ON id = $1",
            packed(reads, "t.now")
        )
    }

    fn list(table: &Table, reads: Reads, which: &str) -> String {
        let sql = format!(
            "WITH {} SELECT {} FROM {table}, t WHERE {which}",
            clock(),
            packed(reads, "t.now")
        );
        sql.replace("{now}", "t.now")
    }

    fn count(table: &Table) -> String {
        let sql = format!("WITH {} SELECT {} FROM {table}, t", clock(), counts());
        sql.replace("{now}", "t.now")
    }

    fn has_table(table: &Table) -> String {
        format!("SELECT COUNT(to_regclass('{table}'))")
    }

    fn sweep(table: &Table) -> String {
        // Rows that others hold at the moment are left for the next time.
        let over = format!(
            "SELECT id FROM {table}, t WHERE {OVER} LIMIT $1 FOR UPDATE OF {} SKIP LOCKED",
            table.name()
        );
        let sql = format!(
            "WITH {}, over AS MATERIALIZED ({over}) \
             DELETE FROM {table} AS s USING over WHERE s.id = over.id \
             RETURNING s.id, (s.gone_at IS NOT NULL)::int::int8",
            clock()
        );
        sql.replace("{now}", "t.now")
    }
}

/// Destroys those of the sessions `$1` that are alive and user `$2`'s, and returns which they were.
pub(super) fn revocation(table: &Table) -> Sql {
    let Update { set, when, .. } = REVOKE;
    let sql = format!(
        "WITH {} UPDATE {table} SET {set} FROM t WHERE id = ANY($1) AND {when} RETURNING id{}",
        clock(),
        tell(table)
    );
    sql.replace("{now}", "t.now").into()
}

/// Where it is told that a lease was given up. Tables of one name in several schemas share one,
/// which does no harm: what is told is the session's id.
pub(super) fn channel(table: &Table) -> String {
    format!("{}_released", table.name())
}

/// One more column that tells whoever waits for the lease that was given up.
///
/// A tombstone's column of the lease holds until when somebody waited. `CASE` calls the function
/// only where somebody does.
fn tell(table: &Table) -> String {
    format!(
        ", CASE WHEN owner IS NULL \
           AND CASE WHEN gone_at IS NULL THEN waiting_until ELSE lease_until END > {{now}} \
         THEN pg_notify('{}', id::text)::text END AS told",
        channel(table)
    )
}

/// What is written comes from `RETURNING`: beside it, the statement sees only what was there before
/// it waited for the row. Where nothing matches there is no row, which is read by a statement of
/// its own: one that did both would take the server half as long again each time.
fn changed(table: &Table, update: &Update, tell: &str) -> String {
    let Update { set, when, reads } = update;
    let returned = packed(*reads, "t.now");
    let sql = format!(
        "UPDATE {table} SET {set} FROM {CLOCK} WHERE id = $1 AND {when} RETURNING {returned}{tell}"
    );
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

/// Runs a statement, again if another transaction was in its way (a deadlock, or a conflict under
/// `repeatable read` or `serializable` as the connection's default): then all of it was undone.
async fn repeated<T, F>(run: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, sqlx::Error>>,
{
    let mut tries = 1;
    loop {
        match run().await {
            Err(error) if tries < TRIES && is_undone(&error) => tries += 1,
            result => return result.map_err(driver_error),
        }
    }
}

fn is_undone(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| matches!(&*code, "40001" | "40P01"))
}

pub(super) async fn read(
    connections: &Connections<Postgres>,
    sql: &Sql,
    id: SessionId,
) -> Result<(Option<Stored>, Timestamp), StoreError> {
    let values = [Value::Id(id)];
    found(fetch(connections, sql, &values).await?)
}

/// Runs a statement whose only parameter is the id, and tells whether it matched.
pub(super) async fn matches(
    connections: &Connections<Postgres>,
    sql: &Sql,
    id: SessionId,
) -> Result<bool, StoreError> {
    let values = [Value::Id(id)];
    Ok(fetch(connections, sql, &values).await?.is_some())
}

pub(super) async fn step(
    connections: &Connections<Postgres>,
    statements: &Statements,
    step: Step,
) -> Result<Outcome, StoreError> {
    let (sql, values, reads) = parts(step);
    if let Some(row) = fetch(connections, &sql, &values).await? {
        return applied(&row, reads);
    }
    refused(match unmatched(statements, reads) {
        Some(sql) => fetch(connections, sql, &values[..1]).await?,
        None => None,
    })
}

/// A step of a transaction: where another is in its way, all of the transaction was undone.
pub(super) async fn step_within(
    connection: &mut PgConnection,
    statements: &Statements,
    step: Step,
) -> Result<Outcome, StoreError> {
    let (sql, values, reads) = parts(step);
    if let Some(row) = fetch_within(connection, &sql, &values).await? {
        return applied(&row, reads);
    }
    refused(match unmatched(statements, reads) {
        Some(sql) => fetch_within(connection, sql, &values[..1]).await?,
        None => None,
    })
}

async fn fetch(
    connections: &Connections<Postgres>,
    sql: &Sql,
    values: &[Value],
) -> Result<Option<PgRow>, StoreError> {
    let run = async || {
        let mut taken = connections.take().await?;
        let query = values.iter().fold(query(sql), bind);
        let row = query.fetch_optional(taken.connection()).await?;
        taken.keep();
        Ok(row)
    };
    repeated(run).await
}

async fn fetch_within(
    connection: &mut PgConnection,
    sql: &Sql,
    values: &[Value],
) -> Result<Option<PgRow>, StoreError> {
    let query = values.iter().fold(query(sql), bind);
    query.fetch_optional(connection).await.map_err(driver_error)
}

fn parts(step: Step) -> (Sql, Vec<Value>, Reads) {
    let mut values = step.values;
    values.insert(0, Value::Id(step.id));
    (step.sql, values, step.reads)
}

/// What reads the row that a step did not match, if that is asked for.
fn unmatched(statements: &Statements, reads: Reads) -> Option<&Sql> {
    match reads {
        Reads::Whole => Some(&statements.look),
        Reads::Head | Reads::Left => Some(&statements.peek),
        Reads::Nothing => None,
    }
}

fn applied(row: &PgRow, reads: Reads) -> Result<Outcome, StoreError> {
    let (now, left, row) = match reads {
        Reads::Nothing => (Brief::new(row)?.now()?, None, None),
        Reads::Left => {
            let brief = Brief::new(row)?;
            (brief.now()?, Some(Left::read(&brief, 1)?), None)
        }
        Reads::Whole | Reads::Head => {
            let row = Packed::new(row)?;
            (row.now()?, None, Some(Stored::read(&row, 0)?))
        }
    };
    Ok(Outcome {
        applied: true,
        now,
        row,
        left,
    })
}

fn refused(row: Option<PgRow>) -> Result<Outcome, StoreError> {
    let (row, now) = found(row)?;
    Ok(Outcome::unmatched(row, now))
}

/// The answer of a statement that selects a row.
fn found(row: Option<PgRow>) -> Result<(Option<Stored>, Timestamp), StoreError> {
    let Some(row) = row else {
        return Ok((None, Timestamp::from_millis(0)));
    };
    let row = Packed::new(&row)?;
    let stored = row.found().then(|| Stored::read(&row, 0)).transpose()?;
    Ok((stored, row.now()?))
}

pub(super) async fn list(
    connection: &mut PgConnection,
    listing: Listing,
) -> Result<(Vec<Listed>, Timestamp), StoreError> {
    let query = listing.values.iter().fold(query(&listing.sql), bind);
    let rows = query.fetch_all(connection).await.map_err(driver_error)?;
    let rows: Vec<_> = rows.iter().map(Packed::new).collect::<Result<_, _>>()?;
    let now = match rows.first() {
        Some(row) => row.now()?,
        None => Timestamp::from_millis(0),
    };
    Ok((row::each(&rows, 0), now))
}

pub(super) async fn revoke(
    connection: &mut PgConnection,
    sql: &Sql,
    user: &str,
    ids: &[SessionId],
) -> Result<Vec<SessionId>, StoreError> {
    let ids: Vec<_> = ids
        .iter()
        .map(|id| Uuid::from_bytes(*id.as_bytes()))
        .collect();
    let query = query(sql).bind(ids).bind(user.to_owned());
    let rows = query.fetch_all(connection).await.map_err(driver_error)?;
    let id = |row: &PgRow| {
        let id: Uuid = row.try_get(0).map_err(driver_error)?;
        SessionId::from_bytes(id.into_bytes()).map_err(|_| corrupt("its id is none"))
    };
    rows.iter().map(id).collect()
}

pub(super) async fn count(
    connections: &Connections<Postgres>,
    sql: &Sql,
) -> Result<[i64; 4], StoreError> {
    let run = async || {
        let mut taken = connections.take().await?;
        let row = query(sql).fetch_one(taken.connection()).await?;
        taken.keep();
        Ok(row)
    };
    repeated(run).await?.counts()
}

pub(super) async fn has_table(
    connections: &Connections<Postgres>,
    sql: &Sql,
) -> Result<bool, StoreError> {
    let run = async || {
        let mut taken = connections.take().await?;
        let row = query(sql).fetch_one(taken.connection()).await?;
        taken.keep();
        Ok(row)
    };
    Ok(repeated(run).await?.int(0)? != Some(0))
}

pub(super) async fn remove(
    connections: &Connections<Postgres>,
    sql: &Sql,
    limit: i64,
    keep: i64,
) -> Result<Vec<Removed>, StoreError> {
    let run = async || {
        let mut taken = connections.take().await?;
        let query = query(sql).bind(limit).bind(keep);
        let rows = query.fetch_all(taken.connection()).await?;
        taken.keep();
        Ok(rows)
    };
    let rows = repeated(run).await?;
    removed(&rows)
}
