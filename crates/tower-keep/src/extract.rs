//! From a request to its session.

use std::any::TypeId;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::pin::Pin;
use std::sync::Arc;

use http::Extensions;

use crate::error::Error;
use crate::handle::SessionHandle;
use crate::merge::MergeSession;
use crate::read::ReadSession;
use crate::request::RequestHead;
use crate::session::Session;
use crate::shared::Shared;
use crate::slot::{Mode, Slot, Source, Tokens};
use crate::typed::{ReadTyped, SessionData, Typed};

/// What the layer leaves in a request's extensions: the innermost slot, which knows those around.
#[derive(Clone)]
pub(crate) struct Entry(pub(crate) Arc<Slot>);

/// The key of a layer that was given none.
pub(crate) type MainKey = ();

/// The slot of the layer with this key, and the innermost one.
fn find(extensions: &Extensions, key: TypeId) -> Result<(&Arc<Slot>, &Arc<Slot>), Error> {
    let Entry(within) = extensions.get().ok_or(Error::MissingLayer)?;
    let slot = within.chain().find(|slot| slot.shared.key == key);
    Ok((slot.ok_or(Error::MissingLayer)?, within))
}

/// The slot of the layer with this key, if the request came through it.
pub(crate) fn slot_of(extensions: &Extensions, key: TypeId) -> Option<&Arc<Slot>> {
    find(extensions, key).ok().map(|(slot, _)| slot)
}

/// What the layer with this key shares, or if there is none, the innermost layer.
pub(crate) fn shared_of(extensions: &Extensions, key: TypeId) -> Option<&Shared> {
    let Entry(within) = extensions.get()?;
    let slot = within.chain().find(|slot| slot.shared.key == key);
    Some(&slot.unwrap_or(within).shared)
}

async fn open(head: &RequestHead<'_>, key: TypeId, mode: Mode) -> Result<ReadSession, Error> {
    let (slot, within) = find(head.extensions, key)?;
    match slot.open_at_once(within, mode, &Source::Request(head)) {
        Some(opened) => opened?,
        None => open_later(slot, within, mode, head).await?,
    }
    Ok(ReadSession { slot: slot.clone() })
}

/// Boxed out of sight, so that no handler has to have room for a wait that seldom comes.
#[inline(never)]
fn open_later<'a>(
    slot: &'a Arc<Slot>,
    within: &'a Arc<Slot>,
    mode: Mode,
    head: &'a RequestHead<'_>,
) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
    Box::pin(slot.open(within, mode, Source::Request(head)))
}

/// What can be had from a request through a session layer.
pub(crate) trait FromHead: Sized {
    fn from_head(
        head: &RequestHead<'_>,
        key: TypeId,
    ) -> impl Future<Output = Result<Self, Error>> + Send;

    /// As [`from_head`](Self::from_head), only where there is a stored session.
    fn resume(
        head: &RequestHead<'_>,
        key: TypeId,
    ) -> impl Future<Output = Result<Option<Self>, Error>> + Send;
}

impl FromHead for ReadSession {
    async fn from_head(head: &RequestHead<'_>, key: TypeId) -> Result<Self, Error> {
        open(head, key, Mode::Read).await
    }

    async fn resume(head: &RequestHead<'_>, key: TypeId) -> Result<Option<Self>, Error> {
        let session = open(head, key, Mode::Read).await?;
        Ok(Some(session).filter(|session| !session.is_new()))
    }
}

impl FromHead for Session {
    async fn from_head(head: &RequestHead<'_>, key: TypeId) -> Result<Self, Error> {
        open(head, key, Mode::Write).await.map(Session)
    }

    async fn resume(head: &RequestHead<'_>, key: TypeId) -> Result<Option<Self>, Error> {
        let session = open(head, key, Mode::Write).await?;
        Ok(Some(Session(session)).filter(|session| !session.is_new()))
    }
}

impl FromHead for MergeSession {
    async fn from_head(head: &RequestHead<'_>, key: TypeId) -> Result<Self, Error> {
        let session = open(head, key, Mode::Merge).await?;
        let (_, within) = find(head.extensions, key)?;
        Ok(Self::new(session, within.clone()))
    }

    async fn resume(head: &RequestHead<'_>, key: TypeId) -> Result<Option<Self>, Error> {
        let session = Self::from_head(head, key).await?;
        Ok(Some(session).filter(|session| !session.is_new()))
    }
}

impl<T: SessionData> FromHead for Typed<T> {
    async fn from_head(head: &RequestHead<'_>, key: TypeId) -> Result<Self, Error> {
        Self::from_session(Session::from_head(head, key).await?)
    }

    async fn resume(head: &RequestHead<'_>, key: TypeId) -> Result<Option<Self>, Error> {
        let session = Session::resume(head, key).await?;
        session.map(Self::from_session).transpose()
    }
}

impl<T: SessionData> FromHead for ReadTyped<T> {
    async fn from_head(head: &RequestHead<'_>, key: TypeId) -> Result<Self, Error> {
        Self::from_session(&ReadSession::from_head(head, key).await?)
    }

    async fn resume(head: &RequestHead<'_>, key: TypeId) -> Result<Option<Self>, Error> {
        let session = ReadSession::resume(head, key).await?;
        session.as_ref().map(Self::from_session).transpose()
    }
}

impl FromHead for SessionHandle {
    async fn from_head(head: &RequestHead<'_>, key: TypeId) -> Result<Self, Error> {
        let (slot, _) = find(head.extensions, key)?;
        let tokens = Tokens::of_request(&slot.shared, head);
        Ok(Self::new(slot.clone(), tokens))
    }

