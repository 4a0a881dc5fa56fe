//! The statements as SQLite takes them, and how they are run.

use futures_util::StreamExt;
use sqlx::sqlite::SqliteRow;
use sqlx::{Either, Executor, Sqlite, SqliteConnection};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use crate::engine::{Outcome, Removed, Step};
use crate::error::{corrupt, from_driver};
use crate::row::{self, Columns, Left, Listed, Stored, removed};
use crate::statement::{Dialect, OVER, Reads, Sql, Statements, Update, counts};
use crate::table::Table;
use crate::users::Listing;
use crate::value::{Value, instant};

pub(super) struct Text;

impl Dialect for Text {
    const LEAST: &'static str = "min";
    const GREATEST: &'static str = "max";

    fn update(table: &Table, update: &Update) -> String {
        let Update { set, when, reads } = update;
        let columns = match reads {
            Reads::Nothing => "1".to_owned(),
            reads => reads.columns(),
        };
        timed(&format!(
            "UPDATE {table} SET {set} WHERE id = $1 AND {when} RETURNING {columns}"
        ))
    }

    fn insert(table: &Table, columns: &str, values: &str) -> String {
        timed(&format!(
            "INSERT INTO {table} ({columns}) VALUES ({values}) \
             ON CONFLICT (id) DO NOTHING RETURNING {}",
            Reads::Left.columns()
        ))
    }

    fn select(table: &Table, reads: Reads) -> String {
        format!("SELECT {} FROM {table} WHERE id = $1", reads.columns())
    }

    fn list(table: &Table, reads: Reads, which: &str) -> String {
        timed(&format!(
            "SELECT {} FROM {table} WHERE {which}",
            reads.columns()
        ))
    }

    fn count(table: &Table) -> String {
        timed(&format!("SELECT {} FROM {table}", counts()))
    }

    fn has_table(table: &Table) -> String {
        let (schema, name) = (table.prefix(), table.name());
        format!(
            "SELECT COUNT(*) FROM {schema}sqlite_master WHERE type = 'table' AND name = '{name}'"
        )
    }

    /// Says which index to use, and has the other one named by its order: by the statistics of a
    /// table that was analysed when there was little in it, all of it would be looked at.
    fn sweep(table: &Table) -> String {
        let by_id = format!("sqlite_autoindex_{}_1", table.name());
        timed(&format!(
            "DELETE FROM {table} INDEXED BY {by_id} WHERE id IN \
             (SELECT id FROM {table} WHERE {OVER} ORDER BY bucket LIMIT $1) \
             RETURNING id, gone_at IS NOT NULL"
        ))
    }
}

/// The time is one more parameter here, after the last.
fn timed(sql: &str) -> String {
    let is_used = |number: &usize| sql.contains(&format!("${number}"));
    let parameters = (1..100).take_while(is_used).count();
    sql.replace("{now}", &format!("${}", parameters + 1))
}

crate::store::impl_driver!(
    Sqlite,
    SqliteRow,
    id: Vec<u8>,
    |id: SessionId| id.as_bytes().to_vec(),
    |id: Vec<u8>| <[u8; 16]>::try_from(id).map_err(|_| corrupt("its id has another length"))
);

/// SQLite's messages name tables and columns, never what is in them.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` passes")]
pub(super) fn driver_error(error: sqlx::Error) -> StoreError {
    let told = from_driver(&error, |_| false);
    if !is_io(&error) {
        return told;
    }
    let text = std::error::Error::source(&told).map(ToString::to_string);
    StoreError::new(told.kind(), DiskFailed(text.unwrap_or_default()))
}

/// The system could not read or write the file (`SQLITE_IOERR`, whatever it was about).
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct DiskFailed(String);

fn is_io(error: &sqlx::Error) -> bool {
    /// The low byte of a result code is its kind.
    const IOERR: u32 = 10;
    let code = error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code);
    let code = code.and_then(|code| code.parse::<u32>().ok());
    code.is_some_and(|code| code & 0xff == IOERR)
}

/// Whether the system could not read or write the file.
pub(super) fn disk_failed(error: &StoreError) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<DiskFailed>)
}

/// Reads the rows `$1` to `$COUNT`. Each is looked for by itself: where statistics say that there are
/// few rows, maybe those of long ago, `IN` looks at all there are.
pub(super) fn several(table: &Table, count: usize) -> String {
    let columns = Reads::Whole.columns();
    let one = |id| format!("SELECT {columns} FROM {table} WHERE id = ${id}");
    let all: Vec<_> = (1..=count).map(one).collect();
    all.join(" UNION ALL ")
}

