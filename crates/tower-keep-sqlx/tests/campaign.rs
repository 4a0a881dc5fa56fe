//! Random requests of several processes on one database, which ends some of their connections.

#![cfg(all(feature = "mysql", feature = "postgres", feature = "sqlite"))]
#![allow(
    clippy::doc_markdown,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, MySqlConnection};
use tower_keep_campaign::{Campaign, is_worker, work};

#[expect(dead_code, reason = "the suite needs more of it")]
#[path = "suite/place.rs"]
mod place;

use place::{Engine, Place};

async fn campaign(name: &str, engine: Engine) {
    if is_worker() {
        let given = |name| std::env::var(format!("KEEP_WORKER_{name}")).unwrap();
        let place = Place::existing(&given("ENGINE"), given("URL"), given("TABLE"));
        let store = if engine == Engine::Sqlite {
            place.store().await
        } else {
            // Its first connection may be ended like any.
            loop {
                if let Ok(store) = place.connected(8, Duration::from_secs(2)).await {
                    break store;
                }
            }
        };
        return work(store, engine == Engine::Sqlite).await;
    }
    let mut place = Place::new(engine);
    if engine == Engine::MariaDb {
        // In a database of its own, by which the server's list tells its connections.
        place.run(&format!("CREATE DATABASE {}", place.table)).await;
        let (server, _) = place.url.rsplit_once('/').unwrap();
        place.url = format!("{server}/{}", place.table);
    }
    let values = [
        ("ENGINE", format!("{engine:?}")),
        ("URL", place.url.clone()),
        ("TABLE", place.table.clone()),
    ];
    let values = values.map(|(name, value)| (format!("KEEP_WORKER_{name}"), value));
    let campaign = Campaign {
        name: &format!("{engine:?}"),
        test: name,
        place: values.to_vec(),
    };
    let store = place.store().await;
    campaign.run(store, async || disturb(&place).await).await;
}

/// Ends some of the connections.
async fn disturb(place: &Place) {
    match place.engine {
        Engine::Sqlite => {}
        Engine::Postgres => {
            let ours = format!(
                "pg_stat_activity WHERE application_name = '{}'",
                place.table
            );
            let some = format!("SELECT pid FROM {ours} ORDER BY random() LIMIT 3");
            let end = format!("SELECT pg_terminate_backend(pid) FROM ({some}) AS chosen");
            place.run(&end).await;
        }
        Engine::MariaDb => {
            let mut admin = MySqlConnection::connect(&place.url).await.unwrap();
            let ids = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ? \
                       AND id != CONNECTION_ID() ORDER BY RAND() LIMIT 3";
            let ids = sqlx::query_scalar::<_, i64>(ids).bind(&place.table);
            for id in ids.fetch_all(&mut admin).await.unwrap() {
                // It may have gone meanwhile.
                let kill = AssertSqlSafe(format!("KILL {id}"));
                drop(sqlx::query(kill).execute(&mut admin).await);
            }
        }
    }
}

macro_rules! campaigns {
    ($($name:ident $engine:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        #[ignore = "by chance, and alone: ./test.sh runs it by itself"]
        async fn $name() {
            campaign(stringify!($name), Engine::$engine).await;
        }
    )* };
}

campaigns! {
    a_campaign_on_sqlite_finds_nothing Sqlite
    a_campaign_on_postgres_finds_nothing Postgres
    a_campaign_on_mariadb_finds_nothing MariaDb
}
