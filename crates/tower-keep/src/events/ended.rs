//! Waiting for the end of a session.

use std::time::Duration;

use tokio::time::sleep;
use tower_keep_core::{Opened, SessionId};

use crate::error::Error;
use crate::handle::SessionHandle;
use crate::lock::jittered;
use crate::slot::Identity;

impl SessionHandle {
    /// Completes when the session that this handle is bound to has ended or changed hands: it was
    /// destroyed or revoked, it expired, or a login, a logout or a rotation replaced its authority.
    /// A handle without a session, or whose session is over already, is told so at once.
    ///
    /// What happens in this process is heard at once, what happens in another one (or through
    /// another layer) within
    /// [`check_ended_every`](crate::SessionLayerBuilder::check_ended_every), by one read by the id
    /// which keeps no session alive. A store that fails is asked again: an outage ends nothing. Does
    /// nothing unless polled; dropping it leaves nothing behind.
    ///
    /// Take it once and wait for it beside the rest; each call begins with a look at the store.
    ///
    /// ```
    /// use std::pin::pin;
    /// use tokio::sync::mpsc::Receiver;
    /// use tower_keep::{Error, SessionHandle};
    ///
    /// /// The task of a WebSocket; `messages` is what the client sends.
    /// async fn socket(handle: SessionHandle, mut messages: Receiver<String>) -> Result<(), Error> {
    ///     let mut ended = pin!(handle.ended());
    ///     loop {
    ///         tokio::select! {
    ///             // Logged out, here or elsewhere: close the socket.
    ///             () = &mut ended => return Ok(()),
    ///             message = messages.recv() => {
    ///                 let Some(message) = message else { return Ok(()) };
    ///                 handle.write(async |session| session.push("drafts", &message)).await?;
    ///             }
    ///         }
    ///     }
    /// }
    /// ```
    pub async fn ended(&self) {
        let shared = self.shared();
        let events = &shared.events;
        let Some((id, generation)) = self.meet(events.check_every).await else {
            return;
        };
        // Before the first look, so that nothing can come between.
        let mut watch = events.watches.watch(id);
        while let Some(next) = self.next_look(id, generation).await {
            tokio::select! {
                () = watch.ended(generation) => return,
                () = sleep(next) => {}
            }
        }
    }

    /// Which session it is about; `None` if there is none.
    async fn meet(&self, check_every: Duration) -> Option<Identity> {
        loop {
            if let Some(identity) = self.binding() {
                return Some(identity);
            }
            match self.read().await {
                Ok(session) if session.is_new() => return None,
                Ok(_) => {}
                Err(Error::Store(_) | Error::OutcomeUnknown) => sleep(jittered(check_every)).await,
                Err(_) => return None,
            }
        }
    }

    /// When to look again; `None` if the session is over.
    async fn next_look(&self, id: SessionId, generation: u64) -> Option<Duration> {
        let shared = self.shared();
        let every = jittered(shared.events.check_every);
        match shared.peek(id).await {
            Ok(Opened::Granted(view)) if view.head.generation == generation => {
                // A millisecond over, because stores count in whole ones.
                let left = view.head.deadline().since(view.now) + Duration::from_millis(1);
                Some(every.min(left))
            }
            Ok(_) => None,
            Err(_) => Some(every),
        }
    }
}
