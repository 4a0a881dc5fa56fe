//! The trait in a form that can be a trait object.

use std::future::Future;
use std::pin::Pin;

use http::HeaderValue;
use tower_keep_core::StoreError;

use super::{OldCookie, OldSession, OldSessions};
use crate::request::RequestHead;

type Boxed<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

pub(crate) trait Erased: Send + Sync {
    fn cookie(&self, request: &RequestHead<'_>) -> Option<OldCookie>;
    fn load<'a>(&'a self, cookie: &'a OldCookie) -> Boxed<'a, Option<OldSession>>;
    fn end<'a>(&'a self, cookie: &'a OldCookie) -> Boxed<'a, ()>;
    fn removal(&self) -> Option<HeaderValue>;
}

impl<O: OldSessions> Erased for O {
    fn cookie(&self, request: &RequestHead<'_>) -> Option<OldCookie> {
        OldSessions::cookie(self, request)
    }

    fn load<'a>(&'a self, cookie: &'a OldCookie) -> Boxed<'a, Option<OldSession>> {
        Box::pin(async move { Ok(OldSessions::load(self, cookie).await?) })
    }

    fn end<'a>(&'a self, cookie: &'a OldCookie) -> Boxed<'a, ()> {
        Box::pin(async move { Ok(OldSessions::end(self, cookie).await?) })
    }

    fn removal(&self) -> Option<HeaderValue> {
        OldSessions::removal(self)
    }
}
