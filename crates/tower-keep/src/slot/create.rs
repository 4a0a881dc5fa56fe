//! Creating the session of a request that had none.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};
use tower_keep_core::{
    CommitId, Created, Head, NewSession, Record, Secret, SessionId, SessionStore, StoreError,
    StoreErrorKind, Token, View,
};
use tracing::{Span, debug, field};

use super::commit::{Saved, cookie_of, destroy};
use super::reserved::Reserved;
use super::work::{Origin, Work};
use crate::error::Error;
use crate::idle::with_idle;
use crate::lock::{Grant, call};
use crate::observe::CommitKind;
use crate::shared::Shared;

/// Creates a session, and ends the one it takes the place of, if any.
pub(super) async fn start(shared: &Arc<Shared>, mut work: Box<Work>) -> Result<Saved, Error> {
    if let Some(conflict) = work.forbids_to_start() {
        return Err(shared.conflict(conflict));
    }
    let asked = std::mem::take(&mut work.asked);
    let id = asked.reserved.as_ref().map(Reserved::id);
    let (mut data, patch) = work.edit.take_parts()?;
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
    let head = create_stored(shared, work.doomed.take(), new).await?;
    if let Some(reserved) = asked.reserved {
        reserved.stored();
    }
    Span::current().record("session.id", field::display(head.id));
    debug!(session.id = %head.id, "session created");
    shared.draw();
    let now = head.created_at;
    let cookie = Some(cookie_of(shared, &token, &head, now)?);
    work.origin = Origin::Live(head, now);
    Ok(Saved { work, cookie })
}

/// Stores a new session, and ends the one it takes the place of, if any. Once begun that is carried
/// to its end, even if the client leaves meanwhile.
pub(crate) async fn create_stored(
    shared: &Arc<Shared>,
    doomed: Option<Box<(View, Grant)>>,
    new: NewSession,
) -> Result<Head, Error> {
    if shared.is_local() {
        return create(shared, doomed, &new).await;
    }
    Box::pin(create_in_task(shared, doomed, new)).await
}

async fn create_in_task(
    shared: &Arc<Shared>,
    doomed: Option<Box<(View, Grant)>>,
    new: NewSession,
) -> Result<Head, Error> {
    let (done, created) = oneshot::channel();
    let task = shared.clone();
    shared.tasks.spawn(async move {
        let _ = done.send(create(&task, doomed, &new).await);
    })?;
    created.await.unwrap_or(Err(Error::OutcomeUnknown))
}

async fn create(
    shared: &Shared,
    doomed: Option<Box<(View, Grant)>>,
    new: &NewSession,
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
    new: &NewSession,
) -> Result<Head, Error> {
    // The new one comes first: should it fail, the old one is as it was.
    let created = match shared.store.local() {
        Some(local) => local.create(new)?,
        None => Box::pin(create_surely(shared, new)).await?,
    };
    match created {
        Created::Done(now) => {
            let destroyed = match doomed.map(|doomed| *doomed) {
                Some((view, grant)) => Box::pin(destroy(shared, view, grant)).await,
                None => Ok(()),
            };
            if let Err(error) = destroyed {
                Box::pin(undo(shared, new.id)).await;
                return Err(error);
            }
            shared.events.created(new.id, new.user.as_ref());
            Ok(Record::create(new, now).head)
        }
        // Ids do not repeat, so somebody has tampered with the store.
        Created::Collision | Created::Gone => Err(Error::Store(StoreError::new(
            StoreErrorKind::Unavailable,
            "the id of a new session is taken",
        ))),
    }
}

/// Ends a session whose cookie nobody gets; at the latest it expires.
async fn undo(shared: &Shared, id: SessionId) {
    let destroy = async { shared.store.destroy(id).await };
    let _ = if shared.is_local() {
        destroy.await
    } else {
        call(shared.locks.store_timeout, destroy).await
    };
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
