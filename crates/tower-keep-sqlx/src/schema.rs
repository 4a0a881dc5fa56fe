//! Which schema a database has.

use tower_keep_core::StoreError;

use crate::engine::Engine;

/// The version of the schema that the stores' `migrate` brings a database to: 1, the only one so
/// far. A database without the table has version 0.
pub const SCHEMA_VERSION: u32 = 1;

/// The version of a database's schema.
pub(crate) async fn version<E: Engine>(engine: &E) -> Result<u32, StoreError> {
    // There was no other version yet, so whether the table is there tells which it is.
    let version = if engine.has_table().await? {
        SCHEMA_VERSION
    } else {
        0
    };
    Ok(version)
}
