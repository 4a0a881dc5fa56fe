//! A session, without a layer.

use std::time::Duration;

use tower_keep::core::data::Data;
use tower_keep::core::{CommitId, Created, NewSession, Open, Opened, Secret, SessionId, Timestamp};
use tower_keep::{DynStore, Limits, SessionStore, StoreError};
use tower_keep_connect::StoreConfig;

/// Its data has so many bytes and some more.
pub(crate) fn new_session(size: usize) -> NewSession {
    let data = format!(r#"{{"data":{{"text":"{}"}}}}"#, "x".repeat(size));
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
        data: Data::from_json(data.as_bytes(), 1 << 20).unwrap(),
    }
}

/// Whether the store has it.
pub(crate) async fn opens(store: &DynStore, session: &NewSession) -> bool {
    let open = Open {
        id: session.id,
        secret: Some(session.secret),
        age: Duration::ZERO,
        touch: None,
        lease: None,
    };
    match store.open(&open).await.unwrap() {
        Opened::Granted(_) => true,
        Opened::Absent => false,
        other => panic!("{other:?}"),
    }
}

pub(crate) async fn create(store: &DynStore, session: &NewSession) -> Result<(), StoreError> {
    let created = store.create(session).await?;
    assert!(matches!(created, Created::Done(_)), "{created:?}");
    Ok(())
}

/// A session that one store made, and the other opens.
pub(crate) async fn is_shared(one: &StoreConfig, other: &StoreConfig) -> bool {
    let session = new_session(1);
    let store = one.connect().await.unwrap();
    create(&store, &session).await.unwrap();
    assert!(opens(&store, &session).await);
    drop(store);
    opens(&other.connect().await.unwrap(), &session).await
}
