//! Whose sessions are whose, once for every engine.
//!
//! A session's user is a column of its row, so the index says exactly what the records say.
//! Sessions that join a user under a cap do so one after another, each in one transaction under
//! the user's lock: look at the others, write, end those that must make room.

use std::future::Future;

use tower_keep_core::data::Data;
use tower_keep_core::{SessionId, StoreError, Timestamp, UserCap, UserPage, View};

use crate::engine::{Engine, Outcome, Step};
use crate::row::{self, Listed, Stored};
use crate::statement::{Reads, Sql, Statements};
use crate::value::Value;

/// What an engine can do beside its steps.
pub(crate) trait Index {
    /// Runs a statement of [`Listing`], and tells the time.
    fn list(
        &self,
        listing: Listing,
    ) -> impl Future<Output = Result<(Vec<Listed>, Timestamp), StoreError>> + Send;

    /// [Carries out](Change::carry_out) a change in a transaction, under the user's lock from its
    /// beginning to its end.
    fn change(&self, change: Change) -> impl Future<Output = Result<Changed, StoreError>> + Send;
}

/// A statement that reads live sessions.
#[derive(Clone)]
pub(crate) struct Listing {
    pub(crate) sql: Sql,
    pub(crate) values: Vec<Value>,
}

impl Listing {
    fn new(sql: &Sql, user: &str, before: Option<SessionId>, limit: usize) -> Self {
        // No session has a larger id than one of the end of time.
        let before = before.unwrap_or_else(|| SessionId::new(Timestamp::MAX));
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        Self {
            sql: sql.clone(),
            values: vec![
                Value::Text(Some(user.to_owned())),
                Value::Id(before),
                Value::Int(Some(limit)),
            ],
        }
    }
}

/// What is to happen to a user's sessions.
pub(crate) struct Change {
    #[cfg(any(feature = "mysql", feature = "postgres"))]
    pub(crate) lock: u64,
    all: Listing,
    user: String,
    /// Who joins and stays in any case.
    except: Option<SessionId>,
    /// How it joins, and with how many others at most; otherwise all others end.
    joins: Option<(Step, UserCap)>,
}

/// What became of a [`Change`].
pub(crate) struct Changed {
    /// Of the step by which a session was to join; none if there is no room for it.
    outcome: Option<Outcome>,
    /// Those that ended.
    ended: Vec<SessionId>,
}

impl Change {
    fn new(sql: &Statements, user: &str, except: Option<SessionId>) -> Self {
        Self {
            #[cfg(any(feature = "mysql", feature = "postgres"))]
            lock: lock(&sql.name, user),
            all: Listing::new(&sql.list, user, None, usize::MAX),
            user: user.to_owned(),
            except,
            joins: None,
        }
    }

    /// The part of a change between the locking and the commit. Where there is no room nothing has
    /// been written.
    pub(crate) async fn carry_out(
        &self,
        transaction: &mut impl Transaction,
    ) -> Result<Changed, StoreError> {
        let mut others = transaction.list(self.all.clone()).await?;
        others.retain(|other| Some(other.record.head.id) != self.except);
        let others = others.iter().map(|other| &other.record.head);
        let mut outcome = None;
        let leaving: Vec<_> = match &self.joins {
            None => others.map(|head| head.id).collect(),
            Some((step, cap)) => {
                let logins = others.map(|head| (head.authenticated_at, head.id));
                let Ok(room) = cap.make_room(logins) else {
                    let ended = Vec::new();
                    return Ok(Changed { outcome, ended });
                };
                let joined = outcome.insert(transaction.step(step.clone()).await?);
                if joined.applied { room } else { Vec::new() }
            }
        };
        let ended = if leaving.is_empty() {
            leaving
        } else {
            transaction.revoke(&self.user, leaving).await?
        };
        Ok(Changed { outcome, ended })
    }
}

