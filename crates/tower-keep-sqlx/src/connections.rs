//! The connections of a store.
//!
//! The driver's pool asks a connection that is given back whether it is still in order, which is a
//! round trip for each statement, to a server or to the thread of SQLite. In a pool of the store's
//! own, a connection whose statement ended well is therefore not given back but kept at hand for
//! the next statement, for about a second.
//!
//! # Invariants
//! 1. Who has a connection has a permit, and there is a permit for each connection of the pool. So
//!    whoever has a permit and finds none at hand gets one from the pool: those at hand and those
//!    of all other permits are fewer than the pool has.
//! 2. At hand is only what ended its last statement well. Whatever else becomes of a statement (an
//!    error, nobody who waits for it any more), its connection goes back to the pool, which tests it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::{Database, Pool};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

/// A connection that was idle for longer is asked whether it is still there before it is used.
pub(crate) const TRUSTED_FOR: Duration = Duration::from_secs(1);

/// After so long a connection goes back even if it is in use all the time: how old one may become
/// is the pool's to say.
const KEPT_FOR: Duration = Duration::from_mins(1);

/// See the [module documentation](self). Clones are the same.
pub(crate) struct Connections<D: Database> {
    pool: Pool<D>,
    /// Only with a pool of the store's own: from another's, nothing is withheld.
    kept: Option<Arc<Kept<D>>>,
}

struct Kept<D: Database> {
    permits: Arc<Semaphore>,
    /// The one used last at the end.
    at_hand: Mutex<Vec<AtHand<D>>>,
}

struct AtHand<D: Database> {
    connection: PoolConnection<D>,
    taken: Instant,
    used: Instant,
}

/// A connection, until this is dropped.
pub(crate) struct Taken<D: Database> {
    connection: PoolConnection<D>,
    /// Where it is kept, since when it is out of the pool, and the right to have it.
    place: Option<(Arc<Kept<D>>, Instant, OwnedSemaphorePermit)>,
}

impl<D: Database> Connections<D> {
    /// Those of a pool that others may use as well.
    pub(crate) const fn of(pool: Pool<D>) -> Self {
        Self { pool, kept: None }
    }

    /// Those of a pool that nobody else uses.
    pub(crate) fn own(pool: Pool<D>) -> Self {
        if pool.options().get_min_connections() > 0 {
            // It cares for those that are in it, and so may not be without them.
            return Self::of(pool);
        }
        let count = pool.options().get_max_connections();
        let permits = usize::try_from(count).map_or(Semaphore::MAX_PERMITS, |count| {
            count.min(Semaphore::MAX_PERMITS)
        });
        let kept = Some(Arc::new(Kept {
            permits: Arc::new(Semaphore::new(permits)),
            at_hand: Mutex::default(),
        }));
        Self { pool, kept }
    }

    #[cfg(any(feature = "postgres", feature = "sqlite"))]
    pub(crate) const fn pool(&self) -> &Pool<D> {
        &self.pool
    }

    /// A connection, as soon as there is one.
    ///
    /// # Errors
    /// As the pool's.
    pub(crate) async fn take(&self) -> Result<Taken<D>, sqlx::Error> {
        let Some(kept) = &self.kept else {
            let connection = self.pool.acquire().await?;
            let place = None;
            return Ok(Taken { connection, place });
        };
        let taking = async {
            let permit = kept.permits.clone().acquire_owned().await;
            let permit = permit.map_err(|_| sqlx::Error::PoolClosed)?;
            let (connection, taken) = match kept.last() {
                Some(last) => (last.connection, last.taken),
                None => (self.pool.acquire().await?, Instant::now()),
            };
            Ok(Taken {
                connection,
                place: Some((kept.clone(), taken, permit)),
            })
        };
        // What the pool is willing to wait is for both, the permit and the connection.
        let patience = self.pool.options().get_acquire_timeout();
        let taken = timeout(patience, taking).await;
        taken.unwrap_or(Err(sqlx::Error::PoolTimedOut))
    }
}

impl<D: Database> Kept<D> {
    fn at_hand(&self) -> MutexGuard<'_, Vec<AtHand<D>>> {
        self.at_hand.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last. If even that was long ago, all go back to be tested.
    fn last(&self) -> Option<AtHand<D>> {
        let old = {
            let mut at_hand = self.at_hand();
            let last = at_hand.pop()?;
            if last.used.elapsed() <= TRUSTED_FOR {
                return Some(last);
            }
            at_hand.push(last);
            std::mem::take(&mut *at_hand)
        };
        drop(old);
        None
    }
}

impl<D: Database> Taken<D> {
    pub(crate) fn connection(&mut self) -> &mut D::Connection {
        &mut self.connection
    }

    /// Its statement ended well.
    pub(crate) fn keep(self) {
        let Self { connection, place } = self;
        let Some((kept, taken, permit)) = place else {
            return;
        };
        let used = Instant::now();
        if used.duration_since(taken) < KEPT_FOR {
            kept.at_hand().push(AtHand {
                connection,
                taken,
                used,
            });
        }
        // The permit goes when the connection is there for the next one.
        drop(permit);
    }

    /// Something is left on it that nobody else may get: it is closed when this is dropped.
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) fn close_on_drop(&mut self) {
        self.connection.close_on_drop();
    }
}

impl<D: Database> Drop for Kept<D> {
    fn drop(&mut self) {
        if Handle::try_current().is_ok() {
            return;
        }
        // Without a runtime there is nobody to give them back, and the driver would panic.
        for at_hand in std::mem::take(&mut *self.at_hand()) {
            drop(at_hand.connection.detach());
        }
    }
}

impl<D: Database> Clone for Connections<D> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            kept: self.kept.clone(),
        }
    }
}

impl<D: Database> fmt::Debug for Connections<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pool.fmt(f)
    }
}
