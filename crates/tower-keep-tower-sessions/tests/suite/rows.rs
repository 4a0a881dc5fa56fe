//! A store for tower-sessions that a test looks into and makes fail, and sessions to put there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tower_keep::core::data::Data;
use tower_keep::core::{CommitId, Finish, NewSession, Op, Open, Opened, Owner, Put, Secret, View};
use tower_keep::{Clock, Limits, SessionId, SessionStore};
use tower_keep_testkit::{Gate, TestClock};
use tower_keep_tower_sessions::Bridged14;
use tower_sessions_core_014::session::{Id, Record};
use tower_sessions_core_014::session_store::{Error, Result};
use tower_sessions_core_014::{ExpiredDeletion, SessionStore as Theirs};

use crate::life::{clock, on};

/// What the calls fail with, if they do.
type Failing = Option<Failure>;

pub(crate) type Failure = fn() -> Error;

/// Rows as an SQL store of theirs has them: `save` is an upsert, `load` shows nothing that is
/// over, `create` chooses another id where there is a row, shown or not.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    stored: Arc<Mutex<HashMap<Id, Record>>>,
    failing: Arc<Mutex<Failing>>,
    calls: Arc<Mutex<Vec<&'static str>>>,
    saving: Arc<Mutex<Option<Gate>>>,
    keeping: Arc<Mutex<bool>>,
}

/// What a store must never be asked to show.
impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "everything: {:?}", self.stored.lock().unwrap())
    }
}

impl Rows {
    pub(crate) fn all(&self) -> Vec<Record> {
        self.stored.lock().unwrap().values().cloned().collect()
    }

    pub(crate) fn one(&self) -> Record {
        let rows = self.all();
        assert_eq!(rows.len(), 1);
        rows[0].clone()
    }

    pub(crate) fn put(&self, row: Record) {
        self.stored.lock().unwrap().insert(row.id, row);
    }

    pub(crate) fn clear(&self) {
        self.stored.lock().unwrap().clear();
    }

    /// Every call fails with this from now on, or no longer.
    pub(crate) fn fail(&self, error: Failing) {
        *self.failing.lock().unwrap() = error;
    }

    /// Every `delete` fails from now on, or no longer.
    pub(crate) fn fail_deletions(&self, fail: bool) {
        *self.keeping.lock().unwrap() = fail;
    }

    /// Every `save` from now on waits here before it takes effect.
    pub(crate) fn save_at(&self, gate: &Gate) {
        *self.saving.lock().unwrap() = Some(gate.clone());
    }

    /// The calls since this was asked last.
    pub(crate) fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    fn call(&self, name: &'static str) -> Result<()> {
        self.calls.lock().unwrap().push(name);
        self.failing
            .lock()
            .unwrap()
            .map_or(Ok(()), |error| Err(error()))
    }
}

#[async_trait]
impl Theirs for Rows {
    async fn create(&self, record: &mut Record) -> Result<()> {
        self.call("create")?;
        let mut rows = self.stored.lock().unwrap();
        while rows.contains_key(&record.id) {
            record.id = Id::default();
        }
        rows.insert(record.id, record.clone());
        Ok(())
    }

    async fn save(&self, record: &Record) -> Result<()> {
        let gate = self.saving.lock().unwrap().clone();
        if let Some(gate) = gate {
            gate.pass().await;
        }
        self.call("save")?;
        self.put(record.clone());
        Ok(())
    }

    async fn load(&self, id: &Id) -> Result<Option<Record>> {
        self.call("load")?;
        let row = self.stored.lock().unwrap().get(id).cloned();
        Ok(row.filter(|row| row.expiry_date > time::OffsetDateTime::now_utc()))
    }

    async fn delete(&self, id: &Id) -> Result<()> {
        self.call("delete")?;
        if *self.keeping.lock().unwrap() {
            return Err(Error::Backend("not now".to_owned()));
        }
        self.stored.lock().unwrap().remove(id);
        Ok(())
    }
}

#[async_trait]
impl ExpiredDeletion for Rows {
    async fn delete_expired(&self) -> Result<()> {
        self.call("delete_expired")?;
        let now = time::OffsetDateTime::now_utc();
        self.stored
            .lock()
            .unwrap()
            .retain(|_, row| row.expiry_date > now);
        Ok(())
    }
}

pub(crate) fn bridged() -> (Rows, Bridged14<Rows>, TestClock) {
    let (rows, clock) = (Rows::default(), clock());
    (rows.clone(), on(rows, &clock).build(), clock)
}

pub(crate) fn new_session(clock: &TestClock) -> NewSession {
    NewSession {
        id: SessionId::new(clock.now()),
        secret: Secret::generate().unwrap().hash(),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: Data::from_json(br#"{"data":{"n":1}}"#, 1024).unwrap(),
    }
}

/// Takes the lease, for a commit that changes nothing but the version.
pub(crate) async fn lock(store: &impl SessionStore, id: SessionId) -> (View, Finish) {
    let owner = Owner::unique();
    let open = Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_secs(10))),
    };
    let Opened::Granted(view) = store.open(&open).await.unwrap() else {
        panic!("the lease was not granted")
    };
    let finish = Finish {
        id,
        owner,
        version: view.head.version,
        commit: CommitId::unique(),
        op: Op::Put(Put::default()),
        next: None,
    };
    (view, finish)
}
