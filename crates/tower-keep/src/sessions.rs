//! Sessions without a request: for jobs, sockets and administration, and a user's own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_core::Serialize;
use serde_core::de::DeserializeOwned;
use serde_json::{Map, Value};
use tower_keep_core::data::{AsKey, Edit};
use tower_keep_core::{
    CommitId, Head, NewSession, Opened, Secret, SessionId, SessionStore, Sweep, Swept, Token,
    UserPage, Users, View,
};

use crate::error::Error;
use crate::handle::SessionHandle;
use crate::lock::call;
use crate::session::Session;
use crate::shared::Shared;
use crate::slot::{Slot, Tokens, create_stored};

/// The sessions of a layer, without any request.
///
/// Made by [`SessionLayer::sessions`](crate::SessionLayer::sessions), and to be cloned freely; put it
/// into the app's state. It may do anything with any session: what a user may do with their own
/// is [`of`](Self::of).
///
/// Ids may be given as [`SessionId`] or as text; what is no id is the id of no session.
///
/// ```
/// # async fn f() -> Result<(), tower_keep::Error> {
/// use tower_keep::{MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::new(MemoryStore::new());
/// let sessions = layer.sessions();
///
/// let started = sessions.create(Some("ada"), [("plan", "pro")]).await?;
/// assert!(sessions.update(started.id, [("plan", "free")]).await.is_ok());
/// let session = sessions.get(started.id).await?;
/// assert_eq!(session.and_then(|s| s.get("plan").ok()?), Some("free".to_owned()));
///
/// assert_eq!(sessions.destroy_user("ada").await?.len(), 1);
/// assert!(sessions.get(started.id).await?.is_none());
/// # Ok(()) }
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(f()).unwrap();
/// ```
#[derive(Clone)]
pub struct Sessions {
    pub(crate) shared: Arc<Shared>,
}

/// A session that was created without a request.
#[non_exhaustive]
pub struct Started {
    /// Its public id.
    pub id: SessionId,
    /// What opens it: the value of its cookie or header field. Secret; it can be had only here.
    pub token: String,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Started")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl Sessions {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Creates a session of `user`, if one is given, with these data, and stores it at once.
    ///
    /// # Errors
    /// [`Error::Data`], [`Error::TooManySessions`], [`Error::Store`].
    pub async fn create<K: AsKey, V: Serialize>(
        &self,
        user: Option<&str>,
        data: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Started, Error> {
        let shared = &self.shared;
        let mut edit = Edit::new(tower_keep_core::data::Data::default(), shared.data);
        edit.insert_all(data)?;
        let secret = Secret::generate()?;
        let new = NewSession {
            id: SessionId::new(shared.clock.now()),
            secret: secret.hash(),
            commit: CommitId::unique(),
            limits: shared.lifetimes.of(user.is_some(), false),
            extend: None,
            user: user.map(Into::into),
            cap: shared.user_cap,
            authenticated: user.is_some(),
            client: None,
            remember: false,
            data: edit.into_data()?,
        };
        let token = Token::new(new.id, secret);
        let head = create_stored(shared, None, new).await?;
        Ok(Started {
            id: head.id,
            token: shared.tokens.encode(&token),
        })
    }

    /// The session as it is now. It is not locked and not touched. `None` if there is none of this
    /// id, or it is over.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn get(&self, id: impl TryInto<SessionId>) -> Result<Option<StoredSession>, Error> {
        let Ok(id) = id.try_into() else {
            return Ok(None);
        };
        Ok(match self.shared.peek(id).await? {
            Opened::Granted(view) => Some(self.stored(view)),
            _ => None,
        })
    }

    /// The session that this token opens, as a cookie or a header carries it, to be used without a
    /// request. The handle is bound to what the token opens first, as one that a request made; it
    /// never starts a session.
    pub fn open(&self, token: &str) -> SessionHandle {
        let tokens = Tokens::one(&self.shared, token);
        SessionHandle::new(self.slot(), tokens)
    }

    /// Locks the session, runs `change`, and commits if that returned `Ok`; as
    /// [`SessionHandle::write`], whoever is logged in.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there is none of this id, or it is over; else as there.
    pub async fn write<T, E, F>(&self, id: impl TryInto<SessionId>, change: F) -> Result<T, E>
    where
        E: From<Error>,
        F: AsyncFnOnce(Session) -> Result<T, E>,
    {
        let Ok(id) = id.try_into() else {
            return Err(Error::NotFound.into());
        };
        SessionHandle::by_id(self.slot(), id).write(change).await
    }

