//! Walking over a table that somebody else has written to, and its schema.

use tower_keep_core::{SessionStore, StoreErrorKind};
use tower_keep_sqlx::{MySqlStore, PostgresStore, SCHEMA_VERSION, SqliteStore};

use crate::place::{ENGINES, Engine, Place};
use crate::storage::new_session;

#[tokio::test]
async fn a_row_that_cannot_be_read_does_not_end_a_walk() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let store = place.store().await;
        let mut ids = Vec::new();
        for number in 0..5 {
            let mut new = new_session();
            // So that one of them can be told from the others in SQL.
            new.user = Some(number.to_string().into());
            store.create(&new).await.unwrap();
            ids.push(new.id);
        }
        let table = &place.table;
        let damage = format!("UPDATE {table} SET secret = NULL, version = -1 WHERE user_id = '3'");
        place.run(&damage).await;
        let scan = store.scan().unwrap();
        let (mut live, mut bad, mut from) = (Vec::new(), Vec::new(), None);
        loop {
            let page = scan.page(from.as_ref(), 2).await.unwrap();
            live.extend(page.views.into_iter().map(|view| view.head.id));
            bad.extend(page.unreadable);
            from = page.next;
            if from.is_none() {
                break;
            }
        }
        assert_eq!(
            bad,
            [(ids.remove(3), StoreErrorKind::Corrupt)],
            "{engine:?}"
        );
        ids.sort_unstable();
        assert_eq!(live, ids, "{engine:?}");
    }
}

#[tokio::test]
async fn the_version_of_the_schema_is_told() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let (table, url) = (&place.table, &place.url);
        let (before, after) = match engine {
            Engine::Sqlite => {
                let builder = SqliteStore::builder().table(table).unwrap();
                let store = builder.connect(url).await.unwrap();
                let before = store.schema_version().await.unwrap();
                store.migrate().await.unwrap();
                (before, store.schema_version().await.unwrap())
            }
            Engine::Postgres => {
                let builder = PostgresStore::builder().table(table).unwrap();
                let builder = builder.schema("public").unwrap();
                let store = builder.connect(url).await.unwrap();
                let before = store.schema_version().await.unwrap();
                store.migrate().await.unwrap();
                (before, store.schema_version().await.unwrap())
            }
            Engine::MariaDb => {
                let builder = MySqlStore::builder().table(table).unwrap();
                let store = builder.connect(url).await.unwrap();
                let before = store.schema_version().await.unwrap();
                store.migrate().await.unwrap();
                (before, store.schema_version().await.unwrap())
            }
        };
        assert_eq!((before, after), (0, SCHEMA_VERSION), "{engine:?}");
    }
    let store = SqliteStore::connect("sqlite::memory:").await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), 0);
    store.migrate().await.unwrap();
    assert_eq!(store.schema_version().await.unwrap(), SCHEMA_VERSION);
}
