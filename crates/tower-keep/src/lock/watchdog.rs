//! Heartbeats and waiting times, for all lines of a keeper by one task: a timer a session would
//! cost more than the session.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tower_keep_core::SessionStore;
use tracing::debug;

use super::call::call;
use super::keeper::Keeper;
use crate::error::Error;
use crate::sync::atomic::Ordering;

impl Keeper {
    /// Sees to it that the watchdog runs.
    pub(super) fn watch(self: &Arc<Self>) -> Result<(), Error> {
        if self.watching.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let watch = Watch(self.clone());
        let runtime = Handle::try_current().map_err(|_| Error::NoRuntime)?;
        // Not one of the tasks that a shutdown waits for: it ends by itself once all lines have.
        runtime.spawn(async move { while watch.0.round().await || watch.0.resume() {} });
        Ok(())
    }

    /// One round after a pause; tells whether there is any line left to look after.
    async fn round(self: &Arc<Self>) -> bool {
        let lease = self.config.lease;
        let (shortest, longest) = (Duration::from_millis(2), Duration::from_millis(500));
        tokio::time::sleep((lease / 6).clamp(shortest, longest)).await;
        let now = self.clock.monotonic();
        let mut due = Vec::new();
        let any = self.visit(|id, line| {
            line.expire(now);
            due.extend(
                line.renew(now, lease, self.config.hold)
                    .map(|owner| (id, owner)),
            );
        });
        for (id, owner) in due {
            let keeper = self.clone();
            // A renewal that comes too late finds another owner and does nothing, so nobody waits
            // for it, and a shutdown does not stop it: its holder may need it to the end.
            tokio::spawn(async move {
                let verb = async { keeper.store.renew(id, owner, lease).await };
                if let Err(error) = call(keeper.config.store_timeout, verb).await {
                    debug!(session.id = %id, %error, "a lease could not be renewed");
                }
            });
        }
        any
    }

    /// Whether a line came up while the watchdog was about to end, and nobody else watches it.
    fn resume(&self) -> bool {
        self.watching.store(false, Ordering::Release);
        self.visit(|_, _| {}) && !self.watching.swap(true, Ordering::AcqRel)
    }
}

/// Lets another watchdog start when this one is gone, with its runtime for example.
struct Watch(Arc<Keeper>);

impl Drop for Watch {
    fn drop(&mut self) {
        // At its regular end somebody else may watch by now; a second one does no harm.
        self.0.watching.store(false, Ordering::Release);
    }
}
