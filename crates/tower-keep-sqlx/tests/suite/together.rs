//! Many steps at once, and many reads, which SQLite's store carries out in few texts.

use sqlx::sqlite::SqlitePoolOptions;
use tower_keep_core::{Created, DynStore, Finished, Opened, Owner, SessionStore, StoreErrorKind};
use tower_keep_sqlx::SqliteStore;

use crate::place::{ENGINES, Engine, Place, soon};
use crate::storage::{commit, data, leasing, new_session, putting, reading};

const SESSIONS: usize = 45;

/// What becomes of the session of this number.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fate {
    Granted,
    /// Another owner has it.
    Busy,
    /// The secret is wrong.
    Absent,
}

fn fate(number: usize) -> Fate {
    match number % 5 {
        2 => Fate::Busy,
        4 => Fate::Absent,
        _ => Fate::Granted,
    }
}

#[tokio::test]
async fn each_of_many_at_once_has_its_own_answer() {
    for engine in ENGINES {
        // As many as copies of a statement in one text, and others.
        for sessions in [2, 3, SESSIONS] {
            many_at_once(engine, sessions).await;
        }
    }
}

async fn many_at_once(engine: Engine, sessions: usize) {
    let place = Place::new(engine);
    let store = place.store().await;
    // On this runtime all ask before the writer has its turn.
    let creating: Vec<_> = (0..sessions)
        .map(|number| {
            let (store, mut new) = (store.clone(), new_session());
            new.data = data(u64::try_from(number).unwrap() + 100);
            tokio::spawn(async move { (store.create(&new).await, new) })
        })
        .collect();
    let mut all = Vec::new();
    for (number, created) in creating.into_iter().enumerate() {
        let (created, new) = created.await.unwrap();
        assert!(matches!(created, Ok(Created::Done(_))), "{engine:?}");
        if fate(number) == Fate::Busy {
            let held = store.open(&leasing(&new, Owner::unique())).await.unwrap();
            assert!(matches!(held, Opened::Granted(_)), "{engine:?}");
        }
        all.push((new, Owner::unique()));
    }
    let opening: Vec<_> = (all.iter().enumerate())
        .map(|(number, (new, owner))| {
            let (store, mut open) = (store.clone(), leasing(new, *owner));
            if fate(number) == Fate::Absent {
                open.secret = Some(new_session().secret);
            }
            tokio::spawn(async move { store.open(&open).await })
        })
        .collect();
    for (number, opened) in opening.into_iter().enumerate() {
        let opened = opened.await.unwrap().unwrap();
        match (fate(number), opened) {
            (Fate::Granted, Opened::Granted(view)) => {
                assert_eq!(view.head.id, all[number].0.id, "{engine:?}: {number}");
                assert_eq!(view.data, all[number].0.data, "{engine:?}: {number}");
            }
            (Fate::Busy, Opened::Busy(_)) | (Fate::Absent, Opened::Absent) => {}
            (fate, opened) => panic!("{engine:?}: {number} is {fate:?}, not {opened:?}"),
        }
    }
    // Who has the lease commits, others are refused.
    let finishing: Vec<_> = all
        .iter()
        .map(|(new, owner)| {
            let (store, finish) = (store.clone(), putting(new, *owner, 1));
            tokio::spawn(async move { store.finish(&finish).await })
        })
        .collect();
    for (number, finished) in finishing.into_iter().enumerate() {
        let finished = finished.await.unwrap().unwrap();
        let granted = fate(number) == Fate::Granted;
        match finished {
            Finished::Done { version: 2, .. } if granted => {}
            Finished::Lost if !granted => {}
            other => panic!("{engine:?}: {number} is {:?}, not {other:?}", fate(number)),
        }
        let record = store
            .look(all[number].0.id)
            .await
            .unwrap()
            .record
            .unwrap()
            .0;
        let expected = if granted {
            data(1)
        } else {
            all[number].0.data.clone()
        };
        assert_eq!(record.data, expected, "{engine:?}: {number}");
    }
}
/// Readers of many sessions at once, of some of them twice, some of which are not there or cannot
/// be read.
#[tokio::test]
async fn each_of_many_reads_at_once_has_its_own_answer() {
    let place = Place::new(Engine::Sqlite);
    let own = place.store().await;
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect(&place.url).await.unwrap();
    let builder = SqliteStore::builder().table(&place.table).unwrap();
    let others = DynStore::new(builder.build(pool.clone()));
    let mut all = Vec::new();
    for number in 0..SESSIONS {
        let mut new = new_session();
        new.data = data(u64::try_from(number).unwrap() + 100);
        if number % 5 != 2 {
            own.create(&new).await.unwrap();
        }
        if number % 15 == 3 {
            let change = ["data = '{}'", "version = -1"][number % 2];
            let id = u128::from_be_bytes(*new.id.as_bytes());
            let sql = format!(
                "UPDATE {} SET {change} WHERE id = x'{id:032x}'",
                place.table
            );
            place.run(&sql).await;
        }
        all.push(new);
    }
    for store in [own, others] {
        // On this runtime all ask before a reader has its turn.
        let twice = all.iter().chain(&all[..SESSIONS / 2]).enumerate();
        let reading: Vec<_> = twice
            .map(|(number, new)| {
                let (store, open) = (store.clone(), reading(new));
                let number = number % SESSIONS;
                (number, tokio::spawn(async move { store.open(&open).await }))
            })
            .collect();
        for (number, opened) in reading {
            match soon(opened).await.unwrap() {
                Ok(Opened::Granted(view)) if number % 15 != 3 => {
                    assert_eq!(view.head.id, all[number].id, "{number}");
                    assert_eq!(view.data, all[number].data, "{number}");
                }
                Ok(Opened::Absent) if number % 5 == 2 => {}
                Err(error) if number % 15 == 3 => {
                    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{number}");
                }
                other => panic!("{number}: {other:?}"),
            }
        }
    }
    // From another's pool nothing is withheld.
    soon(pool.acquire()).await.unwrap();
}

/// Whoever was told of a commit reads it, whoever else reads at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_committed_is_read() {
    let place = Place::new(Engine::Sqlite);
    let store = place.store().await;
    let visitor = || {
        let (store, new) = (store.clone(), new_session());
        async move {
            store.create(&new).await.unwrap();
            for version in 2..20 {
                commit(&store, &new).await;
                let opened = store.open(&reading(&new)).await.unwrap();
                let Opened::Granted(view) = opened else {
                    panic!("{opened:?}");
                };
                assert_eq!(view.head.version, version);
            }
        }
    };
    let visitors: Vec<_> = (0..24).map(|_| tokio::spawn(visitor())).collect();
    for visitor in visitors {
        soon(visitor).await.unwrap();
    }
}