    /// Sets these values, under the lock. Others stay.
    ///
    /// # Errors
    /// As [`write`](Self::write), and [`Error::Data`].
    pub async fn update<K: AsKey, V: Serialize>(
        &self,
        id: impl TryInto<SessionId>,
        values: impl IntoIterator<Item = (K, V)>,
    ) -> Result<(), Error> {
        self.write(id, async |session| session.insert_all(values))
            .await
    }

    /// Moves the idle deadline to at least `span` from now, never beyond the absolute one.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub async fn extend(&self, id: impl TryInto<SessionId>, span: Duration) -> Result<(), Error> {
        self.write(id, async |session| session.extend(span)).await
    }

    /// Destroys a session, whoever is using it; tells whether there was a live one.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn destroy(&self, id: impl TryInto<SessionId>) -> Result<bool, Error> {
        match id.try_into() {
            Ok(id) => {
                let destroyed = self.call(self.shared.store.destroy(id)).await?;
                if destroyed {
                    self.shared.events.revoked(id, None);
                }
                Ok(destroyed)
            }
            Err(_) => Ok(false),
        }
    }

    /// Removes what is over, one batch; see [`sweep_every`](Self::sweep_every).
    ///
    /// # Errors
    /// [`Error::Store`].
    pub async fn sweep(&self) -> Result<Swept, Error> {
        let sweep = Sweep {
            keep_tombstones: self.shared.max_request_age,
            ..Sweep::default()
        };
        let swept = self.shared.store.sweep(sweep).await;
        self.shared.observer.swept(swept.as_ref());
        let swept = swept?;
        self.shared.events.swept(&swept.expired);
        Ok(swept)
    }

    /// Destroys every session of `user`, and tells which they were. Once it returns, none opens any
    /// more whose login was answered before the call.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::NoUsers`] if the store cannot find a user's sessions.
    pub async fn destroy_user(&self, user: &str) -> Result<Vec<SessionId>, Error> {
        self.revoke_all(&user.into(), None).await
    }

    /// As [`destroy_user`](Self::destroy_user), but for the session that is excepted: after a change
    /// of password, say.
    ///
    /// # Errors
    /// As there.
    pub async fn destroy_others(
        &self,
        user: &str,
        except: SessionId,
    ) -> Result<Vec<SessionId>, Error> {
        self.revoke_all(&user.into(), Some(except)).await
    }

    /// The sessions of one user, and no others.
    pub fn of(&self, user: impl Into<Arc<str>>) -> UserSessions {
        UserSessions {
            sessions: self.clone(),
            user: user.into(),
            current: None,
        }
    }

    async fn revoke_all(
        &self,
        user: &Arc<str>,
        except: Option<SessionId>,
    ) -> Result<Vec<SessionId>, Error> {
        let ended = self.users()?.revoke_all(user, except).await?;
        for id in &ended {
            self.shared.events.revoked(*id, Some(user));
        }
        Ok(ended)
    }

    fn users(&self) -> Result<&dyn Users, Error> {
        self.shared.store.users().ok_or(Error::NoUsers)
    }

    fn slot(&self) -> Arc<Slot> {
        let arrived = self.shared.clock.monotonic();
        Arc::new(Slot::without_response(self.shared.clone(), arrived))
    }

    fn stored(&self, View { head, data, now }: View) -> StoredSession {
        StoredSession {
            edit: Edit::opened(data, self.shared.data, head.created_at, now),
            expires_in: head.deadline().since(now),
            head,
            is_current: false,
        }
    }

    async fn call<T>(
        &self,
        verb: impl Future<Output = Result<T, tower_keep_core::StoreError>>,
    ) -> Result<T, Error> {
        if self.shared.is_local() {
            return Ok(verb.await?);
        }
        Ok(call(self.shared.locks.store_timeout, verb).await?)
    }
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions")
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}

/// The sessions of one user: what a "your devices" page needs. No other user's session can be
/// reached through it.
///
/// ```
/// # async fn f() -> Result<(), tower_keep::Error> {
/// use tower_keep::{Error, ReadSession, Sessions};
///
/// async fn end_device(session: ReadSession, sessions: Sessions, id: String) -> Result<(), Error> {
///     let Some(user) = session.user() else { return Ok(()) };
///     sessions.of(user).destroy(id.as_str()).await
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct UserSessions {
    sessions: Sessions,
    user: Arc<str>,
    current: Option<SessionId>,
}

impl UserSessions {
    /// Marks this session in what is listed.
    #[must_use]
    pub fn current(mut self, id: Option<SessionId>) -> Self {
        self.current = id;
        self
    }

