//! Carrying out a step, and looking at what is stored.

use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    Created, DynStore, Finish, Finished, HeadChange, Limits, NewSession, Op, Open, Opened, Owner,
    Put, SessionStore, StoreError, StoreErrorKind, Sweep, UserCap, UserPage,
};

use crate::plan::{self, Plan, Step, Stored, USER, World};

/// How long leases last.
pub const LEASE: Duration = Duration::from_secs(10);

/// How many times a call is asked again.
const TRIES: usize = 3;

/// Carries out one step of a plan, and asks again what was not answered, as the keeper does.
#[derive(Debug)]
pub struct Actor<'a> {
    pub store: &'a DynStore,
    pub plan: &'a Plan,
    /// Which step.
    pub number: usize,
}

/// What is wrong.
pub type Failure = String;

impl Actor<'_> {
    /// Carries it out. After a call that failed it looks whether nothing is lost.
    pub async fn act(&self) -> Result<(), Failure> {
        match self.plan.steps()[self.number] {
            Step::Create { session, lasts } => {
                let new = new_session(self.number, session, lasts);
                match self.ask(async || self.store.create(&new).await).await? {
                    Created::Done(_) => Ok(()),
                    other => Err(format!("created: {other:?}")),
                }
            }
            Step::Put { session } => self.put(session, HeadChange::default()).await,
            Step::Rotate { session } => self.put(session, self.renewed(session).await?).await,
            Step::Login { session } => {
                let head = HeadChange {
                    user: Some(Some(USER.into())),
                    cap: Some(UserCap::evict_oldest(1)),
                    authenticated: true,
                    anchor: true,
                    ..self.renewed(session).await?
                };
                self.put(session, head).await
            }
            Step::Destroy { session } => self.finish(session, Op::Destroy).await,
            Step::Revoke { session } => {
                let id = plan::id(session);
                self.ask(async || self.store.destroy(id).await).await?;
                Ok(())
            }
            Step::Sweep => {
                let all = Sweep {
                    keep_tombstones: Duration::ZERO,
                    ..Sweep::default()
                };
                self.ask(async || self.store.sweep(all).await).await?;
                Ok(())
            }
            Step::Lease { session } => {
                self.lease(session).await?;
                Ok(())
            }
        }
    }

    async fn ask<A>(&self, call: impl AsyncFn() -> Result<A, StoreError>) -> Result<A, Failure> {
        let mut last = String::new();
        for _ in 0..TRIES {
            let error = match call().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            println!("{FAILED}{:?}", error.kind());
            last = format!("{error}: {:?}", std::error::Error::source(&error));
            let may = match error.kind() {
                StoreErrorKind::Unavailable => May::Next,
                // Whoever says that there is no room says that nothing was done.
                StoreErrorKind::Full => May::Exact,
                other => {
                    return Err(format!(
                        "{other:?} is no answer to a call that fails: {last}"
                    ));
                }
            };
            examine(self.store, self.plan, self.number, may).await?;
        }
        Err(format!("asked {TRIES} times: {last}"))
    }

    async fn lease(&self, session: u8) -> Result<u64, Failure> {
        let open = leasing(session, plan::owner(self.number));
        match self.ask(async || self.store.open(&open).await).await? {
            Opened::Granted(view) => Ok(view.head.version),
            other => Err(format!("opened: {other:?}")),
        }
    }

    async fn renewed(&self, session: u8) -> Result<HeadChange, Failure> {
        let seen = self.ask(async || seen(self.store, session).await).await?;
        let Stored::There { secret, .. } = seen else {
            return Err(format!("session {session} is {seen:?}"));
        };
        Ok(HeadChange {
            secret: Some(plan::secret(session, secret + 1)),
            ..HeadChange::default()
        })
    }

    async fn put(&self, session: u8, head: HeadChange) -> Result<(), Failure> {
        let put = Put {
            head,
            data: Some(data(self.number)),
        };
        self.finish(session, Op::Put(put)).await
    }

    async fn finish(&self, session: u8, op: Op) -> Result<(), Failure> {
        let finish = Finish {
            id: plan::id(session),
            owner: plan::owner(self.number),
            version: self.lease(session).await?,
            commit: plan::commit(self.number),
            op,
            next: None,
        };
        match self.ask(async || self.store.finish(&finish).await).await? {
            Finished::Done { .. } => Ok(()),
            other => Err(format!("finished: {other:?}")),
        }
    }
}

