//! What is needed of another library.

use std::fmt;
use std::future::Future;

use http::HeaderValue;
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::ImportError;
use crate::request::RequestHead;

/// The sessions of another library, to be taken over by an [`Import`](super::Import).
///
/// `tower-keep-tower-sessions` has it for tower-sessions. For another library say how its cookie is
/// read and its sessions are loaded and ended:
///
/// ```
/// use std::sync::{Arc, Mutex};
/// use std::collections::HashMap;
/// use tower_keep::{ImportError, OldCookie, OldSession, OldSessions, RequestHead};
///
/// struct Legacy(Arc<Mutex<HashMap<Vec<u8>, String>>>);
///
/// impl OldSessions for Legacy {
///     fn cookie(&self, request: &RequestHead<'_>) -> Option<OldCookie> {
///         let values = tower_keep::cookie::candidates(request.headers, "legacy");
///         values.iter().next().map(OldCookie::new)
///     }
///
///     async fn load(&self, cookie: &OldCookie) -> Result<Option<OldSession>, ImportError> {
///         let found = self.0.lock().unwrap().get(cookie.as_bytes()).cloned();
///         Ok(found.map(|user| OldSession::new().user(user)))
///     }
///
///     async fn end(&self, cookie: &OldCookie) -> Result<(), ImportError> {
///         self.0.lock().unwrap().remove(cookie.as_bytes());
///         Ok(())
///     }
/// }
/// ```
pub trait OldSessions: Send + Sync + 'static {
    /// The old session's secret, from the request's cookie: its id, as a rule. `None` if there is
    /// no such cookie, or it is not well-formed, or its signature is wrong. It must be what the old
    /// library would have accepted as proof, and the same for every spelling of it.
    fn cookie(&self, request: &RequestHead<'_>) -> Option<OldCookie>;

    /// What the old session holds; `None` if there is none, or it is over.
    ///
    /// # Errors
    /// If that cannot be said now. The visitor is told to try again, and is not logged out.
    fn load(
        &self,
        cookie: &OldCookie,
    ) -> impl Future<Output = Result<Option<OldSession>, ImportError>> + Send;

    /// Ends the old session, so that `load` never finds it again. That there is none is no error.
    ///
    /// # Errors
    /// If it may still be there. It is tried again with the next request.
    fn end(&self, cookie: &OldCookie) -> impl Future<Output = Result<(), ImportError>> + Send;

    /// The `Set-Cookie` field that has the browser forget the old cookie. Default: none, and the
    /// old cookie stays until its own end.
    fn removal(&self) -> Option<HeaderValue> {
        None
    }
}

/// What proves the right to an old session. Overwritten in memory when it is dropped; `Debug` does
/// not show it.
#[derive(Clone)]
pub struct OldCookie(Zeroizing<Vec<u8>>);

impl OldCookie {
    /// With these bytes: at least 64 bits of them must be beyond guessing.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for OldCookie {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OldCookie(..)")
    }
}

/// What an old session holds. `Debug` shows none of it.
#[derive(Clone, Default)]
pub struct OldSession {
    pub(crate) data: Map<String, Value>,
    pub(crate) user: Option<String>,
}

impl OldSession {
    /// With nothing in it, of nobody.
    pub fn new() -> Self {
        Self::default()
    }

    /// With these data. Dots in keys separate nothing.
    #[must_use]
    pub fn data(mut self, data: Map<String, Value>) -> Self {
        self.data = data;
        self
    }

    /// Of this user. The imported session is listed and revoked with theirs, and is not
    /// [fresh](crate::ReadSession::is_fresh): when they proved who they are is not known.
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }
}

impl fmt::Debug for OldSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OldSession").finish_non_exhaustive()
    }
}
