//! The statements as MySQL and MariaDB take them, and how they are run.
//!
//! These engines have no `UPDATE … RETURNING`, and their drivers send one prepared statement at a
//! time. So a step is sent as one text of three statements: take the time, write, read. Each is
//! atomic by itself and none opens a transaction, so that whatever fails, and whenever the caller
//! goes away, no lock stays behind. That the row may have changed between the second and the
//! third is seen from the row itself. Only what `users` does is several steps in a transaction.

use std::fmt::Write as _;

use sqlx::error::DatabaseError;
use sqlx::mysql::MySqlRow;
use sqlx::{AssertSqlSafe, MySql, MySqlConnection, Row};
use tower_keep_core::{SessionId, StoreError, Timestamp};

use crate::connections::Connections;
use crate::engine::{Outcome, Removed, Step};
use crate::error::{corrupt, from_driver, unavailable};
use crate::row::{Columns, Left, Stored, removed};
use crate::statement::{Dialect, OVER, Reads, Sql, Statements, Update, counts};
use crate::table::Table;
use crate::transaction::{Held, retried};
use crate::value::Value;

pub(super) struct Text;

/// The time of the step, for its later statements.
const CLOCK: &str = "SET @keep_now = CAST(UNIX_TIMESTAMP(SYSDATE(3)) * 1000 AS SIGNED)";

/// Two steps were in each other's way and this one was undone.
const DEADLOCK: &str = "1213";

/// A step that is undone so often will not come through.
const TRIES: u32 = 5;

impl Dialect for Text {
    const LEAST: &'static str = "LEAST";
    const GREATEST: &'static str = "GREATEST";

    fn update(table: &Table, update: &Update) -> String {
        let Update {
            set, when, reads, ..
        } = update;
        written(
            table,
            &format!("UPDATE {table} SET {set} WHERE id = $1 AND {when}"),
            *reads,
        )
    }

    fn insert(table: &Table, columns: &str, values: &str) -> String {
        let insert = format!("INSERT INTO {table} ({columns}) VALUES ({values})");
        written(table, &insert, Reads::Left)
    }

    fn select(table: &Table, reads: Reads) -> String {
        format!("{CLOCK}; {}", selected(table, reads))
    }

    fn list(table: &Table, reads: Reads, which: &str) -> String {
        let columns = columns(reads);
        let sql =
            format!("{CLOCK}; SELECT TRUE, @keep_now, TRUE, {columns} FROM {table} WHERE {which}");
        sql.replace("{now}", "@keep_now")
    }

    fn count(table: &Table) -> String {
        let sql = format!("{CLOCK}; SELECT {} FROM {table}", counts());
        sql.replace("{now}", "@keep_now")
    }

    fn has_table(table: &Table) -> String {
        let schema = match table.schema() {
            Some(schema) => format!("'{schema}'"),
            None => "DATABASE()".to_owned(),
        };
        let name = table.name();
        format!(
            "SELECT COUNT(*) FROM information_schema.tables \
             WHERE table_schema = {schema} AND table_name = '{name}'"
        )
    }

    fn sweep(table: &Table) -> String {
        let sql = format!("{CLOCK}; SELECT id FROM {table} WHERE {OVER} LIMIT $1");
        sql.replace("{now}", "@keep_now")
    }
}

fn written(table: &Table, write: &str, reads: Reads) -> String {
    let read = match reads {
        Reads::Nothing => "SELECT ROW_COUNT() > 0, @keep_now".to_owned(),
        reads => selected(table, reads),
    };
    format!("{CLOCK}; {write}; {read}").replace("{now}", "@keep_now")
}

/// One row in any case, which also tells how many the statement before it wrote.
fn selected(table: &Table, reads: Reads) -> String {
    let columns = columns(reads);
    format!(
        "SELECT ROW_COUNT() > 0, @keep_now, id IS NOT NULL, {columns} \
         FROM (SELECT 1) AS one LEFT JOIN {table} ON id = $1"
    )
}

fn columns(reads: Reads) -> String {
    // One statement reads, whether the one before it matched or not.
    let reads = match reads {
        Reads::Left => Reads::Head,
        reads => reads,
    };
    reads
        .columns()
        .replace("CAST(NULL AS TEXT)", "CAST(NULL AS CHAR)")
}

/// Opens a transaction and locks those of the rows `ids` that are (still) over.
fn lock(table: &Table, ids: &str) -> String {
    let over = OVER
        .replace("{least}", Text::LEAST)
        .replace("{now}", "@keep_now");
    format!(
        "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; START TRANSACTION; {CLOCK}; \
         SELECT id, gone_at IS NOT NULL FROM {table} WHERE id IN ({ids}) AND {over} FOR UPDATE"
    )
}