/// Reads the rows of these sessions, in any order. Where there is no session the text asks for none.
pub(super) async fn rows(
    connection: &mut SqliteConnection,
    sql: &Sql,
    ids: impl Iterator<Item = Option<SessionId>>,
) -> Result<Vec<SqliteRow>, StoreError> {
    let ids: Vec<_> = ids
        .map(|id| id.map_or(Value::Int(None), Value::Id))
        .collect();
    let query = ids.iter().fold(query(sql), bind);
    query.fetch_all(connection).await.map_err(driver_error)
}

/// Reads a record as it is.
pub(super) async fn read<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    sql: &Sql,
    id: SessionId,
) -> Result<Option<Stored>, StoreError> {
    let id = Value::Id(id);
    let rows = bind(query(sql), &id)
        .fetch_all(connection)
        .await
        .map_err(driver_error)?;
    rows.first().map(|row| Stored::read(row, 0)).transpose()
}

/// Reads live sessions.
pub(super) async fn list<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    listing: Listing,
    now: Timestamp,
) -> Result<Vec<Listed>, StoreError> {
    let now = Value::Int(Some(instant(now)));
    let query = listing.values.iter().fold(query(&listing.sql), bind);
    let query = bind(query, &now);
    let rows = query.fetch_all(connection).await.map_err(driver_error)?;
    Ok(row::each(&rows, 0))
}

/// Runs a step, and reads the row if it does not match. Rows are always fetched to the end: a
/// statement that returns rows keeps the write lock until then.
pub(super) async fn step(
    connection: &mut SqliteConnection,
    statements: &Statements,
    step: &Step,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let (id, time) = (Value::Id(step.id), Value::Int(Some(instant(now))));
    let query = bind(query(&step.sql), &id);
    let query = bind(step.values.iter().fold(query, bind), &time);
    let rows = query.fetch_all(&mut *connection).await;
    let rows = rows.map_err(driver_error)?;
    outcome(connection, statements, step, rows.first(), now).await
}

/// Runs the same statement for each of several sessions, as one text of so many copies of it.
/// Tells for each copy what it returned; those that are left over are for a row that no table has.
///
/// The driver hands a text to a thread of its own and waits for it: that takes longer than the
/// statement itself.
pub(super) async fn each(
    connection: &mut SqliteConnection,
    text: &Sql,
    copies: usize,
    steps: &[&Step],
    now: Timestamp,
) -> Result<Vec<Option<SqliteRow>>, StoreError> {
    let ids: Vec<_> = steps.iter().map(|step| Value::Id(step.id)).collect();
    let (time, null) = (Value::Int(Some(instant(now))), Value::Int(None));
    let mut query = query(text);
    for (step, id) in steps.iter().zip(&ids) {
        query = bind(step.values.iter().fold(bind(query, id), bind), &time);
    }
    let parameters = steps.first().map_or(0, |step| step.values.len() + 2);
    for _ in 0..copies.saturating_sub(steps.len()) * parameters {
        query = bind(query, &null);
    }
    let mut results = connection.fetch_many(query);
    let (mut returned, mut first) = (Vec::with_capacity(steps.len()), None);
    while let Some(result) = results.next().await {
        match result.map_err(driver_error)? {
            Either::Right(row) => first = first.or(Some(row)),
            // The end of one statement.
            Either::Left(_) => returned.push(first.take()),
        }
    }
    Ok(returned)
}

/// What became of a step by what it returned, if that was anything.
pub(super) async fn outcome(
    connection: &mut SqliteConnection,
    statements: &Statements,
    step: &Step,
    returned: Option<&SqliteRow>,
    now: Timestamp,
) -> Result<Outcome, StoreError> {
    let Some(returned) = returned else {
        let row = match step.reads {
            Reads::Nothing => None,
            Reads::Whole => read(connection, &statements.look, step.id).await?,
            Reads::Head | Reads::Left => read(connection, &statements.peek, step.id).await?,
        };
        return Ok(Outcome::unmatched(row, now));
    };
    let (left, row) = match step.reads {
        Reads::Nothing => (None, None),
        Reads::Left => (Some(Left::read(returned, 0)?), None),
        Reads::Whole | Reads::Head => (None, Some(Stored::read(returned, 0)?)),
    };
    Ok(Outcome {
        applied: true,
        now,
        row,
        left,
    })
}

pub(super) async fn has_table<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    sql: &Sql,
) -> Result<bool, StoreError> {
    let rows = query(sql).fetch_all(connection).await;
    let rows = rows.map_err(driver_error)?;
    let count = rows.first().map_or(Ok(None), |row| row.int(0));
    Ok(count? != Some(0))
}

pub(super) async fn count<'c>(
    connection: impl Executor<'c, Database = Sqlite>,
    sql: &Sql,
    now: Timestamp,
) -> Result<[i64; 4], StoreError> {
    let query = query(sql).bind(instant(now));
    let rows = query.fetch_all(connection).await.map_err(driver_error)?;
    rows.first().map_or(Ok([0; 4]), Columns::counts)
}

