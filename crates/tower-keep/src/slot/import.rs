//! Opening a session by the cookie of another library.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use tokio::sync::oneshot;
use tower_keep_core::data::{Data, DataError, Edit, Literal};
use tower_keep_core::{Client, CommitId, Created, NewSession, SessionStore, Token};
use tracing::{debug, warn};

use super::Slot;
use super::commit::cookie_of;
use super::create::create_surely;
use super::find::{Found, How};
use super::work::{Absence, Origin};
use crate::error::Error;
use crate::fingerprint::Print;
use crate::import::{Import, OldCookie, OldSession};
use crate::lock::call;
use crate::observe::CommitKind;
use crate::request::RequestHead;
use crate::shared::Shared;

/// What the response to a request with an old cookie must say.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Our cookie, unless the commit has another one.
    set: Option<HeaderValue>,
    /// Their cookie is of no use any more.
    remove: Option<HeaderValue>,
}

/// What an import has found.
enum Old {
    /// Nothing that is not ours by now.
    Moved,
    /// Something that no session of ours can hold.
    Unusable,
}

impl Slot {
    /// The session that the old cookie's has become; `None` if the request has no such cookie.
    pub(super) async fn find_old(
        &self,
        head: &RequestHead<'_>,
        how: How<'_>,
    ) -> Result<Option<Found>, Error> {
        let Some((import, cookie, token)) = self.old(head) else {
            return Ok(None);
        };
        self.may_write()?;
        let shared = self.shared.clone();
        let taking = Taking {
            import: import.clone(),
            client: shared.seen(head).client(),
            print: shared.print(head),
            token: token.clone(),
            cookie,
            shared,
        };
        // To its end, even if the client leaves meanwhile: what was created is ended there.
        let (done, outcome) = oneshot::channel();
        self.shared.tasks.spawn(async move {
            let _ = done.send(taking.run().await);
        })?;
        if let Old::Unusable = outcome.await.unwrap_or(Err(Error::OutcomeUnknown))? {
            return Ok(Some(Found::none(Absence::Corrupt)));
        }
        let mut moved = Moved {
            set: None,
            remove: import.old.removal(),
        };
        let mut found = self.find_one(&token, how).await?;
        if let Origin::Live(head, now) = &found.origin {
            if *now < head.created_at.plus(import.grace) {
                moved.set = Some(cookie_of(&self.shared, &token, head, *now)?);
            } else {
                // Whoever has the new cookie uses that. A lease is given back.
                found = Found::none(Absence::Absent);
            }
        }
        *self.moved() = Some(Box::new(moved));
        Ok(Some(found))
    }

    /// The old cookie of the request and what it becomes, as long as sessions are imported.
    pub(super) fn old(&self, head: &RequestHead<'_>) -> Option<(&Arc<Import>, OldCookie, Token)> {
        let import = self.shared.import.as_ref()?;
        import.is_open(self.shared.clock.now()).then_some(())?;
        let cookie = import.old.cookie(head)?;
        let token = import.token(&cookie)?;
        Some((import, cookie, token))
    }

    /// Puts what an import has to say on the response; `told` is whether the commit has told the
    /// client another cookie.
    pub(crate) fn tell_moved(&self, headers: &mut HeaderMap, told: bool) {
        let Some(moved) = self.moved().take() else {
            return;
        };
        let carrier = &self.shared.carrier;
        if let Some(cookie) = moved.set.filter(|_| !told) {
            carrier.apply(headers, cookie);
        }
        if let Some(removal) = moved.remove {
            let (kind, name) = carrier.name();
            let theirs = removal.as_bytes().split(|b| *b == b'=').next();
            // A cookie of ours under the same name has taken its place.
            if kind != "cookie" || theirs != Some(name.as_bytes()) {
                headers.append(http::header::SET_COOKIE, removal);
            }
        }
    }
}

/// An import under way.
struct Taking {
    shared: Arc<Shared>,
    import: Arc<Import>,
    cookie: OldCookie,
    token: Token,
    client: Option<Arc<Client>>,
    print: Option<Box<Print>>,
}

impl Taking {
    async fn run(self) -> Result<Old, Error> {
        let limit = self.shared.locks.store_timeout;
        let old = &self.import.old;
        let Some(found) = call(limit, old.load(&self.cookie)).await? else {
            return Ok(Old::Moved);
        };
        let new = match self.new_session(found) {
            Ok(new) => new,
            Err(error) => {
                warn!(%error, "a session cannot be imported; it is left as it is");
                return Ok(Old::Unusable);
            }
        };
        let created = match self.shared.store.local() {
            Some(local) => local.create(&new).map_err(Error::from),
            None => create_surely(&self.shared, &new).await,
        };
        let observer = self.shared.observer;
        // Otherwise another request was first, and the session may even have ended since.
        if !matches!(created, Ok(Created::Collision | Created::Gone)) {
            observer.committed(CommitKind::Create, created.as_ref());
        }
        if let Created::Done(_) = created? {
            debug!(session.id = %new.id, "session imported");
            self.shared.events.created(new.id, new.user.as_ref());
        }
        call(limit, old.end(&self.cookie)).await?;
        Ok(Old::Moved)
    }

    fn new_session(&self, old: OldSession) -> Result<NewSession, DataError> {
        let mut edit = Edit::new(Data::default(), self.shared.data);
        edit.insert_all(old.data.iter().map(|(key, value)| (Literal(key), value)))?;
        if let Some(print) = &self.print {
            print.note(&mut edit)?;
        }
        Ok(NewSession {
            id: self.token.id(),
            secret: self.token.secret().hash(),
            commit: CommitId::unique(),
            limits: self.shared.lifetimes.of(old.user.is_some(), false),
            extend: None,
            user: old.user.map(Into::into),
            cap: self.shared.user_cap,
            authenticated: false,
            client: self.client.clone(),
            remember: false,
            data: edit.into_data()?,
        })
    }
}
