//! What the tests of single verbs share.

use std::time::Duration;

use tower_keep_core::data::Data;
use tower_keep_core::{
    CommitId, Finish, Finished, Limits, NewSession, Op, Open, Opened, Owner, Put, Secret,
    SessionId, SessionStore, Timestamp,
};

pub(crate) fn new_session() -> NewSession {
    NewSession {
        id: SessionId::new(Timestamp::from_millis(1_700_000_000_000)),
        secret: Secret::generate().unwrap().hash(),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: None,
        cap: None,
        authenticated: false,
        client: None,
        remember: false,
        data: data(0),
    }
}

pub(crate) fn data(value: u64) -> Data {
    Data::from_json(format!(r#"{{"data":{{"n":{value}}}}}"#).as_bytes(), 1_000).unwrap()
}

pub(crate) fn reading(new: &NewSession) -> Open {
    Open {
        id: new.id,
        secret: Some(new.secret),
        age: Duration::ZERO,
        touch: Some(Duration::from_mins(1)),
        lease: None,
    }
}

pub(crate) fn leasing(new: &NewSession, owner: Owner) -> Open {
    Open {
        lease: Some((owner, Duration::from_mins(1))),
        ..reading(new)
    }
}

pub(crate) fn putting(new: &NewSession, owner: Owner, version: u64) -> Finish {
    Finish {
        id: new.id,
        owner,
        version,
        commit: CommitId::unique(),
        op: Op::Put(Put {
            data: Some(data(version)),
            ..Put::default()
        }),
        next: None,
    }
}

/// Locks and commits once.
pub(crate) async fn commit(store: &impl SessionStore, new: &NewSession) {
    let owner = Owner::unique();
    let opened = store.open(&leasing(new, owner)).await.unwrap();
    let Opened::Granted(view) = opened else {
        panic!("{opened:?}");
    };
    let finished = store
        .finish(&putting(new, owner, view.head.version))
        .await
        .unwrap();
    assert!(matches!(finished, Finished::Done { .. }), "{finished:?}");
}
