//! How a layer's events are configured.

use std::fmt;
use std::time::Duration;

use super::EventListener;
use crate::layer::SessionLayerBuilder;

/// See the methods of the builder.
pub(crate) struct EventsConfig {
    pub(super) listeners: Vec<Box<dyn EventListener>>,
    pub(super) capacity: usize,
    pub(super) check_every: Duration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            listeners: Vec::new(),
            capacity: 1_024,
            check_every: Duration::from_secs(30),
        }
    }
}

impl fmt::Debug for EventsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventsConfig")
            .field("listeners", &self.listeners.len())
            .field("capacity", &self.capacity)
            .field("check_every", &self.check_every)
            .finish()
    }
}

impl SessionLayerBuilder {
    /// Has `listener` told what happens to this layer's sessions; there may be several. What is told
    /// and what is not: [`SessionLayer::events`](crate::SessionLayer::events).
    ///
    /// ```
    /// use tower_keep::{MemoryStore, SessionEvent, SessionLayer};
    ///
    /// let layer = SessionLayer::builder(MemoryStore::new())
    ///     .on_event(|event: &SessionEvent| println!("{} {}", event.id, event.kind))
    ///     .build()?;
    /// # Ok::<(), tower_keep::LayerConfigError>(())
    /// ```
    pub fn on_event(mut self, listener: impl EventListener) -> Self {
        self.events.listeners.push(Box::new(listener));
        self
    }

    /// How many events are kept for a reader of [`SessionLayer::events`](crate::SessionLayer::events)
    /// that is slower than they come. Default: 1024; at least 1.
    pub fn event_capacity(mut self, events: usize) -> Self {
        // Rounded up to a power of two there.
        self.events.capacity = events.clamp(1, 1 << 20);
        self
    }

    /// How often [`SessionHandle::ended`](crate::SessionHandle::ended) looks whether another process
    /// has ended the session, give or take a quarter. Default: 30 seconds; at least 1 millisecond.
    pub fn check_ended_every(mut self, every: Duration) -> Self {
        self.events.check_every = every.max(Duration::from_millis(1));
        self
    }
}
