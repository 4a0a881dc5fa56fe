//! The end of a session's part in a request: what was asked of it becomes one commit.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower_keep_core::{
    CommitId, Created, Head, NewSession, Secret, SessionId, SessionStore, StoreError,
    StoreErrorKind, Timestamp, Token, View,
};
use tracing::{Instrument, Span, debug, debug_span, field};

use super::reserved::Reserved;
use super::work::{Origin, Work};
use super::{Identity, Slot, State, merge};
use crate::cookie::CookiePolicy;
use crate::error::{Conflict, Error};
use crate::events::{Change, Telling};
use crate::idle::with_idle;
use crate::lock::{Commit, Grant, call};
use crate::observe::CommitKind;
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
    pub(super) origin: Origin,
    pub(super) cookie: Option<HeaderValue>,
}

impl Slot {
    /// Commits, at once where the store allows it.
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
                *self.state() = State::Ended(identity(&saved.origin));
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
        *self.state() = State::Ended(identity(&saved.origin));
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
    let doomed = work.doomed.take();
    match (&work.origin, work.grant.take()) {
        (Origin::Live(..), Some(grant)) => save_live(shared, work, grant).await,
        (Origin::Live(..), None) if work.merging.is_some() => merge::save(shared, work, wait).await,
        // Read only.
        (Origin::Live(..), None) => Err(Error::Closed),
        (Origin::None(_), _) if work.starts_session() => start(shared, work, doomed).await,
        (Origin::None(absence), _) => {
            let absence = *absence;
            if let Some(doomed) = doomed {
                let (view, grant) = *doomed;
                destroy(shared, view, grant).await?;
            }
            let remove = work.asked.remove_cookie;
            Ok(Saved {
                origin: Origin::None(absence),
                cookie: remove.then(|| shared.carrier.removal()),
            })
        }
    }
}

async fn save_live(shared: &Shared, work: Box<Work>, grant: Grant) -> Result<Saved, Error> {
    let secret = if work.rotates() {
        Some(Secret::generate()?)
    } else {
        None
    };
    let change = work.head_change(secret.as_ref().map(Secret::hash), shared);
    let forget_files = work.asked.forget_files;
    let Work {
        edit,
        origin: Origin::Live(head, now),
        token,
        ..
    } = *work
    else {
        return Err(Error::Closed);
    };
    let (data, patch) = edit.into_parts()?;
    let always = shared.carrier.policy() == CookiePolicy::Always;
    let (head, now) = if !patch.is_empty() || !change.is_empty() {
        let telling = secret.as_ref().map(|_| {
            let user = change.user.clone().unwrap_or_else(|| head.user.clone());
            let change = if forget_files {
                Change::Invalidated
            } else {
                Change::Rotated
            };
            Telling::new(&shared.events, change, user)
        });
        let grant = grant.telling(telling);
        let committing = grant.commit(View { head, data, now }, Commit::Put(change, patch));
        let (head, now) = committing.outcome().await?;
        debug!(session.id = %head.id, version = head.version, "session committed");
        shared.draw();
        (head, now)
    } else if always {
        grant
            .commit(View { head, data, now }, Commit::Release)
            .outcome()
            .await?
    } else {
        // Nobody waits for this.
        drop(grant);
        (head, now)
    };
    let token = match secret {
        Some(secret) => Some(Token::new(head.id, secret)),
        None => token.filter(|_| always),
    };
    let cookie = token
        .map(|token| cookie_of(shared, &token, &head, now))
        .transpose()?;
    let origin = Origin::Live(head, now);
    Ok(Saved { origin, cookie })
}

