//! Freeing the room of sessions that are over.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::sleep;
use tower_keep_core::{CommitId, SessionStore, StoreError, Sweep, Swept};
use tracing::{debug, warn};

use crate::lock::call;
use crate::observe::Observer;
use crate::sessions::Sessions;
use crate::shared::Shared;

/// Removes expired sessions for ever: a round about `every` so long, in batches, so that no
/// request waits for it. An error ends the round, not the sweeping. Spawn it where the server is
/// started, and abort it (or let the runtime end) when that stops.
///
/// It works without a layer. Where there is one, [`Sessions::sweep_every`] also tells those who
/// listen which sessions have expired.
///
/// ```no_run
/// # use std::time::Duration;
/// # use tower_keep::{MemoryStore, sweep_every};
/// # async fn start() {
/// let store = MemoryStore::new();
/// let sweeper = tokio::spawn(sweep_every(store.clone(), Duration::from_secs(60)));
/// # sweeper.abort();
/// # }
/// ```
pub async fn sweep_every(store: impl SessionStore, every: Duration) {
    let observer = Observer::new(store.name());
    loop {
        until_next(every).await;
        let more = |swept: Swept| swept.more;
        while batch(observer, store.sweep(Sweep::default()))
            .await
            .is_some_and(more)
        {
            tokio::task::yield_now().await;
        }
    }
}

impl Sessions {
    /// As [`sweep_every`], for the store of this layer, which hears of what has expired
    /// ([`SessionLayer::events`](crate::SessionLayer::events)) and keeps its tombstones for
    /// [`max_request_age`](crate::SessionLayerBuilder::max_request_age).
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # use tower_keep::{MemoryStore, SessionLayer};
    /// # async fn start() {
    /// let layer = SessionLayer::new(MemoryStore::new());
    /// let sessions = layer.sessions();
    /// let sweeper = tokio::spawn(async move { sessions.sweep_every(Duration::from_secs(60)).await });
    /// # sweeper.abort();
    /// # }
    /// ```
    pub async fn sweep_every(&self, every: Duration) {
        loop {
            until_next(every).await;
            while self.shared.sweep().await {
                tokio::task::yield_now().await;
            }
            #[cfg(feature = "temp")]
            if let Err(error) = self.sweep_temp().await {
                warn!(%error, "temporary files could not be swept");
            }
        }
    }
}

/// Several processes on one store should not all sweep at the same moment.
async fn until_next(every: Duration) {
    sleep(every * (896 + random() % 256) / 1024).await;
}

/// Sweeps a batch; an error is logged.
async fn batch(
    observer: Observer,
    sweep: impl Future<Output = Result<Swept, StoreError>>,
) -> Option<Swept> {
    let swept = sweep.await;
    observer.swept(swept.as_ref());
    match swept {
        Ok(swept) => {
            debug!(
                expired = swept.expired.len(),
                tombstones = swept.tombstones,
                "swept"
            );
            Some(swept)
        }
        Err(error) => {
            warn!(%error, "expired sessions could not be swept");
            None
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
fn random() -> u32 {
    CommitId::unique().to_u128() as u32
}

/// Sweeping by chance, for programs that have no place for [`sweep_every`]: some of the requests
/// that commit a session start a sweep of at most a thousand records.
///
/// It is off unless given to
/// [`SessionLayerBuilder::lottery`](crate::SessionLayerBuilder::lottery). No request waits for the
/// sweep, and none fails with it: it runs in a task of its own, never two at once, for at most
/// [`LockConfig::store_timeout`](crate::LockConfig::store_timeout), and
/// [`SessionLayer::shutdown`](crate::SessionLayer::shutdown) waits for it. While nobody commits
/// anything, nothing is swept.
///
/// ```
/// use tower_keep::{Lottery, MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::builder(MemoryStore::new())
///     .lottery(Lottery::default()) // 2 of 100
///     .build()?;
/// # Ok::<(), tower_keep::LayerConfigError>(())
/// ```
#[derive(Clone)]
pub struct Lottery {
    wins: u32,
    of: u32,
    random: Arc<dyn Fn() -> u32 + Send + Sync>,
    /// Taken while a sweep is under way.
    turn: Arc<Mutex<()>>,
}

impl Default for Lottery {
    /// 2 of 100.
    fn default() -> Self {
        Self::new(2, 100)
    }
}

impl Lottery {
    /// On average `wins` of so many commits start a sweep; all of them do if `wins` is as large as
    /// `of`, or `of` is zero.
    pub fn new(wins: u32, of: u32) -> Self {
        Self {
            wins,
            of,
            random: Arc::new(random),
            turn: Arc::default(),
        }
    }

    /// Other random numbers, for tests: a commit wins if its number, modulo `of`, is below `wins`.
    #[must_use]
    pub fn random(mut self, random: impl Fn() -> u32 + Send + Sync + 'static) -> Self {
        self.random = Arc::new(random);
        self
    }
}

impl fmt::Debug for Lottery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lottery({} of {})", self.wins, self.of)
    }
}

impl Shared {
    /// Sweeps a batch, and tells whether there is another one.
    async fn sweep(&self) -> bool {
        let sweep = async { self.store.sweep(self.sweeping()).await };
        match batch(self.observer, sweep).await {
            Some(swept) => {
                self.events.swept(&swept.expired);
                swept.more
            }
            None => false,
        }
    }

    /// Requests may be as old as the layer lets them.
    fn sweeping(&self) -> Sweep {
        let mut sweep = Sweep::default();
        sweep.keep_tombstones = sweep.keep_tombstones.max(self.max_request_age);
        sweep
    }

    /// Sweeps if this commit wins.
    pub(crate) fn draw(&self) {
        let Some(lottery) = &self.lottery else {
            return;
        };
        let number = (lottery.random)();
        if number
            .checked_rem(lottery.of)
            .is_some_and(|n| n >= lottery.wins)
        {
            return;
        }
        let Ok(turn) = lottery.turn.clone().try_lock_owned() else {
            return;
        };
        let (store, limit) = (self.store.clone(), self.locks.store_timeout);
        let (sweep, events) = (self.sweeping(), self.events.clone());
        let observer = self.observer;
        // Refused without a runtime and during a shutdown: then there will be other winners.
        let _ = self.tasks.spawn(async move {
            if let Some(swept) = batch(observer, call(limit, store.sweep(sweep))).await {
                events.swept(&swept.expired);
            }
            drop(turn);
        });
    }
}
