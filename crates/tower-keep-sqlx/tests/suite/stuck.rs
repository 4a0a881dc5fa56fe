//! Logins that other transactions are in the way of.

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection};
use tokio::task::JoinHandle;
use tower_keep_core::{
    DynStore, Finish, Finished, SessionId, SessionStore, StoreError, StoreErrorKind, UserCap,
};

use crate::place::{Engine, Place, until};
use crate::storage::new_session;
use crate::users::{ids, leased, login, record, session_of};

/// Somebody else's transaction on one of the servers.
enum Outside {
    Postgres(PgConnection),
    MariaDb(MySqlConnection),
}

impl Outside {
    async fn begin(place: &Place) -> Self {
        let mut outside = match place.engine {
            Engine::Postgres => Self::Postgres(PgConnection::connect(&place.url).await.unwrap()),
            _ => Self::MariaDb(MySqlConnection::connect(&place.url).await.unwrap()),
        };
        outside.run("START TRANSACTION").await.unwrap();
        outside
    }

    async fn run(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = AssertSqlSafe(sql);
        match self {
            Self::Postgres(connection) => connection.execute(sql).await.map(drop),
            Self::MariaDb(connection) => connection.execute(sql).await.map(drop),
        }
    }
}

fn literal(engine: Engine, id: SessionId) -> String {
    match engine {
        Engine::Postgres => format!("'{id}'"),
        _ => format!("x'{}'", id.to_string().replace('-', "")),
    }
}

/// A login that waits for a row of somebody else's transaction: that of the session it evicts.
struct Stuck {
    store: DynStore,
    outside: Outside,
    old: SessionId,
    new: SessionId,
    finish: Finish,
    finishing: JoinHandle<Result<Finished, StoreError>>,
}

fn waiting_in_postgres(place: &Place) -> String {
    format!(
        "FROM pg_stat_activity WHERE application_name = '{}' AND wait_event_type = 'Lock'",
        place.table
    )
}

impl Stuck {
    async fn new(place: &Place) -> Self {
        let (store, table) = (place.store().await, &place.table);
        let old = session_of("ada", None);
        store.create(&old).await.unwrap();
        let (new, owner) = leased(&store).await;
        // In a deadlock MariaDB undoes whoever has done less.
        for _ in 0..20 {
            store.create(&new_session()).await.unwrap();
        }
        let mut outside = Outside::begin(place).await;
        let id = literal(place.engine, new.id);
        let others = format!("UPDATE {table} SET revision = revision + 1 WHERE id <> {id}");
        outside.run(&others).await.unwrap();

        let finish = login(&new, owner, Some(UserCap::evict_oldest(1)));
        let finishing = tokio::spawn({
            let (store, finish) = (store.clone(), finish.clone());
            async move { store.finish(&finish).await }
        });
        let in_postgres = format!("SELECT COUNT(*) {}", waiting_in_postgres(place));
        until(async || {
            assert!(!finishing.is_finished(), "it does not wait");
            match place.engine {
                Engine::MariaDb => !place.waiting_in_mariadb().await.is_empty(),
                _ => place.count(&in_postgres).await > 0,
            }
        })
        .await;
        Self {
            store,
            outside,
            old: old.id,
            new: new.id,
            finish,
            finishing,
        }
    }
}

/// The other transaction then waits for a row of the login. The server undoes one of them; of the
/// login nothing is left then, and it is tried again.
#[tokio::test(flavor = "multi_thread")]
async fn a_login_comes_through_a_deadlock() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let place = Place::new(engine);
        let mut stuck = Stuck::new(&place).await;
        let id = literal(engine, stuck.new);
        let this = format!(
            "UPDATE {} SET revision = revision + 1 WHERE id = {id}",
            place.table
        );
        let end = match stuck.outside.run(&this).await {
            Ok(()) => "COMMIT",
            Err(_) => "ROLLBACK",
        };
        println!("{engine:?}: the other one ends by {end}");
        stuck.outside.run(end).await.unwrap();
        let finished = stuck.finishing.await.unwrap();
        assert!(
            matches!(finished, Ok(Finished::Done { version: 2, .. })),
            "{engine:?}: {finished:?}"
        );
        assert_eq!(ids(&stuck.store).await, [stuck.new], "{engine:?}");
        let old = record(&stuck.store, stuck.old).await;
        assert!(old.gone_at.is_some(), "{engine:?}");
    }
}

/// Cut off between its own row and the one it evicts.
#[tokio::test(flavor = "multi_thread")]
async fn of_a_login_that_is_cut_off_nothing_is_left() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let place = Place::new(engine);
        let mut stuck = Stuck::new(&place).await;
        let kill = if engine == Engine::Postgres {
            let waiting = waiting_in_postgres(&place);
            format!("SELECT pg_terminate_backend(pid) {waiting}")
        } else {
            format!("KILL {}", place.waiting_in_mariadb().await[0])
        };
        place.run(&kill).await;
        let error = stuck.finishing.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{engine:?}");
        let new = record(&stuck.store, stuck.new).await;
        let owner = new.lease.map(|lease| lease.owner);
        assert_eq!((new.head.version, new.head.user), (1, None), "{engine:?}");
        assert_eq!(owner, Some(stuck.finish.owner), "{engine:?}");
        assert_eq!(ids(&stuck.store).await, [stuck.old], "{engine:?}");

        stuck.outside.run("ROLLBACK").await.unwrap();
        let finished = stuck.store.finish(&stuck.finish).await;
        assert!(
            matches!(finished, Ok(Finished::Done { version: 2, .. })),
            "{engine:?}: {finished:?}"
        );
        assert_eq!(ids(&stuck.store).await, [stuck.new], "{engine:?}");
    }
}
