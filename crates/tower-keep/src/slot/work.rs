//! An open session: its data, where it came from, and what was asked of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tower_keep_core::data::{Data, DataError, DataLimits, Edit};
use tower_keep_core::{Head, HeadChange, SecretHash, Timestamp, Token, View};

use super::merge::Merging;
use super::reserved::Reserved;
use super::{Identity, Mode};
use crate::error::Conflict;
use crate::fingerprint::Print;
use crate::lock::Grant;
use crate::request::RequestInfo;
use crate::shared::{Seen, Shared};
use crate::typed::Pending;

/// Why a request has no session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Absence {
    /// It sent no cookie.
    NoneSent,
    /// Its session has expired.
    Expired,
    /// Its cookie belongs to no session: ended long ago, made up, or damaged.
    Absent,
    /// Its session was ended, or its cookie replaced, while the request was under way. It can
    /// neither see the session nor start another, except by a login.
    Stale,
    /// The stored session cannot be read. A new one may be started; the old one is left alone.
    Corrupt,
    /// It sent the cookies of two live sessions. Neither is taken and none can be started.
    Ambiguous,
    /// This request has destroyed it.
    Destroyed,
    /// Its session belongs to another client, by the layer's
    /// [`FingerprintConfig`](crate::FingerprintConfig).
    Mismatch {
        /// Whether it was destroyed for that, and a new one may be started. Otherwise it is left
        /// alone, and only a login starts another.
        destroyed: bool,
    },
}

impl Absence {
    /// What forbids that any write starts a new session.
    pub(super) const fn conflict(self) -> Option<Conflict> {
        match self {
            Self::Stale => Some(Conflict::Stale),
            Self::Ambiguous => Some(Conflict::Ambiguous),
            Self::Mismatch { destroyed: false } => Some(Conflict::Mismatch),
            _ => None,
        }
    }

    /// Whether a login may start one nevertheless.
    pub(super) const fn may_log_in(self) -> bool {
        !matches!(self, Self::Ambiguous)
    }
}

/// Where an open session came from.
pub(super) enum Origin {
    /// The store; as it was then.
    Live(Head, Timestamp),
    /// Nowhere: there is none.
    None(Absence),
}

/// What was asked beside changes of the data.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is asked for on its own"
)]
pub(crate) struct Asked {
    pub(crate) rotate: bool,
    #[expect(clippy::option_option, reason = "not asked, cleared, or set")]
    pub(crate) user: Option<Option<Arc<str>>>,
    pub(crate) authenticated: bool,
    /// Whether the user that is set asked to be remembered.
    pub(crate) remember: bool,
    pub(crate) extend: Option<Duration>,
    /// An idle timeout of its own.
    pub(crate) idle: Option<Duration>,
    /// Tell the client to forget its cookie.
    pub(super) remove_cookie: bool,
    /// Remove its temporary files with the commit.
    pub(crate) forget_files: bool,
    /// Something was made already for the session that the commit is to store.
    pub(super) reserved: Option<Reserved>,
}

/// See the [module documentation](self).
pub(crate) struct Work {
    pub(crate) edit: Edit,
    pub(super) origin: Origin,
    pub(super) mode: Mode,
    /// Whether a `Session` was asked for; a reader may hold the lease for one that never came.
    pub(super) writes: bool,
    /// There is one exactly while the session's lease is held.
    pub(super) grant: Option<Grant>,
    /// There is something exactly in [`Mode::Merge`].
    pub(super) merging: Option<Box<Merging>>,
    pub(crate) asked: Asked,
    /// What `Typed` values have not written yet.
    pub(crate) pending: Pending,
    /// A session to destroy at the commit, held as well.
    pub(super) doomed: Option<Box<(View, Grant)>>,
    /// The cookie that opened it.
    pub(super) token: Option<Token>,
    pub(super) seen: Seen,
    /// What the client looks like, where sessions are bound to that.
    pub(super) print: Option<Box<Print>>,
    /// Whether nothing of it will be saved.
    pub(crate) discarded: bool,
    /// What an early commit wants sent.
    pub(super) cookie: Option<HeaderValue>,
    pub(super) info: Option<Box<RequestInfo>>,
}

impl fmt::Debug for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Work")
            .field("head", &self.head())
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

impl Work {
    pub(super) fn is_writable(&self) -> bool {
        matches!(self.mode, Mode::Write | Mode::Merge)
    }

    pub(super) fn holds_lease(&self) -> bool {
        self.grant.is_some() || self.doomed.is_some()
    }

    /// The stored session's head, if there is one.
    pub(crate) fn head(&self) -> Option<&Head> {
        match &self.origin {
            Origin::Live(head, _) => Some(head),
            Origin::None(_) => None,
        }
    }

    pub(crate) fn absence(&self) -> Option<Absence> {
        match self.origin {
            Origin::Live(..) => None,
            Origin::None(absence) => Some(absence),
        }
    }

    /// How long before the opening the user last proved who they are; no time at all if they do in
    /// this request.
    pub(crate) fn authenticated_ago(&self) -> Option<Duration> {
        match &self.origin {
            _ if self.asked.authenticated => Some(Duration::ZERO),
            _ if self.asked.user.is_some() => None,
            Origin::Live(head, now) => Some(now.since(head.authenticated_at?)),
            Origin::None(_) => None,
        }
    }

    pub(crate) fn expires_in(&self) -> Option<Duration> {
        match &self.origin {
            Origin::Live(head, now) => Some(head.deadline().since(*now)),
            Origin::None(_) => None,
        }
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.head().map(|head| (head.id, head.generation))
    }