/// What the child says.
pub const FAILED: &str = "failed ";

/// The request that takes the lease of a session by its id.
pub fn leasing(session: u8, owner: Owner) -> Open {
    Open {
        id: plan::id(session),
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, LEASE)),
    }
}

/// A session as a step with this number makes it.
pub fn new_session(number: usize, session: u8, lasts: bool) -> NewSession {
    let short = Limits {
        idle: Duration::from_millis(500),
        absolute: Duration::from_millis(500),
    };
    NewSession {
        id: plan::id(session),
        secret: plan::secret(session, 0),
        commit: plan::commit(number),
        limits: if lasts { Limits::default() } else { short },
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: data(number),
    }
}

/// Data that take more than a page of a disk.
pub(crate) fn data(n: usize) -> Data {
    let filling = "x".repeat(5_000 + n);
    let json = format!(r#"{{"data":{{"filling":"{filling}","n":{n}}}}}"#);
    Data::from_json(json.as_bytes(), 1 << 20).unwrap()
}

/// What is stored of a session.
pub async fn seen(store: &DynStore, session: u8) -> Result<Stored, StoreError> {
    let Some((record, _)) = store.look(plan::id(session)).await?.record else {
        return Ok(Stored::Absent);
    };
    if record.gone_at.is_some() {
        return Ok(Stored::Tombstone);
    }
    let n = record.data.get("n").unwrap_or_default();
    let n = std::str::from_utf8(n).unwrap().parse().unwrap();
    assert_eq!(record.data, data(n), "not what was written");
    let is_its = |number: &u8| record.secret.matches(&plan::secret(session, *number));
    Ok(Stored::There {
        version: record.head.version,
        n,
        secret: (0..u8::MAX).find(is_its).unwrap(),
        is_users: record.head.user.as_deref() == Some(USER),
    })
}

/// What may be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// What all steps so far made.
    Exact,
    /// That, or what the next step makes.
    Next,
    /// As `Next`, and what was swept may be there again, for it was over.
    Return,
}

/// Whether in the store is what must be there when so many steps were acknowledged.
pub async fn examine(store: &DynStore, plan: &Plan, done: usize, may: May) -> Result<(), Failure> {
    let worlds = match may {
        May::Exact => vec![plan.after(done)],
        May::Next | May::Return => vec![plan.after(done), plan.after(done + 1)],
    };
    let mut theirs = Vec::new();
    for session in worlds[0].keys() {
        let seen = seen(store, *session).await;
        let seen = seen.map_err(|error| format!("session {session}: {error:?}"))?;
        let fits = |world: &World| match &world[session] {
            Stored::Swept(before) => {
                seen == Stored::Absent || may == May::Return && seen == **before
            }
            stored => seen == *stored,
        };
        if !worlds.iter().any(fits) {
            let expected: Vec<_> = worlds.iter().map(|world| &world[session]).collect();
            return Err(format!(
                "after {done} steps session {session} is {seen:?}, expected {expected:?}"
            ));
        }
        if matches!(seen, Stored::There { is_users: true, .. }) {
            theirs.push(plan::id(*session));
        }
    }
    theirs.sort_unstable_by(|a, b| b.cmp(a));
    let users = store.users().ok_or("the store has no index")?;
    let list = users.list(USER, UserPage::default()).await;
    let list = list.map_err(|error| format!("{error:?}"))?;
    let found: Vec<_> = list.iter().map(|view| view.head.id).collect();
    if found == theirs {
        Ok(())
    } else {
        Err(format!("the user has {theirs:?}, found are {found:?}"))
    }
}
