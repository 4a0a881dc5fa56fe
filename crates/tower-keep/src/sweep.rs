//! Freeing the room of sessions that are over.

use std::time::Duration;

use tokio::time::sleep;
use tower_keep_core::{CommitId, SessionStore, Sweep};
use tracing::{debug, warn};

/// Removes expired sessions for ever: a round about `every` so long, in batches, so that no
/// request waits for it. An error ends the round, not the sweeping. Spawn it where the server is
/// started, and abort it (or let the runtime end) when that stops.
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
    loop {
        // Several processes on one store should not all sweep at the same moment.
        #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
        let random = CommitId::unique().to_u128() as u32 % 256;
        sleep(every * (896 + random) / 1024).await;
        loop {
            match store.sweep(Sweep::default()).await {
                Ok(swept) => {
                    debug!(
                        expired = swept.expired,
                        tombstones = swept.tombstones,
                        "swept"
                    );
                    if !swept.more {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                Err(error) => {
                    warn!(%error, "expired sessions could not be swept");
                    break;
                }
            }
        }
    }
}
