//! From a session to its directory.

use super::{Temp, TempDir, TempError, blocking, disk};
use crate::error::Error;
use crate::read::ReadSession;
use crate::session::Session;

impl Session {
    /// The session's private directory for temporary files (feature `temp`), made if it has none. A new
    /// session is stored by this, as by a write.
    ///
    /// What is done to files is done at once: a request that fails later does not undo it, except that
    /// a new session that is not stored takes its files with it. They are removed when the session ends:
    /// by [`destroy`](Self::destroy) and [`invalidate`](Self::invalidate) with the commit, by revocation
    /// and expiry, and by [`Sessions::sweep_temp`](crate::Sessions::sweep_temp) where nobody was there to
    /// do so.
    ///
    /// # Errors
    /// [`Error::Temp`]; [`Error::Closed`] if the session was committed or discarded;
    /// [`Error::Conflict`] if it can be neither used nor started.
    pub async fn temp_dir(&self) -> Result<TempDir, Error> {
        let slot = &self.0.slot;
        let temp = temp_of(&self.0)?;
        let now = slot.shared.clock.now();
        let id = slot.write(|work| work.reserve(now, |id| temp.reserve(id)))?;
        let root = temp.root();
        blocking(move || disk::make_dir(&root, id)).await?;
        Ok(TempDir::new(temp.clone(), id))
    }
}

impl ReadSession {
    /// The directory of the stored session, to be read, whether or not anything was ever written there;
    /// `None` without a stored session. It makes nothing: that is for
    /// [`Session::temp_dir`](crate::Session::temp_dir).
    ///
    /// # Errors
    /// [`Error::Temp`] if the layer has no temporary storage.
    pub fn temp_files(&self) -> Result<Option<TempDir>, Error> {
        let temp = temp_of(self)?;
        Ok(self.id().map(|id| TempDir::new(temp.clone(), id)))
    }
}

fn temp_of(session: &ReadSession) -> Result<&Temp, Error> {
    let temp = session.slot.shared.temp();
    temp.ok_or_else(|| TempError::NotConfigured.into())
}
