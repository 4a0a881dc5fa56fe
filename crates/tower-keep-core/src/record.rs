//! What a store keeps of one session.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::data::Data;
use crate::id::SessionId;
use crate::time::Timestamp;
use crate::token::SecretHash;
use crate::unique::{CommitId, Owner};
use crate::users::UserCap;

/// How long a session lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Without a request. Slides with use. Default 2 hours.
    pub idle: Duration,
    /// In all, counted from the creation, the last change of user or re-authentication. Default
    /// 24 hours.
    pub absolute: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        const HOUR: u64 = 60 * 60;
        Self {
            idle: Duration::from_secs(2 * HOUR),
            absolute: Duration::from_secs(24 * HOUR),
        }
    }
}

/// The client that a session was last seen with.
///
/// `Debug` shows neither: both are personal data.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Client {
    /// The address it came from.
    pub ip: Option<IpAddr>,
    /// What it calls itself.
    pub user_agent: Option<Box<str>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}

/// The part of a record that a request sees beside the data.
#[derive(Clone)]
#[non_exhaustive]
pub struct Head {
    /// The session's public name.
    pub id: SessionId,
    /// Counts commits; 1 after the creation.
    pub version: u64,
    /// Counts changes of authority: rotation, invalidation, change of user, re-authentication.
    /// What was opened under one generation must not act under another.
    pub generation: u64,
    /// When the session was created.
    pub created_at: Timestamp,
    /// When it was last opened, as exactly as touches are throttled.
    pub last_seen: Timestamp,
    /// When the user last proved who they are.
    pub authenticated_at: Option<Timestamp>,
    /// This session's own limits.
    pub limits: Limits,
    /// Expired from here on unless it is used before.
    pub idle_deadline: Timestamp,
    /// Expired from here on in any case.
    pub absolute_deadline: Timestamp,
    /// Whom it belongs to.
    pub user: Option<Arc<str>>,
    /// The client it was last seen with.
    pub client: Option<Arc<Client>>,
    /// Whether the user asked to be remembered.
    pub remember: bool,
}

impl Head {
    /// The instant from which on the session is expired: the earlier of both deadlines.
    pub fn deadline(&self) -> Timestamp {
        self.idle_deadline.min(self.absolute_deadline)
    }

    /// Whether the session is over at `now`: from the deadline on, that instant included.
    pub fn is_expired(&self, now: Timestamp) -> bool {
        now >= self.deadline()
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("id", &self.id)
            .field("version", &self.version)
            .field("generation", &self.generation)
            .field("created_at", &self.created_at)
            .field("idle_deadline", &self.idle_deadline)
            .field("absolute_deadline", &self.absolute_deadline)
            .finish_non_exhaustive()
    }
}

/// Who may commit, and until when the lock excludes others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lease {
    /// The holder.
    pub owner: Owner,
    /// By the store's clock; from here on others may take the lease.
    pub until: Timestamp,
}

/// The last four commits, newest first, by which a retry recognises itself.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Commits([u128; 4]);

impl Commits {
    /// Whether `commit` is among the last four.
    pub fn contains(&self, commit: CommitId) -> bool {
        commit.to_u128() != 0 && self.0.contains(&commit.to_u128())
    }

    /// Puts `commit` first and forgets the oldest.
    pub fn push(&mut self, commit: CommitId) {
        self.0.rotate_right(1);
        self.0[0] = commit.to_u128();
    }

    /// Newest first, as a store writes them down; zero where there is none.
    pub const fn to_array(self) -> [u128; 4] {
        self.0
    }

    /// As a store reads them back.
    pub const fn from_array(commits: [u128; 4]) -> Self {
        Self(commits)
    }
}

impl fmt::Debug for Commits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(
                self.0
                    .iter()
                    .filter(|c| **c != 0)
                    .map(|c| CommitId::from_u128(*c)),
            )
            .finish()
    }
}

/// Everything a store keeps of one session. All instants are of the store's clock.
///
/// The methods [`open`](Self::open), [`finish`](Self::finish), [`renew`](Self::renew) and
/// [`destroy`](Self::destroy) are the rules of the store's verbs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Record {
    /// What requests see beside the data.
    pub head: Head,
    /// The digest of the one secret that opens the session.
    pub secret: SecretHash,
    /// When the secret was last replaced.
    pub rotated_at: Option<Timestamp>,
    /// The lock.
    pub lease: Option<Lease>,
    /// Until when somebody who was refused the lease is taken to be still waiting.
    pub waiting_until: Option<Timestamp>,
    /// The last commits.
    pub commits: Commits,
    /// Set in a tombstone: when the session was destroyed. Nothing but the id, this and the
    /// commits means anything then.
    pub gone_at: Option<Timestamp>,
    /// What the application keeps in the session.
    pub data: Data,
}

