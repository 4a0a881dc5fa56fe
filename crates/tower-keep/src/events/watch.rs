//! Who waits for the end of which session.

use std::collections::HashMap;
use std::sync::PoisonError;

use tokio::sync::watch::{Receiver, Sender};
use tower_keep_core::SessionId;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Mutex, MutexGuard};

/// What has been heard of a watched session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heard {
    Nothing,
    /// It is in this generation now.
    Rotated(u64),
    Over,
}

/// The sessions that somebody watches, each with one channel, so that an event wakes only those
/// who wait for it and none can be missed.
#[derive(Debug, Default)]
pub(super) struct Watches {
    /// How many sessions there are in `channels`, for those who only ask.
    watched: AtomicUsize,
    channels: Mutex<HashMap<SessionId, Sender<Heard>>>,
}

/// One who watches a session; dropping it leaves nothing behind.
#[derive(Debug)]
pub(super) struct Watch<'a> {
    watches: &'a Watches,
    id: SessionId,
    heard: Option<Receiver<Heard>>,
}

impl Watches {
    pub(super) fn watch(&self, id: SessionId) -> Watch<'_> {
        let mut channels = self.channels();
        let channel = channels
            .entry(id)
            .or_insert_with(|| Sender::new(Heard::Nothing));
        let heard = Some(channel.subscribe());
        self.count(&channels);
        Watch {
            watches: self,
            id,
            heard,
        }
    }

    pub(super) fn rotated(&self, id: SessionId, generation: u64) {
        self.hear(id, Heard::Rotated(generation));
    }

    pub(super) fn over(&self, id: SessionId) {
        self.hear(id, Heard::Over);
    }

    fn hear(&self, id: SessionId, heard: Heard) {
        // Whoever begins to watch after this looks at the store after it, and sees the change.
        if self.watched.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(channel) = self.channels().get(&id) {
            channel.send_replace(heard);
        }
    }

    fn count(&self, channels: &HashMap<SessionId, Sender<Heard>>) {
        self.watched.store(channels.len(), Ordering::SeqCst);
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<SessionId, Sender<Heard>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch<'_> {
    /// Completes when the session is heard to be over, or in another generation than this.
    pub(super) async fn ended(&mut self, generation: u64) {
        let is_end = |heard: &Heard| match heard {
            Heard::Nothing => false,
            Heard::Rotated(now) => *now != generation,
            Heard::Over => true,
        };
        if let Some(heard) = &mut self.heard
            && heard.wait_for(is_end).await.is_ok()
        {
            return;
        }
        // Never: the channel lives as long as somebody listens to it.
        std::future::pending::<()>().await;
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut channels = self.watches.channels();
        self.heard = None;
        if channels
            .get(&self.id)
            .is_some_and(|channel| channel.receiver_count() == 0)
        {
            channels.remove(&self.id);
        }
        self.watches.count(&channels);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::*;
    use tower_keep_core::Timestamp;

    fn has_ended(watch: &mut Watch<'_>, generation: u64) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        let ended = std::pin::pin!(watch.ended(generation));
        matches!(ended.poll(&mut cx), Poll::Ready(()))
    }

    #[test]
    fn only_what_is_watched_is_kept() {
        let watches = Watches::default();
        let [one, other] = [1, 2].map(|n| SessionId::new(Timestamp::from_millis(n)));
        watches.over(one);
        let mut first = watches.watch(one);
        let mut second = watches.watch(one);
        let mut third = watches.watch(other);
        assert!(!has_ended(&mut first, 3));
        watches.rotated(one, 3);
        assert!(!has_ended(&mut first, 3) && has_ended(&mut second, 2));
        watches.over(one);
        assert!(has_ended(&mut first, 3) && !has_ended(&mut third, 3));
        drop((first, third));
        assert_eq!(watches.channels().len(), 1);
        drop(second);
        assert_eq!(watches.watched.load(Ordering::SeqCst), 0);
    }
}
