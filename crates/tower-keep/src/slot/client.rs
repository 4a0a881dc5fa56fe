//! Whether what was found may be shown to who asks.

use std::time::Duration;

use tower_keep_core::View;
use tower_keep_core::data::Edit;
use tracing::warn;

use super::Slot;
use super::commit::destroy;
use super::find::Found;
use super::work::{Absence, Origin};
use crate::error::Error;
use crate::fingerprint::{FingerprintConfig, Print};
use crate::shared::Which;

impl Slot {
    /// What was found, if it belongs to this client. Otherwise there is no session, and the lease,
    /// if there is one, is given back with the session unchanged.
    pub(super) async fn of_client(
        &self,
        mut found: Found,
        which: Which,
        (config, print): (FingerprintConfig, &Print),
        wait: Duration,
    ) -> Result<Found, Error> {
        let edit = Edit::new(std::mem::take(&mut found.data), self.shared.data);
        let fits = print.fits(config, &edit);
        (found.data, _) = edit.into_parts()?;
        if fits {
            return Ok(found);
        }
        warn!(session.id = %which.id, "a session was asked for by another client than its own");
        let token = found.token.take();
        let destroyed = config.destroys();
        if destroyed {
            self.destroy_foreign(found, which, wait).await?;
        }
        let none = Found::none(Absence::Mismatch { destroyed });
        Ok(Found { token, ..none })
    }

    /// Destroys it under its lease. Who has only read waits for one: the session may have got
    /// another secret meanwhile, and then belongs to somebody who has proved it.
    async fn destroy_foreign(
        &self,
        found: Found,
        which: Which,
        wait: Duration,
    ) -> Result<(), Error> {
        let (view, grant) = match (found.origin, found.grant) {
            (Origin::Live(head, now), Some(grant)) => {
                let data = found.data;
                (View { head, data, now }, grant)
            }
            _ => match self.shared.acquire(which, wait).await? {
                Ok(acquired) => acquired,
                Err(_) => return Ok(()),
            },
        };
        destroy(&self.shared, view, grant).await
    }
}