/// Creates a session, and ends the one it takes the place of, if any.
async fn start(
    shared: &Arc<Shared>,
    work: Box<Work>,
    doomed: Option<Box<(View, Grant)>>,
) -> Result<Saved, Error> {
    if let Some(conflict) = work.forbids_to_start() {
        return Err(shared.conflict(conflict));
    }
    let asked = work.asked;
    let id = asked.reserved.as_ref().map(Reserved::id);
    let (mut data, patch) = work.edit.into_parts()?;
    data.apply(&patch);
    let secret = Secret::generate()?;
    let user = asked.user.flatten();
    let new = NewSession {
        id: id.unwrap_or_else(|| SessionId::new(shared.clock.now())),
        secret: secret.hash(),
        commit: CommitId::unique(),
        limits: with_idle(
            shared.lifetimes.of(user.is_some(), asked.remember),
            asked.idle,
        ),
        extend: asked.extend,
        user,
        cap: shared.user_cap,
        authenticated: asked.authenticated,
        client: work.seen.client(),
        remember: asked.remember,
        data,
    };
    let token = Token::new(new.id, secret);
    let head = create_stored(shared, doomed, new).await?;
    if let Some(reserved) = asked.reserved {
        reserved.stored();
    }
    Span::current().record("session.id", field::display(head.id));
    debug!(session.id = %head.id, "session created");
    shared.draw();
    let now = head.created_at;
    let cookie = Some(cookie_of(shared, &token, &head, now)?);
    let origin = Origin::Live(head, now);
    Ok(Saved { origin, cookie })
}

/// Stores a new session, and ends the one it takes the place of, if any. Once begun that is carried
/// to its end, even if the client leaves meanwhile.
pub(crate) async fn create_stored(
    shared: &Arc<Shared>,
    doomed: Option<Box<(View, Grant)>>,
    new: NewSession,
) -> Result<Head, Error> {
    if shared.is_local() {
        return create(shared, doomed, new).await;
    }
    let (done, created) = oneshot::channel();
    let task = shared.clone();
    shared.tasks.spawn(async move {
        let _ = done.send(create(&task, doomed, new).await);
    })?;
    created.await.unwrap_or(Err(Error::OutcomeUnknown))
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

fn identity(origin: &Origin) -> Option<Identity> {
    match origin {
        Origin::Live(head, _) => Some((head.id, head.generation)),
        Origin::None(_) => None,
    }
}

/// What is gone already needs no destroying.
pub(super) async fn destroy(shared: &Shared, view: View, grant: Grant) -> Result<(), Error> {
    let telling = Telling::new(&shared.events, Change::Destroyed, view.head.user.clone());
    let grant = grant.telling(Some(telling));
    match grant.commit(view, Commit::Destroy).outcome().await {
        Ok(_) | Err(Error::Conflict(Conflict::Gone)) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn create(
    shared: &Shared,
    doomed: Option<Box<(View, Grant)>>,
    new: NewSession,
) -> Result<Head, Error> {
    let created = create_first(shared, doomed, new).await;
    shared
        .observer
        .committed(CommitKind::Create, created.as_ref());
    created
}

async fn create_first(
    shared: &Shared,
    doomed: Option<Box<(View, Grant)>>,
    new: NewSession,
) -> Result<Head, Error> {
    // The new one comes first: should it fail, the old one is as it was.
    let created = match shared.store.local() {
        Some(local) => local.create(&new)?,
        None => create_surely(shared, &new).await?,
    };
    match created {
        Created::Done(now) => {
            let destroyed = match doomed.map(|doomed| *doomed) {
                Some((view, grant)) => destroy(shared, view, grant).await,
                None => Ok(()),
            };
            if let Err(error) = destroyed {
                // Nobody gets its cookie; at the latest it expires.
                let undo = async { shared.store.destroy(new.id).await };
                let _ = if shared.is_local() {
                    undo.await
                } else {
                    call(shared.locks.store_timeout, undo).await
                };
                return Err(error);
            }
            shared.events.created(new.id, new.user.as_ref());
            Ok(tower_keep_core::Record::create(&new, now).head)
        }
        // Ids do not repeat, so somebody has tampered with the store.
        Created::Collision | Created::Gone => Err(Error::Store(StoreError::new(
            StoreErrorKind::Unavailable,
            "the id of a new session is taken",
        ))),
    }
}

/// Asks again under the same commit id while no answer comes, at most as long as a lease.
pub(super) async fn create_surely(shared: &Shared, new: &NewSession) -> Result<Created, Error> {
    let until = Instant::now() + shared.locks.lease;
    let mut pause = shared.locks.poll;
    loop {
        let verb = async { shared.store.create(new).await };
        match call(shared.locks.store_timeout, verb).await {
            Ok(created) => return Ok(created),
            Err(error)
                if error.kind() == StoreErrorKind::Unavailable
                    && Instant::now() + pause < until =>
            {
                debug!(session.id = %new.id, %error, "a creation was not answered; asking again");
                sleep(pause).await;
                pause *= 2;
            }
            Err(error) => return Err(error.into()),
        }
    }
}