/// The ids as literals of a list.
fn list_of<'a>(ids: impl Iterator<Item = &'a [u8; 16]>) -> String {
    let ids: Vec<_> = ids
        .map(|id| format!("x'{:032x}'", u128::from_be_bytes(*id)))
        .collect();
    ids.join(",")
}

impl Columns for MySqlRow {
    fn id(&self, at: usize) -> Result<[u8; 16], StoreError> {
        let id: Vec<u8> = self.try_get(at).map_err(driver_error)?;
        <[u8; 16]>::try_from(id).map_err(|_| corrupt("its id has another length"))
    }

    fn int(&self, at: usize) -> Result<Option<i64>, StoreError> {
        self.try_get(at).map_err(driver_error)
    }

    fn bytes(&self, at: usize) -> Result<Option<Vec<u8>>, StoreError> {
        self.try_get(at).map_err(driver_error)
    }

    fn text(&self, at: usize) -> Result<Option<String>, StoreError> {
        // A user is kept in bytes, which the driver's check would refuse.
        self.try_get_unchecked(at).map_err(driver_error)
    }
}

/// Messages quote values, so only the connection's own errors and what is missing are shown.
#[expect(clippy::needless_pass_by_value, reason = "what `map_err` passes")]
pub(super) fn driver_error(error: sqlx::Error) -> StoreError {
    from_driver(&error, |code| !matches!(code, "42S02" | "42000" | "28000"))
}

/// Writes a value where the text has its parameter: bytes and texts in hexadecimal, so that
/// nothing in them can end a literal, whatever the server's modes are.
fn literal(text: &mut String, value: &Value) {
    let mut hex = |prefix: &str, bytes: &[u8]| {
        text.push_str(prefix);
        text.push_str("x'");
        for byte in bytes {
            // Writing to a string cannot fail.
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\'');
    };
    match value {
        Value::Id(id) => hex("", id.as_bytes()),
        Value::Bytes(Some(bytes)) => hex("", bytes),
        Value::Text(Some(value)) => hex("_utf8mb4 ", value.as_bytes()),
        Value::Int(Some(number)) => text.push_str(&number.to_string()),
        Value::Flag(flag) => text.push_str(if *flag { "TRUE" } else { "FALSE" }),
        Value::Bytes(None) | Value::Text(None) | Value::Int(None) => text.push_str("NULL"),
    }
}

/// The text with its parameters `$1`, `$2`, … replaced by values.
pub(super) fn filled(sql: &str, values: &[Value]) -> String {
    let mut parts = sql.split('$');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        let (number, rest) = part.split_at(digits);
        let value = number
            .parse::<usize>()
            .ok()
            .and_then(|n| values.get(n.checked_sub(1)?));
        literal(&mut text, value.unwrap_or(&Value::Int(None)));
        text.push_str(rest);
    }
    text
}

