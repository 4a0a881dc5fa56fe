//! The verbs of the contract on top of `look` and `cas`.

use std::time::Duration;

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;
use crate::record::{NewSession, Record};
use crate::store::{Created, Expect, Finish, Finished, Looked, Open, Opened, SessionStore};
use crate::time::Timestamp;
use crate::unique::Owner;

/// A step that keeps losing against others gives up after this many tries: somebody else made
/// progress each time.
const TRIES: usize = 256;

/// Looks, decides on a copy, and swaps it in if the decision changed it.
async fn step<S: SessionStore + ?Sized, A>(
    store: &S,
    id: SessionId,
    mut decide: impl FnMut(Option<Record>, Timestamp) -> (A, Option<Record>) + Send,
) -> Result<A, StoreError> {
    for _ in 0..TRIES {
        let Looked { record, now } = store.look(id).await?;
        let (record, expect) = match record {
            Some((record, revision)) => (Some(record), Expect::Revision(revision)),
            None => (None, Expect::Absent),
        };
        let (answer, change) = decide(record, now);
        match change {
            None => return Ok(answer),
            Some(record) if store.cas(id, expect, &record).await? => return Ok(answer),
            Some(_) => {}
        }
    }
    Err(StoreError::new(
        StoreErrorKind::Unavailable,
        "the record kept changing under every attempt to write it",
    ))
}

pub(crate) async fn open<S: SessionStore + ?Sized>(
    store: &S,
    open: &Open,
) -> Result<Opened, StoreError> {
    step(store, open.id, |record, now| match record {
        None => (Opened::Absent, None),
        Some(mut record) => {
            let (opened, changed) = record.open(open, now);
            (opened, changed.then_some(record))
        }
    })
    .await
}

pub(crate) async fn finish<S: SessionStore + ?Sized>(
    store: &S,
    finish: &Finish,
) -> Result<Finished, StoreError> {
    step(store, finish.id, |record, now| match record {
        None => (Finished::Gone, None),
        Some(mut record) => {
            let (finished, changed) = record.finish(finish, now);
            (finished, changed.then_some(record))
        }
    })
    .await
}

pub(crate) async fn renew<S: SessionStore + ?Sized>(
    store: &S,
    id: SessionId,
    owner: Owner,
    lease: Duration,
) -> Result<bool, StoreError> {
    step(store, id, |record, now| match record {
        None => (false, None),
        Some(mut record) => {
            let renewed = record.renew(owner, lease, now);
            (renewed, renewed.then_some(record))
        }
    })
    .await
}

pub(crate) async fn create<S: SessionStore + ?Sized>(
    store: &S,
    new: &NewSession,
) -> Result<Created, StoreError> {
    step(store, new.id, |record, now| match record {
        None => (Created::Done(now), Some(Record::create(new, now))),
        Some(record) => (record.meet_create(new.commit, now), None),
    })
    .await
}

pub(crate) async fn destroy<S: SessionStore + ?Sized>(
    store: &S,
    id: SessionId,
) -> Result<bool, StoreError> {
    step(store, id, |record, now| match record {
        None => (false, None),
        Some(mut record) => {
            let destroyed = record.destroy(now);
            (destroyed, destroyed.then_some(record))
        }
    })
    .await
}
