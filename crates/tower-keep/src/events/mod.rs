//! What becomes of sessions, for those who want to hear of it.
//!
//! # Invariants
//! 1. An event is told only after the store has confirmed the change, and once; it is told where the
//!    confirmation arrives, so that it does not depend on the request still being there.
//! 2. Whoever is told cannot undo the change: a listener's panic ends at the listener.
//! 3. Where nobody listens and nobody watches, telling costs two looks at what is there.

mod builder;
mod ended;
mod event;
mod expired;
mod files;
mod stream;
#[cfg(keep_shuttle)]
pub mod threads;
mod watch;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tower_keep_core::{Clock, SessionId};
use tracing::{debug, error};

use crate::observe::{IS_COUNTED, Observer};
use expired::Met;
use watch::Watches;

pub(crate) use builder::EventsConfig;
pub use event::{EventKind, EventListener, SessionEvent};
pub use stream::{EventStream, Missed};

/// Where a layer's events are told.
pub(crate) struct Events {
    clock: Arc<dyn Clock>,
    observer: Observer,
    listeners: Vec<Box<dyn EventListener>>,
    /// Made when first asked for.
    stream: OnceLock<broadcast::Sender<SessionEvent>>,
    capacity: usize,
    /// How often who watches a session looks whether another process has ended it.
    check_every: Duration,
    watches: Watches,
    /// Expired sessions that were told of when they were met, before a sweep removed them.
    met: Mutex<Met>,
    /// Goes with the session.
    #[cfg(feature = "temp")]
    temp: Option<crate::temp::Temp>,
}

impl Events {
    pub(crate) fn new(config: EventsConfig, clock: Arc<dyn Clock>, observer: Observer) -> Self {
        Self {
            clock,
            observer,
            listeners: config.listeners,
            stream: OnceLock::new(),
            capacity: config.capacity,
            check_every: config.check_every,
            watches: Watches::default(),
            met: Mutex::default(),
            #[cfg(feature = "temp")]
            temp: None,
        }
    }

    /// The session of a new record.
    pub(crate) fn created(&self, id: SessionId, user: Option<&Arc<str>>) {
        self.tell(EventKind::Created, id, user);
    }

    /// Its authority is that of this generation from now on.
    pub(crate) fn rotated(&self, id: SessionId, user: Option<&Arc<str>>, generation: u64) {
        self.watches.rotated(id, generation);
        self.tell(EventKind::Rotated, id, user);
    }

    /// Its own request has destroyed it.
    pub(crate) fn destroyed(&self, id: SessionId, user: Option<&Arc<str>>) {
        self.over(id);
        self.tell(EventKind::Destroyed, id, user);
    }

    /// Somebody else has ended it.
    pub(crate) fn revoked(&self, id: SessionId, user: Option<&Arc<str>>) {
        self.over(id);
        self.tell(EventKind::Revoked, id, user);
    }

    /// An opening has found it expired, and may not be the first one to.
    pub(crate) fn met_expired(&self, id: SessionId) {
        self.watches.over(id);
        if (self.is_heard() || self.has_files() || IS_COUNTED) && self.met().add(id) {
            self.forget_files(id);
            self.tell(EventKind::Expired, id, None);
        }
    }

    /// Sweeps have removed these.
    pub(crate) fn swept(&self, expired: &[SessionId]) {
        for id in expired {
            self.over(*id);
            if (self.is_heard() || IS_COUNTED) && !self.met().remove(*id) {
                self.tell(EventKind::Expired, *id, None);
            }
        }
    }

    /// It cannot be opened any more.
    fn over(&self, id: SessionId) {
        self.watches.over(id);
        self.forget_files(id);
    }

    /// Whether anybody would hear of an event.
    fn is_heard(&self) -> bool {
        !self.listeners.is_empty() || self.receivers().is_some()
    }

    fn receivers(&self) -> Option<&broadcast::Sender<SessionEvent>> {
        let stream = self.stream.get();
        stream.filter(|stream| stream.receiver_count() > 0)
    }

    fn tell(&self, kind: EventKind, id: SessionId, user: Option<&Arc<str>>) {
        debug!(session.id = %id, event = %kind, "session event");
        self.observer.event(kind);
        if !self.is_heard() {
            return;
        }
        let event = SessionEvent {
            kind,
            id,
            user: user.cloned(),
            at: self.clock.now(),
        };
        for listener in &self.listeners {
            if catch_unwind(AssertUnwindSafe(|| listener.told(&event))).is_err() {
                error!(session.id = %id, event = %kind, "a listener panicked");
            }
        }
        if let Some(stream) = self.receivers() {
            // Whoever has gone meanwhile does not care.
            let _ = stream.send(event);
        }
    }

    fn met(&self) -> std::sync::MutexGuard<'_, Met> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("listeners", &self.listeners.len())
            .finish_non_exhaustive()
    }
}

/// What to tell when a commit has succeeded, wherever that is learnt.
#[derive(Debug)]
pub(crate) struct Telling {
    events: Arc<Events>,
    change: Change,
    user: Option<Arc<str>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    Rotated,
    /// Rotated, and nothing of before is to be left.
    Invalidated,
    Destroyed,
}

impl Telling {
    pub(crate) fn new(events: &Arc<Events>, change: Change, user: Option<Arc<str>>) -> Self {
        Self {
            events: events.clone(),
            change,
            user,
        }
    }

    /// The commit succeeded and left the session in this generation.
    pub(crate) fn succeeded(self, id: SessionId, generation: u64) {
        let user = self.user.as_ref();
        match self.change {
            Change::Rotated => self.events.rotated(id, user, generation),
            Change::Invalidated => {
                self.events.forget_files(id);
                self.events.rotated(id, user, generation);
            }
            Change::Destroyed => self.events.destroyed(id, user),
        }
    }
}
