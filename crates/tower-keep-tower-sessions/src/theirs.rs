//! What the bridge needs of a store of theirs, whichever version of the contract it was written
//! for.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;

use serde_json::Value;
use time::OffsetDateTime;

use crate::error::BridgeError;

/// A record as their contract has it; the same in every version.
pub struct Row {
    pub id: i128,
    pub data: HashMap<String, Value>,
    pub expiry_date: OffsetDateTime,
}

impl fmt::Debug for Row {
    // The data are a session's.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("expiry_date", &self.expiry_date)
            .finish_non_exhaustive()
    }
}

/// Their contract. Sealed: the module is private.
pub trait Theirs: Send + Sync + 'static {
    /// The record, unless it is over or was never there.
    fn load(&self, id: i128) -> impl Future<Output = Result<Option<Row>, BridgeError>> + Send;

    /// Writes a new record and tells its id: where the one asked for was taken, theirs choose
    /// another.
    fn create(&self, row: Row) -> impl Future<Output = Result<i128, BridgeError>> + Send;

    /// Writes a record over another. Many do so also where there is none.
    fn save(&self, row: Row) -> impl Future<Output = Result<(), BridgeError>> + Send;

    /// Removes the record.
    fn delete(&self, id: i128) -> impl Future<Output = Result<(), BridgeError>> + Send;

    /// Removes all that is over, if the store can and was asked to.
    fn delete_expired(&self) -> impl Future<Output = Result<(), BridgeError>> + Send;
}