    /// A page of the user's live sessions, the last created first. The next page is what comes
    /// `before` the last of this one.
    ///
    /// # Errors
    /// [`Error::Store`]; [`Error::NoUsers`] if the store cannot find a user's sessions.
    pub async fn list(&self, page: UserPage) -> Result<Vec<StoredSession>, Error> {
        let views = self.sessions.users()?.list(&self.user, page).await?;
        let stored = |view: View| {
            let is_current = self.current == Some(view.head.id);
            StoredSession {
                is_current,
                ..self.sessions.stored(view)
            }
        };
        Ok(views.into_iter().map(stored).collect())
    }

    /// Looks at all of the user's live sessions with their data, page by page, the last created
    /// first, and carries a value along.
    ///
    /// # Errors
    /// As [`list`](Self::list), or what `look` returns.
    pub async fn fold<T, E: From<Error>>(
        &self,
        init: T,
        mut look: impl FnMut(T, StoredSession) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut pages = self.pages();
        let mut value = init;
        while let Some(sessions) = pages.next().await? {
            for session in sessions {
                value = look(value, session)?;
            }
        }
        Ok(value)
    }

    /// The first of the user's live sessions, the last created first, for which `is` is true: that
    /// with a certain cart, say.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn find(
        &self,
        mut is: impl FnMut(&StoredSession) -> bool,
    ) -> Result<Option<StoredSession>, Error> {
        let mut pages = self.pages();
        while let Some(sessions) = pages.next().await? {
            if let Some(found) = sessions.into_iter().find(|session| is(session)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Destroys one of the user's sessions.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no live session of this id, whoever else has;
    /// otherwise as [`list`](Self::list).
    pub async fn destroy(&self, id: impl TryInto<SessionId>) -> Result<(), Error> {
        let Ok(id) = id.try_into() else {
            return Err(Error::NotFound);
        };
        if !self.sessions.users()?.revoke(&self.user, id).await? {
            return Err(Error::NotFound);
        }
        self.sessions.shared.events.revoked(id, Some(&self.user));
        Ok(())
    }

    /// Destroys all of the user's sessions but the [`current`](Self::current) one, if there is one;
    /// tells which they were.
    ///
    /// # Errors
    /// As [`list`](Self::list).
    pub async fn destroy_others(&self) -> Result<Vec<SessionId>, Error> {
        self.sessions.revoke_all(&self.user, self.current).await
    }

    fn pages(&self) -> Pages<'_> {
        Pages {
            sessions: self,
            next: Some(UserPage {
                data: true,
                ..UserPage::default()
            }),
        }
    }
}

/// All pages, one after the other.
struct Pages<'a> {
    sessions: &'a UserSessions,
    next: Option<UserPage>,
}

impl Pages<'_> {
    async fn next(&mut self) -> Result<Option<Vec<StoredSession>>, Error> {
        let Some(page) = self.next.take() else {
            return Ok(None);
        };
        let sessions = self.sessions.list(page).await?;
        self.next = sessions.last().map(|last| UserPage {
            before: Some(last.id()),
            ..page
        });
        Ok(Some(sessions))
    }
}

/// A session as it was in the store at one moment.
pub struct StoredSession {
    edit: Edit,
    head: Head,
    expires_in: Duration,
    is_current: bool,
}

impl StoredSession {
    /// Its public id.
    pub const fn id(&self) -> SessionId {
        self.head.id
    }

    /// What is known of it beside its data: user, client, when it was created, last seen and last
    /// logged in to, its deadlines.
    pub const fn head(&self) -> &Head {
        &self.head
    }

    /// How long from that moment it lives unless it is used.
    pub const fn expires_in(&self) -> Duration {
        self.expires_in
    }

    /// Whether it is the one given to [`UserSessions::current`].
    pub const fn is_current(&self) -> bool {
        self.is_current
    }

    /// The value under `key`, as [`ReadSession::get`](crate::ReadSession::get). There is none where
    /// the data were not asked for.
    ///
    /// # Errors
    /// [`Error::Data`] if it is not a `T`.
    pub fn get<T: DeserializeOwned>(&self, key: impl AsKey) -> Result<Option<T>, Error> {
        Ok(self.edit.get(key)?)
    }

    /// All data of the application.
    ///
    /// # Errors
    /// [`Error::Data`] if a stored value is damaged.
    pub fn all(&self) -> Result<Map<String, Value>, Error> {
        Ok(self.edit.all()?)
    }
}

impl fmt::Debug for UserSessions {
    /// Shows ids and not the user, who may be an e-mail address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UserSessions")
            .field("sessions", &self.sessions)
            .field("current", &self.current)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for StoredSession {
    /// Shows the id and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSession")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}
