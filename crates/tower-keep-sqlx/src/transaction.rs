//! Transactions on a server's connection.

use std::future::Future;

use sqlx::{Database, Executor};
use tower_keep_core::StoreError;

use crate::connections::Taken;
use crate::error::is_conflict;

/// A transaction that others were in the way of so often will not come through.
const TRIES: u32 = 5;

/// A connection in a transaction.
///
/// Unless that was committed, the connection is closed and not given back to the pool, whether
/// there was an error or whoever waits went away: so the server undoes all of it, and nobody else
/// gets a connection with a transaction open.
pub(crate) struct Held<D: Database> {
    connection: Taken<D>,
    committed: bool,
}

impl<D: Database> Held<D>
where
    for<'c> &'c mut D::Connection: Executor<'c, Database = D>,
{
    pub(crate) fn new(connection: Taken<D>) -> Self {
        Self {
            connection,
            committed: false,
        }
    }

    pub(crate) fn connection(&mut self) -> &mut D::Connection {
        self.connection.connection()
    }

    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        self.connection().execute("COMMIT").await?;
        self.committed = true;
        Ok(())
    }
}

impl<D: Database> Drop for Held<D> {
    fn drop(&mut self) {
        if !self.committed {
            self.connection.close_on_drop();
        }
    }
}

/// Does it again if the database undid it.
pub(crate) async fn retried<T, F>(run: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    for _ in 1..TRIES {
        match run().await {
            Err(error) if is_conflict(&error) => {}
            result => return result,
        }
    }
    run().await
}