/// Removes what is over; tells for each whether it was a tombstone.
pub(super) async fn remove(
    connection: &mut SqliteConnection,
    sql: &Sql,
    limit: i64,
    keep: i64,
    now: Timestamp,
) -> Result<Vec<Removed>, StoreError> {
    let query = query(sql).bind(limit).bind(keep).bind(instant(now));
    let rows = query.fetch_all(connection).await.map_err(driver_error)?;
    removed(&rows)
}

#[cfg(test)]
mod tests {
    use sqlx::{Connection, Row};

    use super::*;

    const SCHEMA: &str = include_str!("schema.sql");
    const BY_ID: &str = "SEARCH keep_sessions USING INDEX sqlite_autoindex_keep_sessions_1";

    async fn query_plan(connection: &mut SqliteConnection, sql: &Sql) -> Vec<String> {
        let explain: Sql = format!("EXPLAIN QUERY PLAN {sql}").into();
        let plan = query(&explain).fetch_all(connection).await.unwrap();
        plan.iter().map(|step| step.get("detail")).collect()
    }

    async fn analyzed_with_one_row() -> (SqliteConnection, Table) {
        let table = Table::default();
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let schema = table.script(SCHEMA);
        let filled = "INSERT INTO keep_sessions (id, version, generation, revision, created_at, \
             last_seen, idle_limit, absolute_limit, idle_deadline, absolute_deadline, flags, codec, \
             data) VALUES (x'00', 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, '')";
        // As `ANALYZE` leaves them behind where there was one row.
        let analyzed = "ANALYZE; UPDATE sqlite_stat1 SET stat = '1 1'; ANALYZE sqlite_schema";
        run(&mut connection, &[&schema, filled, analyzed]).await;
        (connection, table)
    }

    async fn run(connection: &mut SqliteConnection, scripts: &[&str]) {
        for script in scripts {
            let script = sqlx::raw_sql(sqlx::AssertSqlSafe((*script).to_owned()));
            script.execute(&mut *connection).await.unwrap();
        }
    }

    /// The order of a list comes from the index as well.
    #[tokio::test]
    async fn every_statement_goes_by_an_index_whatever_statistics_say() {
        let (mut connection, table) = analyzed_with_one_row().await;
        let all = Statements::new::<Text>(&table);
        let by_id = format!("{BY_ID} (id=?)");
        let by_user = "SEARCH keep_sessions USING INDEX keep_sessions_user (user_id=? AND id<?)";
        let behind = format!("{BY_ID} (id>?)");
        for (sql, expected) in [
            (&all.list, by_user),
            (&all.list_whole, by_user),
            (&all.walk, &behind),
        ] {
            assert_eq!(query_plan(&mut connection, sql).await, [expected], "{sql}");
        }
        for sql in [
            &all.look,
            &all.peek,
            &all.revoke,
            &all.lease,
            &all.touch,
            &all.release,
            &all.put,
            &all.save,
            &all.merge,
            &all.bury,
            &all.renew,
            &all.destroy,
            &all.replace,
        ] {
            assert_eq!(query_plan(&mut connection, sql).await, [&*by_id], "{sql}");
        }
        let sweep = query_plan(&mut connection, &all.sweep).await;
        for search in [
            "SEARCH keep_sessions USING COVERING INDEX sqlite_autoindex_keep_sessions_1 (id=?)",
            "SEARCH keep_sessions USING INDEX keep_sessions_bucket (bucket<?)",
        ] {
            assert!(sweep.iter().any(|step| step == search), "{sweep:?}");
        }
        let round = query_plan(&mut connection, &several(&table, 16).into()).await;
        assert_eq!(
            round.iter().filter(|step| **step == by_id).count(),
            16,
            "{round:?}"
        );
        for step in sweep.iter().chain(&round) {
            assert!(!step.starts_with("SCAN"), "{step}");
        }
    }

    /// An index that is named and not there would be an error.
    #[tokio::test]
    async fn a_sweep_names_the_indexes_of_its_own_table() {
        let mut connection = SqliteConnection::connect("sqlite::memory:").await.unwrap();
        let table = Table::default().named("others").unwrap();
        let table = table.in_schema("aside").unwrap();
        let schema = table.script(SCHEMA);
        run(&mut connection, &["ATTACH ':memory:' AS aside", &schema]).await;
        let all = Statements::new::<Text>(&table);
        let plan = query_plan(&mut connection, &all.sweep).await;
        let by_id = "SEARCH aside.others USING COVERING INDEX sqlite_autoindex_others_1 (id=?)";
        assert!(plan.iter().any(|step| step == by_id), "{plan:?}");
    }
}
