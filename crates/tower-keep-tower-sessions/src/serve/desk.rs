//! Where their session of one request meets ours.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http::request::Parts;
use serde_json::Value;
use tower_keep::{Error, Literal, MergeSession, ReadSession, Session, SessionId};

use super::ledger::{Ledger, Loading, Plan, Values};
use super::version::{Expiry, TheirSession};
use crate::entry::{their_id, to_theirs};
use crate::theirs::Row;

pub(super) type UserOf = Arc<dyn Fn(&Values) -> Option<String> + Send + Sync>;

/// The store of one request's session, whichever version of their contract it is for.
///
/// Their session reads a snapshot, and what it wants written waits here: nothing of ours is locked
/// or changed before the request's end.
pub struct Desk {
    head: Parts,
    user: Option<UserOf>,
    ledger: Mutex<Ledger>,
    /// Why it was not loaded, if it was to be.
    failed: Mutex<Option<Error>>,
}

impl Desk {
    pub(super) fn new(head: Parts, claimed: Option<SessionId>, user: Option<UserOf>) -> Self {
        Self {
            head,
            user,
            ledger: Mutex::new(Ledger::new(claimed.map(their_id))),
            failed: Mutex::default(),
        }
    }

    pub(super) async fn load(&self, asked: i128) -> Result<Option<Row>, String> {
        let loading = self.ledger().load();
        match loading {
            Loading::Gone => Ok(None),
            Loading::Saved(values) => Ok(Some(Row {
                id: asked,
                data: values.into_iter().collect(),
                expiry_date: time::OffsetDateTime::now_utc(),
            })),
            Loading::Stored => self.read().await.map_err(|error| {
                let text = error.to_string();
                *lock(&self.failed) = Some(error);
                text
            }),
        }
    }

    async fn read(&self) -> Result<Option<Row>, Error> {
        // Read, and no `MergeSession` yet: of a snapshot of everything only what is changed counts
        // as read.
        let ours = ReadSession::from_request(&self.head).await?;
        let values = ours.all()?;
        let Some(id) = ours.id().map(their_id) else {
            return Ok(None);
        };
        let deadline = ours.idle_deadline().min(ours.absolute_deadline());
        let row = Row {
            id,
            data: values.clone().into_iter().collect(),
            expiry_date: deadline.map_or(time::OffsetDateTime::UNIX_EPOCH, to_theirs),
        };
        self.ledger().loaded(id, values);
        Ok(Some(row))
    }

    /// Notes what their session wants, as long as it can still be had.
    pub(super) fn note(&self, note: impl FnOnce(&mut Ledger)) -> Result<(), String> {
        let mut ledger = self.ledger();
        if ledger.is_closed() {
            return Err(Error::Closed.to_string());
        }
        note(&mut ledger);
        Ok(())
    }

    /// The request is over, in whatever way.
    pub(super) fn close(&self) {
        self.ledger().close();
    }

    /// Hands what their session wants over to ours, whose layer commits it or does not.
    pub(super) async fn end<B: From<Bytes>>(
        &self,
        theirs: &impl TheirSession,
        response: Response<B>,
    ) -> Response<B> {
        let failed = response.status().is_server_error();
        let error = match self.hand_over(theirs).await {
            Err(error) if !failed => error,
            // What they have made of an outage, as a rule without knowing it from a fault.
            Ok(()) if failed => match lock(&self.failed).take() {
                Some(error) => error,
                None => return response,
            },
            Ok(()) => return response,
            Err(_) => {
                self.discard().await;
                return response;
            }
        };
        self.discard().await;
        error.replace(response, &self.head)
    }

    async fn hand_over(&self, theirs: &impl TheirSession) -> Result<(), Error> {
        let modified = theirs.is_modified();
        if !modified && self.ledger().is_untouched() {
            return Ok(());
        }
        if modified && !theirs.is_empty().await && theirs.save().await.is_err() {
            let error = lock(&self.failed).take();
            return Err(error.unwrap_or(Error::Closed));
        }
        let idle = match theirs.expiry().filter(|_| modified) {
            Some(Expiry::After(idle)) => Some(idle),
            Some(Expiry::Past) => return self.replace(None, None).await,
            None => None,
        };
        let plan = self.ledger().close().plan();
        match plan {
            Plan::Nothing => Ok(()),
            Plan::Destroy { then } => self.replace(then, idle).await,
            Plan::Change {
                base,
                values,
                rotated,
            } => self.change(base, &values, rotated, idle).await,
        }
    }

    /// Every changed value counts as read: whoever else has changed it since is a conflict.
    async fn change(
        &self,
        base: Option<Values>,
        values: &Values,
        rotated: bool,
        idle: Option<Duration>,
    ) -> Result<(), Error> {
        let base = match base {
            Some(base) => base,
            // It was cleared without a look, or is new.
            None => ReadSession::from_request(&self.head).await?.all()?,
        };
        let ours = MergeSession::from_request(&self.head).await?;
        for (key, value) in changes(&base, values) {
            ours.contains_key(Literal(key))?;
            match value {
                Some(value) => ours.insert(Literal(key), value)?,
                None => ours.remove_all(Literal(key))?,
            }
        }
        let (was, is) = (self.user_of(&base), self.user_of(values));
        if !rotated && was == is && idle.is_none() {
            return Ok(());
        }
        let ours = ours.upgrade().await?;
        if rotated {
            ours.rotate()?;
        }
        match is {
            _ if was == is => {}
            Some(user) => ours.set_user(user)?,
            None if ours.user().as_deref() == was.as_deref() => ours.clear_user()?,
            // Somebody else has made it another user's.
            None => {}
        }
        idle.map_or(Ok(()), |idle| ours.set_idle_timeout(idle))
    }

    /// Ends the session; another takes its place if there is anything to be kept.
    async fn replace(&self, then: Option<Values>, idle: Option<Duration>) -> Result<(), Error> {
        let ours = Session::from_request(&self.head).await?;
        ours.destroy()?;
        let Some(values) = then else {
            return Ok(());
        };
        ours.insert_all(values.iter().map(|(key, value)| (Literal(key), value)))?;
        if let Some(user) = self.user_of(&values) {
            ours.set_user(user)?;
        }
        idle.map_or(Ok(()), |idle| ours.set_idle_timeout(idle))
    }

    /// Nothing that this request did to the session is to be saved, also by others in it.
    async fn discard(&self) {
        if let Ok(ours) = MergeSession::from_request(&self.head).await {
            // Unless they have committed it already.
            let _ = ours.discard();
        }
    }

    fn user_of(&self, values: &Values) -> Option<String> {
        self.user.as_ref().and_then(|user| user(values))
    }

    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }
}

/// The values that differ, `None` for those that are gone.
fn changes<'a>(
    base: &'a Values,
    values: &'a Values,
) -> impl Iterator<Item = (&'a str, Option<&'a Value>)> {
    let set = values
        .iter()
        .filter(|(key, value)| base.get(*key) != Some(*value));
    let gone = base.keys().filter(|key| !values.contains_key(*key));
    set.map(|(key, value)| (key.as_str(), Some(value)))
        .chain(gone.map(|key| (key.as_str(), None)))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic runs under them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}