    async fn resume(head: &RequestHead<'_>, key: TypeId) -> Result<Option<Self>, Error> {
        Self::from_head(head, key).await.map(Some)
    }
}

/// The same as the extractors, for services without axum.
macro_rules! without_axum {
    ($($name:ident),*) => {$(
        impl $name {
            /// What the extractor of this name gives, for services without axum: pass the request
            /// or its parts.
            ///
            /// # Errors
            /// [`Error::MissingLayer`] if the request did not come through a
            /// [`SessionLayer`](crate::SessionLayer), and those of opening.
            pub fn from_request<'a>(
                request: impl Into<RequestHead<'a>>,
            ) -> impl Future<Output = Result<Self, Error>> + Send {
                let head = request.into();
                async move { Self::from_head(&head, TypeId::of::<MainKey>()).await }
            }
        }
    )*};
}

without_axum!(Session, ReadSession, MergeSession, SessionHandle);

/// The same as the extractors' `Option`s.
macro_rules! optional_without_axum {
    ($($name:ident),*) => {$(
        impl $name {
            /// What the extractor of an `Option` of this gives, for services without axum: `None`
            /// without a stored session, and none is ever started.
            ///
            /// # Errors
            /// As [`from_request`](Self::from_request).
            pub fn resume_from_request<'a>(
                request: impl Into<RequestHead<'a>>,
            ) -> impl Future<Output = Result<Option<Self>, Error>> + Send {
                let head = request.into();
                async move { Self::resume(&head, TypeId::of::<MainKey>()).await }
            }
        }
    )*};
}

optional_without_axum!(Session, ReadSession, MergeSession);

/// An extractor for the session of the layer with the key `K`, in an app that has several; see
/// [`SessionLayerBuilder::key`](crate::SessionLayerBuilder::key).
///
/// ```
/// use tower_keep::{Error, Keyed, ReadSession, Session};
///
/// struct Admin;
///
/// async fn audit(visitor: ReadSession, admin: Keyed<Admin, Session>) -> Result<(), Error> {
///     admin.push("seen", &visitor.id().map(|id| id.to_string()))
/// }
/// ```
#[derive(Debug)]
pub struct Keyed<K, T>(T, PhantomData<fn() -> K>);

impl<K, T> Keyed<K, T> {
    /// The session itself.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<K, T> Deref for Keyed<K, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<K, T> DerefMut for Keyed<K, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<K: 'static, T: FromHead> FromHead for Keyed<K, T> {
    async fn from_head(head: &RequestHead<'_>, _: TypeId) -> Result<Self, Error> {
        let inner = T::from_head(head, TypeId::of::<K>()).await?;
        Ok(Self(inner, PhantomData))
    }

    async fn resume(head: &RequestHead<'_>, _: TypeId) -> Result<Option<Self>, Error> {
        let inner = T::resume(head, TypeId::of::<K>()).await?;
        Ok(inner.map(|inner| Self(inner, PhantomData)))
    }
}

#[cfg(feature = "axum")]
mod axum {
    use std::any::TypeId;

    use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
    use axum_core::response::{IntoResponse, Response};
    use http::request::Parts;

    use super::{FromHead, Keyed, MainKey};
    use crate::answer::answer;
    use crate::error::Error;
    use crate::handle::SessionHandle;
    use crate::merge::MergeSession;
    use crate::read::ReadSession;
    use crate::rejection::SessionRejection;
    use crate::request::RequestHead;
    use crate::session::Session;
    use crate::typed::{ReadTyped, SessionData, Typed};

    macro_rules! extractors {
        ($([$($generics:tt)*] $name:ty, $key:ty);* $(;)?) => {$(
            impl<State: Send + Sync, $($generics)*> FromRequestParts<State> for $name {
                type Rejection = SessionRejection;

                async fn from_request_parts(
                    parts: &mut Parts,
                    _: &State,
                ) -> Result<Self, SessionRejection> {
                    let head = RequestHead::from(&*parts);
                    Self::from_head(&head, TypeId::of::<$key>())
                        .await
                        .map_err(|error| SessionRejection::new(error, &head, TypeId::of::<$key>()))
                }
            }

            impl<State: Send + Sync, $($generics)*> OptionalFromRequestParts<State> for $name {
                type Rejection = SessionRejection;

                async fn from_request_parts(
                    parts: &mut Parts,
                    _: &State,
                ) -> Result<Option<Self>, SessionRejection> {
                    let head = RequestHead::from(&*parts);
                    Self::resume(&head, TypeId::of::<$key>())
                        .await
                        .map_err(|error| SessionRejection::new(error, &head, TypeId::of::<$key>()))
                }
            }
        )*};
    }

    extractors!(
        [] Session, MainKey;
        [] ReadSession, MainKey;
        [] MergeSession, MainKey;
        [] SessionHandle, MainKey;
        [T: SessionData] Typed<T>, MainKey;
        [T: SessionData] ReadTyped<T>, MainKey;
        [K: 'static] Keyed<K, Session>, K;
        [K: 'static] Keyed<K, ReadSession>, K;
        [K: 'static] Keyed<K, MergeSession>, K;
        [K: 'static] Keyed<K, SessionHandle>, K;
        [K: 'static, T: SessionData] Keyed<K, Typed<T>>, K;
        [K: 'static, T: SessionData] Keyed<K, ReadTyped<T>>, K;
    );

    impl IntoResponse for Error {
        fn into_response(self) -> Response {
            answer(&self, None, None).map(Into::into)
        }
    }

    impl IntoResponse for SessionRejection {
        fn into_response(self) -> Response {
            self.into_answer().map(Into::into)
        }
    }
}
