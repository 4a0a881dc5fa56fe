//! The end of a session's part in a request: what was asked of it becomes one commit.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;
use tower_keep_core::{
    Head, Secret, SessionStore, StoreError, StoreErrorKind, Timestamp, Token, View,
};
use tracing::{Instrument, debug, debug_span, field};

use super::create::start;
use super::work::{Origin, Work};
use super::{Slot, State, merge};
use crate::cookie::CookiePolicy;
use crate::error::{Conflict, Error};
use crate::events::{Change, Telling};
use crate::lock::{Commit, Committing, Grant};
use crate::request::RequestInfo;
use crate::shared::Shared;

/// What the response must say of the session.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The commit failed: nothing of the handler's response goes out.
    pub(crate) error: Option<Error>,
    pub(crate) cookie: Option<HeaderValue>,
    pub(crate) info: Option<Box<RequestInfo>>,
}

impl Outcome {
    pub(super) fn of_early(cookie: Option<HeaderValue>) -> Self {
        Self {
            cookie,
            ..Self::default()
        }
    }
}

/// The end of a request's session.
pub(crate) enum Ending {
    /// It was never asked for.
    Untouched,
    Now(Outcome),
    Soon(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

/// What a commit has made.
pub(super) struct Saved {
    /// With the origin that it has now.
    pub(super) work: Box<Work>,
    pub(super) cookie: Option<HeaderValue>,
}

impl Slot {
    /// Commits, at once where the store allows it.
    // Most requests come by here without anything to commit, and need no room for it.
    #[inline(never)]
    pub(super) fn commit(self: &Arc<Self>, work: Box<Work>) -> Ending {
        let slot = self.clone();
        if !self.shared.is_local() || work.merging.is_some() {
            return Ending::Soon(Box::pin(async move { slot.run(work).await }));
        }
        let mut cx = Context::from_waker(Waker::noop());
        match pin!(slot.run(work)).poll(&mut cx) {
            Poll::Ready(outcome) => Ending::Now(outcome),
            // No step of a local store waits for anything.
            Poll::Pending => Ending::Now(Outcome {
                error: Some(Error::OutcomeUnknown),
                ..Outcome::default()
            }),
        }
    }

    async fn run(&self, mut work: Box<Work>) -> Outcome {
        let info = work.info.take();
        match save(&self.shared, work, self.wait()).await {
            Ok(saved) => {
                *self.state() = State::Ended(saved.work.identity());
                Outcome::of_early(saved.cookie)
            }
            Err(error) => Outcome {
                error: Some(error),
                info,
                ..Outcome::default()
            },
        }
    }

    /// Commits what a handle did, where no response can carry a cookie.
    pub(crate) async fn commit_without_response(&self) -> Result<(), Error> {
        let work = match std::mem::replace(&mut *self.state(), State::Ended(None)) {
            State::Open(work) => work,
            State::Untouched | State::Ended(_) => return Err(Error::Closed),
        };
        if work.discarded || !work.is_writable() {
            return Ok(());
        }
        if work.needs_response() {
            return Err(Error::NeedsResponse);
        }
        let saved = save(&self.shared, work, self.wait()).await?;
        *self.state() = State::Ended(saved.work.identity());
        Ok(())
    }
}

/// Does what was asked for. Once it has been polled, what it does to a record is done to its end,
/// even if it is dropped. What has to wait for the session then waits for `wait`.
pub(super) async fn save(
    shared: &Arc<Shared>,
    work: Box<Work>,
    wait: Duration,
) -> Result<Saved, Error> {
    let span = debug_span!(
        "session.commit",
        session.id = field::Empty,
        store = shared.store.name(),
    );
    if span.is_disabled() {
        return save_within(shared, work, wait).await;
    }
    if let Some(head) = work.head() {
        span.record("session.id", field::display(head.id));
    }
    save_within(shared, work, wait).instrument(span).await
}

async fn save_within(
    shared: &Arc<Shared>,
    mut work: Box<Work>,
    wait: Duration,
) -> Result<Saved, Error> {
    work.pending.check()?;
    work.note_client()?;
    match work.grant.take() {
        Some(grant) if work.head().is_some() => save_live(shared, work, grant).await,
        _ => save_otherwise(shared, work, wait).await,
    }
}

/// Commits what is no change of a session that is held. Boxed out of sight, so that a change needs
/// no room for it.
#[inline(never)]
fn save_otherwise(
    shared: &Arc<Shared>,
    work: Box<Work>,
    wait: Duration,
) -> Pin<Box<dyn Future<Output = Result<Saved, Error>> + Send + '_>> {
    if work.starts_session() {
        Box::pin(start(shared, work))
    } else if work.merging.is_some() {
        Box::pin(merge::save(shared, work, wait))
    } else {
        Box::pin(end(shared, work))
    }
}

async fn save_live(shared: &Shared, mut work: Box<Work>, grant: Grant) -> Result<Saved, Error> {
    let secret = if work.rotates() {
        Some(Secret::generate()?)
    } else {
        None
    };
    let (committing, saves) = hand_on(shared, &mut work, grant, secret.as_ref())?;
    if let (Some(committing), Origin::Live(head, now)) = (committing, &mut work.origin) {
        *now = committing.outcome(head).await?;
        if saves {
            debug!(session.id = %head.id, version = head.version, "session committed");
            shared.draw();
        }
    }
    let cookie = cookie_for(shared, &work, secret)?;
    Ok(Saved { work, cookie })
}

/// Ends the exclusive section as was asked, unless nobody needs to wait for its end, and tells
/// whether that saves anything.
fn hand_on(
    shared: &Shared,
    work: &mut Work,
    grant: Grant,
    secret: Option<&Secret>,
) -> Result<(Option<Committing>, bool), Error> {
    let change = work.head_change(secret.map(Secret::hash), shared);
    let (data, patch) = work.edit.take_parts()?;
    let Origin::Live(head, _) = &mut work.origin else {
        return Err(Error::Closed);
    };
    if patch.is_empty() && change.is_empty() {
        let always = shared.carrier.policy() == CookiePolicy::Always;
        let release = always.then(|| grant.commit(head, data, Commit::Release));
        return Ok((release, false));
    }
    let telling = secret.map(|_| {
        let user = change.user.clone().unwrap_or_else(|| head.user.clone());
        let change = if work.asked.forget_files {
            Change::Invalidated
        } else {
            Change::Rotated
        };
        Telling::new(&shared.events, change, user)
    });
    let grant = grant.telling(telling);
    let committing = grant.commit(head, data, Commit::Put(change, patch));
    Ok((Some(committing), true))
}

/// The cookie that a commit makes: of its new secret, or to be renewed with each.
fn cookie_for(
    shared: &Shared,
    work: &Work,
    secret: Option<Secret>,
) -> Result<Option<HeaderValue>, Error> {
    let Origin::Live(head, now) = &work.origin else {
        return Ok(None);
    };
    match (secret, &work.token) {
        (Some(secret), _) => cookie_of(shared, &Token::new(head.id, secret), head, *now).map(Some),
        (None, Some(token)) if shared.carrier.policy() == CookiePolicy::Always => {
            cookie_of(shared, token, head, *now).map(Some)
        }
        _ => Ok(None),
    }
}

/// Ends what the request had, where there is nothing to store instead.
async fn end(shared: &Shared, mut work: Box<Work>) -> Result<Saved, Error> {
    if work.head().is_some() {
        // It was only read.
        return Err(Error::Closed);
    }
    if let Some(doomed) = work.doomed.take() {
        let (view, grant) = *doomed;
        destroy(shared, view, grant).await?;
    }
    let remove = work.asked.remove_cookie;
    let cookie = remove.then(|| shared.carrier.removal());
    Ok(Saved { work, cookie })
}

pub(super) fn cookie_of(
    shared: &Shared,
    token: &Token,
    head: &Head,
    now: Timestamp,
) -> Result<HeaderValue, Error> {
    let value = shared.tokens.encode(token);
    let max_age = head.absolute_deadline.since(now);
    let cookie = shared.carrier.set(&value, max_age, head.remember);
    // The prefix was checked when the layer was built, and the rest is base64url.
    cookie.map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error).into())
}

/// What is gone already needs no destroying.
pub(super) async fn destroy(shared: &Shared, view: View, grant: Grant) -> Result<(), Error> {
    let telling = Telling::new(&shared.events, Change::Destroyed, view.head.user.clone());
    let grant = grant.telling(Some(telling));
    match grant.finish(view, Commit::Destroy).await {
        Ok(_) | Err(Error::Conflict(Conflict::Gone)) => Ok(()),
        Err(error) => Err(error),
    }
}
