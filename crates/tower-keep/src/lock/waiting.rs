//! Waiting for a session that another process holds.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::sleep;
use tower_keep_core::{CommitId, SessionId, SessionStore};

use super::keeper::Keeper;

/// Who waits for another process pauses at most so many times the configured poll, give or take a
/// quarter.
const LONGEST_PAUSE: u32 = 8;

type Released = Pin<Box<dyn Future<Output = ()> + Send>>;

/// How a refused actor waits for its turn among processes.
#[derive(Default)]
pub(super) struct Waiting {
    pub(super) refused: bool,
    pub(super) left: Duration,
    pause: Duration,
    released: Option<Released>,
}

impl Waiting {
    /// Registers for wake-ups before the store is asked again, so that none is missed.
    pub(super) fn listen(&mut self, keeper: &Keeper, id: SessionId) {
        if self.released.is_none() && keeper.store.wakeups().is_some() {
            let store = keeper.store.clone();
            let mut released: Released = Box::pin(async move {
                match store.wakeups() {
                    Some(wakeups) => wakeups.released(id).await,
                    None => std::future::pending().await,
                }
            });
            // The first poll registers; what it says is asked again below.
            let mut cx = Context::from_waker(Waker::noop());
            if released.as_mut().poll(&mut cx).is_pending() {
                self.released = Some(released);
            }
        }
    }

    /// Waits for a wake-up, the end of the lease, or the next poll.
    pub(super) async fn pause(&mut self, keeper: &Keeper) {
        if !self.refused {
            self.refused = true;
            if keeper.store.wakeups().is_some() {
                // Ask once more, now listening.
                return;
            }
        }
        let shortest = keeper.config.poll;
        self.pause = (self.pause * 2).clamp(shortest, shortest * LONGEST_PAUSE);
        // A millisecond over, because the store counts in whole ones.
        let left = self.left + Duration::from_millis(1);
        let timer = sleep(jittered(self.pause).min(left.max(shortest)));
        match self.released.take() {
            None => timer.await,
            Some(mut released) => tokio::select! {
                // Whichever it is, the store is asked next. In this order it can be done again.
                biased;
                () = &mut released => {}
                () = timer => self.released = Some(released),
            },
        }
    }
}

/// How long others get to take the lease: whoever is woken asks at once, and whoever is not asks
/// within its longest pause.
pub(super) fn courtesy(keeper: &Keeper) -> Duration {
    let pauses = match keeper.store.wakeups() {
        Some(_) => 2,
        None => LONGEST_PAUSE + LONGEST_PAUSE / 2,
    };
    (keeper.config.poll * pauses).max(Duration::from_millis(20))
}

/// `span`, give or take a quarter, so that those who wait do not ask in step.
pub(crate) fn jittered(span: Duration) -> Duration {
    span * (768 + random() % 512) / 1024
}

fn random() -> u32 {
    // A simulation does the same again if it is given the same seed.
    #[cfg(test)]
    if let Some(number) = super::model::chance() {
        return number;
    }
    #[expect(clippy::cast_possible_truncation, reason = "any bits will do")]
    let random = CommitId::unique().to_u128() as u32;
    random
}
