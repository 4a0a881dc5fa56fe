//! The chat's room: what is said is heard by all who are there, and is kept nowhere.

use serde::Serialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// In characters.
pub(crate) const LONGEST_TEXT: usize = 500;

/// A room that all nodes of this program share. Nodes on several machines would pass on what is
/// said by way of a server, such as Redis by `PUBLISH`.
#[derive(Debug, Clone)]
pub(crate) struct Room {
    said: broadcast::Sender<Said>,
    closing: watch::Sender<bool>,
}

/// Somebody says something.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Said {
    pub(crate) who: String,
    pub(crate) text: String,
}

/// Somebody is in the room, until this is dropped.
#[derive(Debug)]
pub(crate) struct Guest {
    said: broadcast::Receiver<Said>,
    closing: watch::Receiver<bool>,
}

/// What is heard in the room.
#[derive(Debug)]
pub(crate) enum Heard {
    Said(Said),
    Closing,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            said: broadcast::Sender::new(64),
            closing: watch::Sender::new(false),
        }
    }

    pub(crate) fn enter(&self) -> Guest {
        Guest {
            said: self.said.subscribe(),
            closing: self.closing.subscribe(),
        }
    }

    pub(crate) fn say(&self, said: Said) {
        // Nobody may be there.
        let _ = self.said.send(said);
    }

    /// Asks all to leave, also those who come from now on.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Waits until nobody is there.
    pub(crate) async fn is_empty(&self) {
        self.closing.closed().await;
    }
}

impl Guest {
    /// Can be dropped and called again without missing anything. Who is too slow misses what was
    /// said first.
    pub(crate) async fn hears(&mut self) -> Heard {
        tokio::select! {
            biased;
            // The sender is gone together with the room.
            _ = self.closing.wait_for(|closing| *closing) => Heard::Closing,
            said = next(&mut self.said) => said.map_or(Heard::Closing, Heard::Said),
        }
    }
}

async fn next(said: &mut broadcast::Receiver<Said>) -> Option<Said> {
    loop {
        match said.recv().await {
            Ok(said) => return Some(said),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn said(text: &str) -> Said {
        Said {
            who: "Ann".to_owned(),
            text: text.to_owned(),
        }
    }

    #[tokio::test]
    async fn all_who_are_there_hear_it() {
        let room = Room::new();
        room.say(said("nobody hears this"));
        let (mut ann, mut bob) = (room.enter(), room.enter());
        room.say(said("hello"));
        for guest in [&mut ann, &mut bob] {
            assert!(matches!(guest.hears().await, Heard::Said(it) if it.text == "hello"));
        }
    }

    #[tokio::test]
    async fn all_leave_when_the_room_is_closed() {
        let room = Room::new();
        let mut ann = room.enter();
        room.close();
        let mut bob = room.enter();
        for guest in [&mut ann, &mut bob] {
            assert!(matches!(guest.hears().await, Heard::Closing));
        }
        drop(ann);
        assert!(room.is_empty().now_or_never().is_none());
        drop(bob);
        room.is_empty().await;
    }
}
