//! A commit before the end of its request.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

use super::commit::{Outcome, Saved, save};
use super::{Slot, State};
use crate::error::Error;
use crate::sync::atomic::{AtomicBool, Ordering};

type Saving = Pin<Box<dyn Future<Output = Result<Saved, Error>> + Send>>;

/// The early commit while it is under way.
///
/// It lives here and not in the future of whoever asked for it: should that be dropped (by a
/// timeout, say) the request's end waits for the commit in its place, because the cookie that the
/// commit makes must go out with the response.
#[derive(Default)]
pub(super) struct Early {
    saving: tokio::sync::Mutex<Option<Saving>>,
    /// Most requests never start one, and need not ask for the mutex.
    started: AtomicBool,
}

impl Early {
    /// Whether somebody waits for it, or it was left alone before its end.
    pub(super) fn is_under_way(&self) -> bool {
        self.started.load(Ordering::Acquire)
            && self
                .saving
                .try_lock()
                .map_or(true, |saving| saving.is_some())
    }

    /// There will be no response: nobody needs to wait for it any more.
    pub(super) fn forget(&self) {
        if self.started.load(Ordering::Acquire)
            && let Ok(mut saving) = self.saving.try_lock()
        {
            *saving = None;
        }
    }

    fn start(&self, saving: Saving) {
        // It cannot be taken: the state lets one caller in here, and others wait for it only
        // after that.
        if let Ok(mut none) = self.saving.try_lock() {
            *none = Some(saving);
            self.started.store(true, Ordering::Release);
        }
    }
}

impl fmt::Debug for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Early").finish_non_exhaustive()
    }
}

impl Slot {
    /// Commits while the request goes on; from here on the session is read only.
    pub(crate) async fn commit_early(&self) -> Result<(), Error> {
        {
            let mut state = self.state();
            let State::Open(work) = &mut *state else {
                return Err(Error::Closed);
            };
            if work.is_writable() {
                if !self.responds && work.needs_response() {
                    return Err(Error::NeedsResponse);
                }
                work.pending.check()?;
                let early = work.committed_early()?;
                let work = std::mem::replace(work, Box::new(early));
                if !work.discarded {
                    let (shared, wait) = (self.shared.clone(), self.wait());
                    self.early
                        .start(Box::pin(async move { save(&shared, work, wait).await }));
                }
            }
        }
        self.finish_early().await
    }

    /// Waits for the early commit, if one is under way.
    async fn finish_early(&self) -> Result<(), Error> {
        let mut early = self.early.saving.lock().await;
        let Some(saving) = &mut *early else {
            return Ok(());
        };
        let saved = saving.await;
        *early = None;
        let saved = saved?;
        if let State::Open(work) = &mut *self.state() {
            work.origin = saved.work.origin;
            work.cookie = saved.cookie;
        }
        Ok(())
    }

    /// What the response must say of an early commit whose caller has left.
    pub(super) async fn end_early(&self) -> Outcome {
        let result = self.finish_early().await;
        let mut outcome = Outcome::of_early(None);
        if let State::Open(work) = &mut *self.state() {
            outcome.cookie = work.cookie.take();
            outcome.info = work.info.take();
        }
        outcome.error = result.err();
        outcome
    }
}
