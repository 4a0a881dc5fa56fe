//! Disks that are full.

use tower_keep_core::data::Data;
use tower_keep_core::{
    Created, DynStore, Finished, NewSession, Op, Opened, Owner, Put, SessionStore, StoreError,
    StoreErrorKind,
};
use tower_keep_testkit::Rng;

use crate::place::Engine;
use crate::server::Server;
use crate::storage::{commit, leasing, new_session, putting, reading};

/// So long a text that nothing packs.
fn bulk(rng: &mut Rng, bytes: usize) -> Data {
    let text: String = std::iter::repeat_with(|| format!("{:016x}", rng.next_u64()))
        .take(bytes / 16)
        .collect();
    Data::from_json(
        format!(r#"{{"data":{{"n":"{text}"}}}}"#).as_bytes(),
        1 << 20,
    )
    .unwrap()
}

fn is_full<T>(result: Result<T, StoreError>) -> bool {
    match result {
        Ok(_) => false,
        Err(error) => {
            let why = std::error::Error::source(&error).unwrap().to_string();
            assert_eq!(error.kind(), StoreErrorKind::Full, "{why}");
            true
        }
    }
}

/// Locks a session, if there is room for that, and commits much to it.
async fn grow(store: &DynStore, new: &NewSession, data: &Data) -> Result<(), StoreError> {
    let owner = Owner::unique();
    let opened = store.open(&leasing(new, owner)).await?;
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
    let mut finish = putting(new, owner, 1);
    finish.op = Op::Put(Put {
        data: Some(data.clone()),
        ..Put::default()
    });
    let finished = store.finish(&finish).await;
    if finished.is_err() {
        // What is given up is its own space.
        let release = tower_keep_core::Finish {
            op: Op::Release,
            ..finish
        };
        drop(store.finish(&release).await);
    }
    let finished = finished?;
    assert!(matches!(finished, Finished::Done { .. }), "{finished:?}");
    Ok(())
}

async fn filled(engine: Engine, megabytes: usize) {
    let room = format!("{megabytes}m");
    let server = Server::start(engine, Some(&room)).await;
    let place = server.place();
    let (store, mut rng) = (place.store().await, Rng::new(1));
    let old = new_session();
    store.create(&old).await.unwrap();
    let ballast = server.small().join("ballast");
    std::fs::write(&ballast, vec![1; megabytes << 18]).unwrap();
    let mut sessions = Vec::new();
    loop {
        let new = NewSession {
            data: bulk(&mut rng, 16_000),
            ..new_session()
        };
        let created = store.create(&new).await;
        if let Ok(created) = &created {
            assert!(matches!(created, Created::Done(_)), "{created:?}");
            sessions.push(new.clone());
        }
        if is_full(created) {
            let looked = store.look(new.id).await.unwrap();
            assert!(looked.record.is_none(), "half a session");
            break;
        }
        assert!(sessions.len() < 10_000, "never full");
    }
    println!("{engine:?}: full with {} sessions", sessions.len());

    // Nothing of it is visible, in the old record neither, and reading goes on.
    let much = bulk(&mut rng, 500_000);
    assert!(is_full(grow(&store, &old, &much).await));
    if engine == Engine::Sqlite {
        // Those that wait while one is tried share a transaction.
        let create = |_| {
            let (store, data) = (store.clone(), much.clone());
            let new = NewSession {
                data,
                ..new_session()
            };
            tokio::spawn(async move { store.create(&new).await })
        };
        let together: Vec<_> = (0..20).map(create).collect();
        for created in together {
            assert!(is_full(created.await.unwrap()));
        }
    }
    for new in sessions.iter().chain([&old]) {
        let opened = store.open(&reading(new)).await.unwrap();
        let Opened::Granted(view) = opened else {
            panic!("{opened:?}");
        };
        assert_eq!(view.head.version, 1);
        assert_eq!(view.data.to_json(), new.data.to_json());
    }

    std::fs::remove_file(&ballast).unwrap();
    let new = new_session();
    let created = store.create(&new).await.unwrap();
    assert!(matches!(created, Created::Done(_)), "{created:?}");
    commit(&store, &new).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_sqlite_is_a_typed_error() {
    filled(Engine::Sqlite, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_tablespace_of_postgres_is_a_typed_error() {
    filled(Engine::Postgres, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_mariadb_is_a_typed_error() {
    // It grows by four megabytes at a time.
    filled(Engine::MariaDb, 20).await;
}