/// The number of the lock of a user. Every process must come to the same one, whatever it was
/// compiled with (so it is FNV-1a), and whether or not it names the table's schema. Users with the
/// same one wait for each other; that costs time and nothing else.
#[cfg(any(feature = "mysql", feature = "postgres"))]
fn lock(table: &str, user: &str) -> u64 {
    let bytes = table.bytes().chain([0]).chain(user.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// A transaction, under the lock of a user.
pub(crate) trait Transaction: Send {
    fn list(
        &mut self,
        listing: Listing,
    ) -> impl Future<Output = Result<Vec<Stored>, StoreError>> + Send;

    fn step(&mut self, step: Step) -> impl Future<Output = Result<Outcome, StoreError>> + Send;

    /// Destroys those of the sessions that are alive and the user's, and tells which they were.
    fn revoke(
        &mut self,
        user: &str,
        ids: Vec<SessionId>,
    ) -> impl Future<Output = Result<Vec<SessionId>, StoreError>> + Send;
}

pub(crate) fn revocation(sql: &Sql, user: &str, id: SessionId) -> Step {
    Step {
        sql: sql.clone(),
        id,
        values: vec![Value::Text(Some(user.to_owned()))],
        reads: Reads::Nothing,
    }
}

/// Carries out a step by which a session may join a user, under the cap if there is one. Beside
/// an outcome that was not applied there is the refusal if there was no room.
pub(crate) async fn step<E: Engine>(
    engine: &E,
    step: Step,
    joins: Option<(&str, Option<UserCap>)>,
) -> Result<(Outcome, Option<StoreError>), StoreError> {
    let Some((user, Some(cap))) = joins else {
        return Ok((engine.step(step).await?, None));
    };
    let id = step.id;
    let mut change = Change::new(engine.statements(), user, Some(id));
    change.joins = Some((step, cap));
    if let Some(outcome) = engine.change(change).await?.outcome {
        return Ok((outcome, None));
    }
    // It may have joined in an earlier try and left since.
    let (row, now) = engine.read(id).await?;
    Ok((Outcome::unmatched(row, now), Some(cap.full())))
}

pub(crate) async fn list<E: Engine>(
    engine: &E,
    user: &str,
    page: UserPage,
) -> Result<Vec<View>, StoreError> {
    let sql = engine.statements();
    let sql = if page.data {
        &sql.list_whole
    } else {
        &sql.list
    };
    let listing = Listing::new(sql, user, page.before, page.limit);
    let (rows, now) = engine.list(listing).await?;
    let views = row::all(rows)?.into_iter().map(|row| {
        if page.data {
            return Ok(row.complete(engine.max_data())?.view(now));
        }
        Ok(View {
            head: row.record.head,
            data: Data::default(),
            now,
        })
    });
    views.collect()
}

pub(crate) async fn revoke<E: Engine>(
    engine: &E,
    user: &str,
    id: SessionId,
) -> Result<bool, StoreError> {
    let step = revocation(&engine.statements().revoke, user, id);
    engine.step(step).await.map(|outcome| outcome.applied)
}

pub(crate) async fn revoke_all<E: Engine>(
    engine: &E,
    user: &str,
    except: Option<SessionId>,
) -> Result<Vec<SessionId>, StoreError> {
    let change = Change::new(engine.statements(), user, except);
    engine.change(change).await.map(|changed| changed.ended)
}

/// The contract's ability, for a store whose field `0` is an `Arc` of an engine.
macro_rules! impl_users {
    ($store:ty) => {
        impl tower_keep_core::Users for $store {
            fn list<'a>(
                &'a self,
                user: &'a str,
                page: tower_keep_core::UserPage,
            ) -> tower_keep_core::UsersFuture<'a, Vec<tower_keep_core::View>> {
                Box::pin($crate::users::list(&*self.0, user, page))
            }

            fn revoke<'a>(
                &'a self,
                user: &'a str,
                id: tower_keep_core::SessionId,
            ) -> tower_keep_core::UsersFuture<'a, bool> {
                Box::pin($crate::users::revoke(&*self.0, user, id))
            }

            fn revoke_all<'a>(
                &'a self,
                user: &'a str,
                except: Option<tower_keep_core::SessionId>,
            ) -> tower_keep_core::UsersFuture<'a, Vec<tower_keep_core::SessionId>> {
                Box::pin($crate::users::revoke_all(&*self.0, user, except))
            }
        }
    };
}

pub(crate) use impl_users;

#[cfg(all(test, any(feature = "mysql", feature = "postgres")))]
mod tests {
    use super::*;

    /// Processes of several releases lock the same, so these numbers must stay.
    #[test]
    fn the_lock_of_a_user_is_the_same_everywhere() {
        assert_eq!(lock("", ""), 0xaf63_bd4c_8601_b7df);
        assert_eq!(lock("keep_sessions", "ada"), 0x5816_f9ce_da89_0410);
        assert_ne!(lock("a", "bc"), lock("ab", "c"));
    }
}
