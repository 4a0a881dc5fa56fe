//! Their sessions, to be taken over by ours.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde_json::{Map, Value};
use time::OffsetDateTime;
use tower_keep::cookie::candidates;
use tower_keep::{ImportError, OldCookie, OldSession, OldSessions, RequestHead};

use crate::error::BridgeError;
use crate::theirs::Theirs;

type UserOf = Box<dyn Fn(&Map<String, Value>) -> Option<String> + Send + Sync>;
type Reveal = Box<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// The sessions that an app has in tower-sessions, to be imported by
/// [`SessionLayerBuilder::import`](tower_keep::SessionLayerBuilder::import).
///
/// Name it by the version of the contract that the store was written for: `Old14`, `Old15`. Give it
/// the store as the app had it, and what its `SessionManagerLayer` was told of the cookie.
pub struct OldTowerSessions<T> {
    theirs: T,
    name: String,
    path: String,
    domain: Option<String>,
    user: Option<UserOf>,
    reveal: Option<Reveal>,
}

impl<T: Theirs> OldTowerSessions<T> {
    pub(crate) fn over(theirs: T) -> Self {
        Self {
            theirs,
            name: "id".to_owned(),
            path: "/".to_owned(),
            domain: None,
            user: None,
            reveal: None,
        }
    }

    /// The cookie's name, as in `with_name`. Default: `id`.
    #[must_use]
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// The cookie's path, as in `with_path`, so that it can be removed. Default: `/`.
    #[must_use]
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// The cookie's domain, as in `with_domain`, so that it can be removed. Default: none.
    #[must_use]
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Tells from the values of a session whose it is, as
    /// [`TowerSessionsLayer::user`](crate::TowerSessionsLayer::user). Default: nobody's.
    #[must_use]
    pub fn user(
        mut self,
        user: impl Fn(&Map<String, Value>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.user = Some(Box::new(user));
        self
    }

    /// Makes of the cookie's value the id in it, for a layer that had `with_signed` or
    /// `with_private`: verifies or decrypts it with the key that it was told, and gives `None` if
    /// that fails. Default: the value is the id.
    #[must_use]
    pub fn reveal(
        mut self,
        reveal: impl Fn(&str) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.reveal = Some(Box::new(reveal));
        self
    }

    /// Their id, the one way to spell it.
    fn id(&self, value: &[u8]) -> Option<[u8; 16]> {
        let value = std::str::from_utf8(value).ok()?;
        let revealed = self.reveal.as_ref().map(|reveal| reveal(value));
        let text = match &revealed {
            None => value,
            Some(text) => text.as_deref()?,
        };
        URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()
    }
}

fn their_id(cookie: &OldCookie) -> Result<i128, ImportError> {
    let bytes = cookie.as_bytes().try_into();
    let bytes = bytes.map_err(|_| ImportError::new("the id is not one of tower-sessions"))?;
    Ok(i128::from_le_bytes(bytes))
}

impl<T: Theirs> OldSessions for OldTowerSessions<T> {
    fn cookie(&self, request: &RequestHead<'_>) -> Option<OldCookie> {
        let values = candidates(request.headers, &self.name);
        // Of several the last one counted.
        let id = values.as_slice().iter().rev().find_map(|v| self.id(v))?;
        Some(OldCookie::new(id))
    }

    async fn load(&self, cookie: &OldCookie) -> Result<Option<OldSession>, ImportError> {
        let row = self.theirs.load(their_id(cookie)?).await?;
        let live = |row: &crate::theirs::Row| row.expiry_date > OffsetDateTime::now_utc();
        let Some(row) = row.filter(live) else {
            return Ok(None);
        };
        let data: Map<_, _> = row.data.into_iter().collect();
        let user = self.user.as_ref().and_then(|user| user(&data));
        let old = OldSession::new().data(data);
        Ok(Some(match user {
            Some(user) => old.user(user),
            None => old,
        }))
    }

    async fn end(&self, cookie: &OldCookie) -> Result<(), ImportError> {
        Ok(self.theirs.delete(their_id(cookie)?).await?)
    }

    fn removal(&self) -> Option<HeaderValue> {
        let (name, path) = (&self.name, &self.path);
        let domain = self
            .domain
            .iter()
            .map(|domain| format!("; Domain={domain}"));
        // Names that promise it need it; elsewhere it would be ignored over plain HTTP.
        let secure = if name.starts_with("__") {
            "; Secure"
        } else {
            ""
        };
        let domain: String = domain.collect();
        let field = format!("{name}=; Max-Age=0; Path={path}{domain}{secure}; HttpOnly");
        HeaderValue::try_from(field).ok()
    }
}

impl From<BridgeError> for ImportError {
    fn from(error: BridgeError) -> Self {
        Self::new(error.to_string())
    }
}

impl<T> fmt::Debug for OldTowerSessions<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OldTowerSessions")
            .field("name", &self.name)
            .field("path", &self.path)
            .field("domain", &self.domain)
            .finish_non_exhaustive()
    }
}
