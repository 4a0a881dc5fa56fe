//! An idle timeout of a session's own.

use std::time::Duration;

use tower_keep_core::Limits;

use crate::error::Error;
use crate::session::Session;
use crate::slot::Work;

impl Session {
    /// Gives this session an idle timeout of its own, longer or shorter than the layer's, counted
    /// from the commit on. It slides as the layer's does, no finer than the layer's
    /// [touch throttle](crate::SessionLayerBuilder::touch_throttle), and stays until the next change
    /// of user. The absolute timeout stays as it is, and ends the session before where it is
    /// shorter. Less than a millisecond is one.
    ///
    /// # Errors
    /// [`Error::Closed`] after the commit.
    #[doc(alias = "set_expiry")]
    pub fn set_idle_timeout(&self, idle: Duration) -> Result<(), Error> {
        self.change(|work| {
            work.asked.idle = Some(idle.max(Duration::from_millis(1)));
            Ok(())
        })
    }
}

impl Work {
    /// The limits that a commit gives the session, those of a new user first.
    pub(crate) fn limits(&self, of_user: Option<Limits>, idle: Option<Duration>) -> Option<Limits> {
        let before = || idle.and(self.head()).map(|head| head.limits);
        of_user
            .or_else(before)
            .map(|limits| with_idle(limits, idle))
    }
}

/// The limits, with another idle timeout if there is one.
pub(crate) fn with_idle(limits: Limits, idle: Option<Duration>) -> Limits {
    Limits {
        idle: idle.unwrap_or(limits.idle),
        ..limits
    }
}