    /// The user as this request sees it.
    pub(crate) fn user(&self) -> Option<Arc<str>> {
        match &self.asked.user {
            Some(user) => user.clone(),
            None => self.head().and_then(|head| head.user.clone()),
        }
    }

    /// Sets or clears the user; clearing nobody is no change.
    pub(crate) fn set_user(&mut self, user: Option<Arc<str>>, remember: bool) {
        if user.is_none() && self.user().is_none() {
            return;
        }
        let stored = self.head().and_then(|head| head.user.as_ref());
        // Nobody was stored and somebody was only set by this request.
        self.asked.user = (user.is_some() || stored.is_some()).then_some(user);
        self.asked.authenticated = matches!(self.asked.user, Some(Some(_)));
        self.asked.remember = remember;
    }

    /// Gives the session up at the commit; tells whether there is one.
    pub(crate) fn destroy(&mut self, limits: DataLimits) -> bool {
        self.edit = Edit::new(Data::default(), limits);
        self.asked = Asked::default();
        let origin = std::mem::replace(&mut self.origin, Origin::None(Absence::Destroyed));
        match (origin, self.grant.take()) {
            (Origin::Live(head, now), Some(grant)) => {
                self.asked.remove_cookie = true;
                let data = Data::default();
                self.doomed = Some(Box::new((View { head, data, now }, grant)));
                true
            }
            (Origin::None(absence), _) => {
                self.origin = Origin::None(absence);
                // A cookie that opens nothing is of no use any more; a stale one has a successor.
                // What belongs to another client is none of this one's.
                let useless = matches!(
                    absence,
                    Absence::Absent | Absence::Expired | Absence::Mismatch { .. }
                );
                self.asked.remove_cookie = useless || self.doomed.is_some();
                false
            }
            (live, None) => {
                self.origin = live;
                false
            }
        }
    }

    /// What changes in the head, with the digest of a new secret where one is due.
    pub(super) fn head_change(&self, secret: Option<SecretHash>, shared: &Shared) -> HeadChange {
        let Asked {
            rotate: _,
            user,
            authenticated,
            remember,
            extend,
            idle,
            remove_cookie: _,
            forget_files: _,
            reserved: _,
        } = &self.asked;
        // Who proves again who they are stays in their index for as long as that is good for.
        let again = || authenticated.then(|| self.user()).flatten().map(Some);
        HeadChange {
            secret,
            user: user.clone().or_else(again),
            cap: shared.user_cap,
            authenticated: *authenticated,
            anchor: user.is_some() || *authenticated,
            limits: self.limits(
                user.as_ref()
                    .map(|user| shared.lifetimes.of(user.is_some(), *remember)),
                *idle,
            ),
            remember: user.as_ref().map(|_| *remember),
            extend: *extend,
            // The client is noted where authority changes hands.
            client: secret.and_then(|_| self.seen.client()),
        }
    }

    /// Binds the session to the client where a commit makes it somebody's.
    pub(super) fn note_client(&mut self) -> Result<(), DataError> {
        if (self.rotates() || self.starts_session())
            && let Some(print) = self.print.take()
        {
            print.note(&mut self.edit)?;
        }
        Ok(())
    }

    /// Whether the secret must be replaced: with every change of authority.
    pub(crate) fn rotates(&self) -> bool {
        self.asked.rotate || self.asked.user.is_some() || self.asked.authenticated
    }

    /// Whether a commit without a stored session would make one: only if there is something to
    /// keep.
    pub(super) fn starts_session(&self) -> bool {
        matches!(self.origin, Origin::None(_))
            && (self.edit.is_changed()
                || self.asked.reserved.is_some()
                || matches!(self.asked.user, Some(Some(_))))
    }

    /// Why it must not: a double-clicked login works, anything else that meant another session does
    /// not.
    pub(super) fn forbids_to_start(&self) -> Option<Conflict> {
        let absence = self.absence()?;
        let login = absence.may_log_in() && matches!(self.asked.user, Some(Some(_)));
        absence.conflict().filter(|_| !login)
    }

    /// One of the library's own entries was set or removed.
    pub(crate) fn wrote_system(&mut self, name: &str) {
        if let Some(merging) = &mut self.merging {
            merging.log.wrote_system(&self.edit, name);
        }
    }

    /// Whether a commit of this request keeps what is written now, without starting a session for
    /// it.
    pub(crate) fn will_be_saved(&self) -> bool {
        let has_session = self.head().is_some() || self.starts_session();
        self.is_writable() && self.writes && !self.discarded && has_session
    }

    /// Whether the commit would make a cookie that somebody must be told.
    pub(super) fn needs_response(&self) -> bool {
        self.starts_session() || (self.head().is_some() && self.rotates())
    }

    /// What stays to be looked at while this is committed before the request's end.
    pub(super) fn committed_early(&self) -> Result<Self, DataError> {
        let origin = match &self.origin {
            Origin::Live(head, now) => Origin::Live(head.clone(), *now),
            Origin::None(absence) => Origin::None(*absence),
        };
        Ok(Self {
            edit: self.edit.saved()?,
            origin,
            mode: Mode::Closed,
            writes: false,
            grant: None,
            merging: None,
            asked: Asked::default(),
            pending: Pending::default(),
            doomed: None,
            token: None,
            seen: Seen::default(),
            print: None,
            discarded: false,
            cookie: None,
            info: self.info.clone(),
        })
    }
}
