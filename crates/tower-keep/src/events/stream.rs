//! The events as they come.

use std::fmt;

use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::Sender;
use tokio::sync::broadcast::error::RecvError;

use super::Events;
use super::event::SessionEvent;
use crate::layer::SessionLayer;

/// The events of a layer from the moment in which it was made; see
/// [`SessionLayer::events`](crate::SessionLayer::events).
#[must_use]
pub struct EventStream {
    events: Receiver<SessionEvent>,
}

/// Events came faster than they were read, and the oldest ones are lost. What is still to come is
/// not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{count} session events were missed: read them faster, or let the layer keep more of them")]
#[non_exhaustive]
pub struct Missed {
    /// How many.
    pub count: u64,
}

impl EventStream {
    /// The next event; `None` when the layer is gone. Dropping the future loses none.
    ///
    /// # Errors
    /// [`Missed`], once, if so many have come since the last call that some were lost.
    pub async fn next(&mut self) -> Option<Result<SessionEvent, Missed>> {
        match self.events.recv().await {
            Ok(event) => Some(Ok(event)),
            Err(RecvError::Lagged(count)) => Some(Err(Missed { count })),
            Err(RecvError::Closed) => None,
        }
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream").finish_non_exhaustive()
    }
}

impl Events {
    fn subscribe(&self) -> Receiver<SessionEvent> {
        let stream = self.stream.get_or_init(|| Sender::new(self.capacity));
        stream.subscribe()
    }
}

impl SessionLayer {
    /// What happens to this layer's sessions from now on, as it happens, for tasks that take their
    /// time: an audit log, a cache that must forget. A reader that is slow is told how many events it
    /// has missed; see [`event_capacity`](crate::SessionLayerBuilder::event_capacity).
    ///
    /// It tells what *this process* does through *this layer*; how another process ends a session
    /// is not heard of. A change whose success the store did not confirm is not told, nor are the
    /// sessions that a [`UserCap`](crate::UserCap) ends and those that a store removes by itself,
    /// as Redis does.
    ///
    /// ```
    /// # async fn f() -> Result<(), tower_keep::Error> {
    /// use tower_keep::{EventKind, MemoryStore, SessionLayer};
    ///
    /// let layer = SessionLayer::new(MemoryStore::new());
    /// let mut events = layer.events();
    ///
    /// let started = layer.sessions().create(Some("ada"), [("plan", "pro")]).await?;
    /// let Some(Ok(event)) = events.next().await else { panic!() };
    /// assert_eq!((event.kind, event.id), (EventKind::Created, started.id));
    /// # Ok(()) }
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(f()).unwrap();
    /// ```
    pub fn events(&self) -> EventStream {
        EventStream {
            events: self.shared.events.subscribe(),
        }
    }
}