/// Where a text is sent.
pub(super) enum Via<'a> {
    /// On any connection, and again if others were in its way.
    Any(&'a Connections<MySql>),
    /// Of which nothing is left if others were in its way.
    Transaction(&'a mut MySqlConnection),
}

/// Sends the text in one packet and returns the rows of its last statement.
pub(super) async fn send(via: &mut Via<'_>, text: String) -> Result<Vec<MySqlRow>, sqlx::Error> {
    let text: Sql = text.into();
    let mut tries = 1;
    loop {
        let query = sqlx::raw_sql(AssertSqlSafe(text.clone()));
        let result = match via {
            Via::Any(connections) => {
                let mut taken = connections.take().await?;
                let rows = query.fetch_all(taken.connection()).await;
                if rows.is_ok() {
                    taken.keep();
                }
                rows
            }
            Via::Transaction(connection) => return query.fetch_all(&mut **connection).await,
        };
        match result {
            Err(error) if tries < TRIES && has_number(&error, DEADLOCK) => tries += 1,
            result => return result,
        }
    }
}

fn has_number(error: &sqlx::Error, number: &str) -> bool {
    let database = error.as_database_error();
    let error = database.and_then(|e| e.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>());
    error.is_some_and(|error| error.number().to_string() == number)
}

pub(super) async fn read(
    via: &mut Via<'_>,
    sql: &Sql,
    id: SessionId,
) -> Result<(Option<Stored>, Timestamp), StoreError> {
    let rows = send(via, filled(sql, &[Value::Id(id)]))
        .await
        .map_err(driver_error)?;
    let row = last(&rows)?;
    Ok((stored(row)?, now(row)?))
}

pub(super) async fn step(
    via: &mut Via<'_>,
    statements: &Statements,
    step: Step,
) -> Result<Outcome, StoreError> {
    let Step {
        sql,
        id,
        mut values,
        reads,
    } = step;
    values.insert(0, Value::Id(id));
    let rows = match send(via, filled(&sql, &values)).await {
        // The id is taken. Nothing after the INSERT was carried out.
        Err(error)
            if error
                .as_database_error()
                .is_some_and(DatabaseError::is_unique_violation) =>
        {
            let (row, now) = read(via, &statements.peek, id).await?;
            return Ok(Outcome::unmatched(row, now));
        }
        result => result.map_err(driver_error)?,
    };
    let row = last(&rows)?;
    let applied: i64 = row.try_get(0).map_err(driver_error)?;
    let (applied, now) = (applied > 0, now(row)?);
    let row = match reads {
        Reads::Nothing => None,
        Reads::Whole | Reads::Head | Reads::Left => stored(row)?,
    };
    Ok(Outcome {
        applied,
        now,
        left: row.as_ref().map(Left::of),
        row,
    })
}

fn last(rows: &[MySqlRow]) -> Result<&MySqlRow, StoreError> {
    rows.last()
        .ok_or_else(|| unavailable("the database returned no row"))
}

pub(super) fn now(row: &MySqlRow) -> Result<Timestamp, StoreError> {
    let now: i64 = row.try_get(1).map_err(driver_error)?;
    let now = u64::try_from(now).map_err(|_| unavailable("its clock is before 1970"))?;
    Ok(Timestamp::from_millis(now))
}

fn stored(row: &MySqlRow) -> Result<Option<Stored>, StoreError> {
    let found: i64 = row.try_get(2).map_err(driver_error)?;
    (found != 0).then(|| Stored::read(row, 3)).transpose()
}

pub(super) async fn has_table(
    connections: &Connections<MySql>,
    sql: &Sql,
) -> Result<bool, StoreError> {
    let rows = send(&mut Via::Any(connections), sql.to_string()).await;
    let count = rows.map_err(driver_error)?.first().map(|row| row.int(0));
    Ok(count.transpose()?.flatten() != Some(0))
}

pub(super) async fn count(
    connections: &Connections<MySql>,
    sql: &Sql,
) -> Result<[i64; 4], StoreError> {
    let rows = send(&mut Via::Any(connections), sql.to_string()).await;
    let rows = rows.map_err(driver_error)?;
    rows.first().map_or(Ok([0; 4]), Columns::counts)
}

/// Looks for what is over first and then removes it by its keys, so that no more than those rows
/// is locked.
pub(super) async fn remove(
    connections: &Connections<MySql>,
    table: &Table,
    sql: &Sql,
    limit: i64,
    keep: i64,
) -> Result<Vec<Removed>, StoreError> {
    let values = [Value::Int(Some(limit)), Value::Int(Some(keep))];
    let via = &mut Via::Any(connections);
    let rows = send(via, filled(sql, &values))
        .await
        .map_err(driver_error)?;
    let ids: Result<Vec<_>, _> = rows.iter().map(|row| row.id(0)).collect();
    let ids = ids?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let lock = &filled(&lock(table, &list_of(ids.iter())), &values);
    retried(|| remove_locked(connections, table, lock.clone())).await
}

/// Only who has locked a row may say that it removed it: another sweep, or a request that renews
/// the session, may have come between.
async fn remove_locked(
    connections: &Connections<MySql>,
    table: &Table,
    lock: String,
) -> Result<Vec<Removed>, StoreError> {
    let mut held = Held::new(connections.take().await.map_err(driver_error)?);
    let via = &mut Via::Transaction(held.connection());
    let rows = send(via, lock).await.map_err(driver_error)?;
    let ids: Result<Vec<_>, _> = rows.iter().map(|row| row.id(0)).collect();
    let ids = ids?;
    if !ids.is_empty() {
        let delete = format!("DELETE FROM {table} WHERE id IN ({})", list_of(ids.iter()));
        send(via, delete).await.map_err(driver_error)?;
    }
    held.commit().await.map_err(driver_error)?;
    removed(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_can_leave_its_literal() {
        let values = [
            Value::Text(Some("a' OR \\'$2".to_owned())),
            Value::Int(Some(-2)),
            Value::Bytes(None),
            Value::Bytes(Some(vec![0, 0x27, 255])),
            Value::Flag(true),
        ];
        assert_eq!(
            filled("f($1, $2, $3, $4, $5) + $2", &values),
            "f(_utf8mb4 x'6127204f52205c272432', -2, NULL, x'0027ff', TRUE) + -2"
        );
    }
}