impl Record {
    /// The record of a session created at `now`.
    pub fn create(new: &NewSession, now: Timestamp) -> Self {
        let mut commits = Commits::default();
        commits.push(new.commit);
        Self {
            head: Head {
                id: new.id,
                version: 1,
                generation: 0,
                created_at: now,
                last_seen: now,
                authenticated_at: new.authenticated.then_some(now),
                limits: new.limits,
                idle_deadline: now.plus(new.extend.unwrap_or_default().max(new.limits.idle)),
                absolute_deadline: now.plus(new.limits.absolute),
                user: new.user.clone(),
                client: new.client.clone(),
                remember: new.remember,
            },
            secret: new.secret,
            rotated_at: None,
            lease: None,
            waiting_until: None,
            commits,
            gone_at: None,
            data: new.data.clone(),
        }
    }
}

/// A session to be created: what the client decides; the instants are the store's.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id, unique by construction.
    pub id: SessionId,
    /// The digest of its secret.
    pub secret: SecretHash,
    /// The commit that creates it, by which a retry finds out that it was already applied.
    pub commit: CommitId,
    /// Its limits.
    pub limits: Limits,
    /// If longer than the idle limit, the first idle deadline is this far away.
    pub extend: Option<Duration>,
    /// Its user.
    pub user: Option<Arc<str>>,
    /// How many sessions the user may have, this one included.
    pub cap: Option<UserCap>,
    /// Whether the user proved who they are just now.
    pub authenticated: bool,
    /// The client that it is created for.
    pub client: Option<Arc<Client>>,
    /// Whether the user asked to be remembered.
    pub remember: bool,
    /// Its data.
    pub data: Data,
}

/// What a commit changes in the head. Everything is relative: the instants are the store's.
#[derive(Debug, Clone, Default)]
pub struct HeadChange {
    /// Replace the secret and enter the next generation.
    pub secret: Option<SecretHash>,
    /// Set (`Some(Some(..))`) or clear (`Some(None)`) the user. Comes with a new secret. Whoever
    /// moves the absolute deadline of a user's session names the user again, so that a store can
    /// keep its index as long.
    pub user: Option<Option<Arc<str>>>,
    /// How many sessions that user may have, this one included.
    pub cap: Option<UserCap>,
    /// The user has proved who they are just now.
    pub authenticated: bool,
    /// Count the absolute limit from now: on a change of user and on re-authentication.
    pub anchor: bool,
    /// New limits; the idle deadline then is one idle limit from now.
    pub limits: Option<Limits>,
    /// Move the idle deadline to at least this far from now.
    pub extend: Option<Duration>,
    /// The client it is seen with.
    pub client: Option<Arc<Client>>,
    /// Whether the user asked to be remembered.
    pub remember: Option<bool>,
}

impl HeadChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        let Self {
            secret,
            user,
            // Without a user to be set it means nothing.
            cap: _,
            authenticated,
            anchor,
            limits,
            extend,
            client,
            remember,
        } = self;
        secret.is_none()
            && user.is_none()
            && !authenticated
            && !anchor
            && limits.is_none()
            && extend.is_none()
            && client.is_none()
            && remember.is_none()
    }

    /// Makes the change at `now`. Does not count the commit.
    pub fn apply(&self, head: &mut Head, now: Timestamp) {
        if self.secret.is_some() {
            head.generation += 1;
        }
        if let Some(user) = &self.user {
            head.user.clone_from(user);
            head.authenticated_at = None;
        }
        if self.authenticated {
            head.authenticated_at = Some(now);
        }
        if let Some(limits) = self.limits {
            head.limits = limits;
            head.idle_deadline = now.plus(limits.idle);
        }
        if self.anchor {
            head.absolute_deadline = now.plus(head.limits.absolute);
        }
        if let Some(span) = self.extend {
            head.idle_deadline = head.idle_deadline.max(now.plus(span));
        }
        if let Some(client) = &self.client {
            head.client = Some(client.clone());
        }
        if let Some(remember) = self.remember {
            head.remember = remember;
        }
    }
}

#[cfg(test)]
mod tests;
