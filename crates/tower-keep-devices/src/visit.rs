//! Whose request it is.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::OptionalFromRequestParts;
use http::request::Parts;
use tower_keep::{
    CsrfLayer, CsrfLayerBuilder, Keyed, ReadSession, Session, SessionId, SessionRejection,
};

use crate::answer::Refusal;

type Opening<'a, S> =
    Pin<Box<dyn Future<Output = Result<Option<S>, SessionRejection>> + Send + 'a>>;

/// How sessions are had from requests: those of the layer with one key, which is forgotten here so
/// that not every type has to name it.
#[derive(Clone, Copy)]
pub(crate) struct Open {
    write: for<'a> fn(&'a mut Parts) -> Opening<'a, Session>,
    read: for<'a> fn(&'a mut Parts) -> Opening<'a, ReadSession>,
    csrf: fn() -> CsrfLayerBuilder,
}

impl Open {
    pub(crate) fn of<K: 'static>() -> Self {
        Self {
            write: |parts| Box::pin(open::<K, Session>(parts)),
            read: |parts| Box::pin(open::<K, ReadSession>(parts)),
            csrf: || CsrfLayer::builder().key::<K>(),
        }
    }

    pub(crate) fn csrf(self) -> CsrfLayerBuilder {
        (self.csrf)()
    }

    /// The session of a user who is logged in, locked until the answer is made.
    pub(crate) async fn write(self, parts: &mut Parts) -> Result<Visit<Session>, Refusal> {
        let session = (self.write)(parts).await?.ok_or(Refusal::NotLoggedIn)?;
        let (user, id) = logged_in(&session)?;
        Ok(Visit { session, user, id })
    }

    /// As [`write`](Self::write), without a lock.
    pub(crate) async fn read(self, parts: &mut Parts) -> Result<Visit<ReadSession>, Refusal> {
        let session = (self.read)(parts).await?.ok_or(Refusal::NotLoggedIn)?;
        let (user, id) = logged_in(&session)?;
        Ok(Visit { session, user, id })
    }
}

async fn open<K: 'static, S>(parts: &mut Parts) -> Result<Option<S>, SessionRejection>
where
    Keyed<K, S>: OptionalFromRequestParts<(), Rejection = SessionRejection>,
{
    let session = Keyed::<K, S>::from_request_parts(parts, &()).await?;
    Ok(session.map(Keyed::into_inner))
}

fn logged_in(session: &ReadSession) -> Result<(Arc<str>, SessionId), Refusal> {
    session.user().zip(session.id()).ok_or(Refusal::NotLoggedIn)
}

/// A user, and the session with which they came.
pub(crate) struct Visit<S> {
    pub(crate) session: S,
    pub(crate) user: Arc<str>,
    pub(crate) id: SessionId,
}
