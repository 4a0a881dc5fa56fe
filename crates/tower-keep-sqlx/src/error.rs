//! Errors of the driver as errors of a store.

use sqlx::error::DatabaseError;
use tower_keep_core::{StoreError, StoreErrorKind};

pub(crate) fn corrupt(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

pub(crate) fn unavailable(why: impl Into<String>) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, why.into())
}

/// What a database says that undid a statement, and the transaction around it, because it was in
/// the way of others.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Conflict(String);

/// Whether nothing was done and doing it again may help.
#[cfg(any(feature = "mysql", feature = "postgres"))]
pub(crate) fn is_conflict(error: &StoreError) -> bool {
    let source = std::error::Error::source(error);
    source
        .and_then(<dyn std::error::Error>::downcast_ref::<Conflict>)
        .is_some()
}

/// The number that MySQL and MariaDB give beside the SQLSTATE, which says less.
fn number(database: &dyn DatabaseError) -> Option<u16> {
    #[cfg(feature = "mysql")]
    return database
        .try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>()
        .map(sqlx::mysql::MySqlDatabaseError::number);
    #[cfg(not(feature = "mysql"))]
    {
        let _ = database;
        None
    }
}

/// What may be said of a driver's error. A database's own message is left out where it may quote
/// what is stored.
pub(crate) fn from_driver(error: &sqlx::Error, quotes: fn(&str) -> bool) -> StoreError {
    match error {
        sqlx::Error::PoolClosed => {
            StoreError::new(StoreErrorKind::Closed, "the connection pool was closed")
        }
        sqlx::Error::Database(database) => {
            let code = database.code().unwrap_or_default();
            let is_missing = matches!(&*code, "42P01" | "42S02")
                || database.message().starts_with("no such table");
            let hint = if is_missing {
                " (is the table there? run the store's `migrate`)"
            } else {
                ""
            };
            let number = number(&**database);
            let is_full = match number {
                Some(number) => matches!(number, 1021 | 1114),
                None => matches!(&*code, "53100" | "13"),
            };
            // Either way the statement was undone.
            let kind = if is_full {
                StoreErrorKind::Full
            } else {
                StoreErrorKind::Unavailable
            };
            let number = number.map_or_else(String::new, |number| format!(" {number}"));
            let said = if quotes(&code) {
                String::new()
            } else {
                format!(": {}", database.message())
            };
            let text = format!("the database reports error {code}{number}{said}{hint}");
            if matches!(&*code, "40001" | "40P01") {
                StoreError::new(kind, Conflict(text))
            } else {
                StoreError::new(kind, text)
            }
        }
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => {
            corrupt("a column is of another type than expected")
        }
        other => unavailable(other.to_string()),
    }
}
