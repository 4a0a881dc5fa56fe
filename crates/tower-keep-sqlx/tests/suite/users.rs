//! A user's sessions, where more than one node or the database's own locks come in.

use sqlx::AssertSqlSafe;
use tower_keep_core::{
    Created, DynStore, Finish, Finished, HeadChange, NewSession, Op, Owner, Put, Record, SessionId,
    SessionStore, StoreErrorKind, UserCap, UserPage, Users,
};

use crate::cancelled::dropped_after;
use crate::place::{ENGINES, Engine, Place};
use crate::storage::{commit, leasing, new_session, putting};

fn users(store: &DynStore) -> &dyn Users {
    store.users().expect("it has the ability")
}

pub(crate) fn session_of(user: &str, cap: Option<UserCap>) -> NewSession {
    NewSession {
        user: Some(user.into()),
        cap,
        authenticated: true,
        ..new_session()
    }
}

/// The commit by which a session under a lease becomes the user's.
pub(crate) fn login(new: &NewSession, owner: Owner, cap: Option<UserCap>) -> Finish {
    Finish {
        op: Op::Put(Put {
            head: HeadChange {
                secret: Some(new_session().secret),
                user: Some(Some("ada".into())),
                cap,
                authenticated: true,
                anchor: true,
                ..HeadChange::default()
            },
            data: None,
        }),
        ..putting(new, owner, 1)
    }
}

pub(crate) async fn leased(store: &DynStore) -> (NewSession, Owner) {
    let (new, owner) = (new_session(), Owner::unique());
    store.create(&new).await.unwrap();
    store.open(&leasing(&new, owner)).await.unwrap();
    (new, owner)
}

pub(crate) async fn ids(store: &DynStore) -> Vec<SessionId> {
    let views = users(store).list("ada", UserPage::default()).await.unwrap();
    views.iter().map(|view| view.head.id).collect()
}

pub(crate) async fn record(store: &DynStore, id: SessionId) -> Record {
    store.look(id).await.unwrap().record.unwrap().0
}

/// Whether it joined and was alive when it was told so.
async fn joins(store: DynStore, by_creation: bool, cap: UserCap) -> bool {
    let refused = if by_creation {
        match store.create(&session_of("ada", Some(cap))).await {
            Ok(Created::Done(_)) => return true,
            Ok(other) => panic!("{other:?}"),
            Err(error) => error,
        }
    } else {
        let (new, owner) = leased(&store).await;
        match store.finish(&login(&new, owner, Some(cap))).await {
            Ok(Finished::Done { .. }) => return true,
            Ok(other) => panic!("{other:?}"),
            Err(error) => error,
        }
    };
    assert_eq!(refused.kind(), StoreErrorKind::UserFull, "{refused:?}");
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cap_is_exact_under_logins_on_two_nodes() {
    const MOST: usize = 5;
    for engine in ENGINES {
        for cap in [UserCap::evict_oldest(MOST), UserCap::refuse(MOST)] {
            let place = Place::new(engine);
            let nodes = [place.store().await, place.store().await];
            let logins: Vec<_> = (0..50)
                .map(|number| {
                    let node = nodes[number % 2].clone();
                    tokio::spawn(joins(node, number % 4 < 2, cap))
                })
                .collect();
            let mut joined = 0;
            for login in logins {
                joined += usize::from(login.await.unwrap());
            }
            for node in &nodes {
                assert_eq!(ids(node).await.len(), MOST, "{engine:?}, {cap:?}");
            }
            let alive = format!(
                "SELECT COUNT(*) FROM {} WHERE gone_at IS NULL AND user_id IS NOT NULL",
                place.table
            );
            assert_eq!(place.count(&alive).await, 5, "{engine:?}, {cap:?}");
            let expected = if cap == UserCap::refuse(MOST) {
                MOST
            } else {
                50
            };
            assert_eq!(joined, expected, "{engine:?}, {cap:?}");
        }
    }
}

/// SQLite carries out together what arrives together.
#[tokio::test]
async fn a_refused_login_fails_nobody_beside_it() {
    let place = Place::new(Engine::Sqlite);
    let (store, cap) = (place.store().await, UserCap::refuse(1));
    let (new, owner) = leased(&store).await;
    store.create(&session_of("ada", None)).await.unwrap();
    let others = [session_of("ada", None), session_of("bob", Some(cap))];
    let login = login(&new, owner, Some(cap));
    let (one, refused, two) = tokio::join!(
        store.create(&others[0]),
        store.finish(&login),
        store.create(&others[1]),
    );
    assert!(matches!(one, Ok(Created::Done(_))), "{one:?}");
    assert!(matches!(two, Ok(Created::Done(_))), "{two:?}");
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::UserFull);
    assert_eq!(ids(&store).await.len(), 2);
    let record = record(&store, new.id).await;
    assert!(record.lease.is_some_and(|lease| lease.owner == owner));
}

/// Whoever asks for a login and goes away leaves no transaction open on the connection, which
/// would swallow what comes next on it.
#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_login_swallows_no_commit() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let (store, cap) = (one_connection(&place).await, UserCap::evict_oldest(2));
        let (other, bystander) = (place.store().await, new_session());
        store.create(&bystander).await.unwrap();
        let mut dropped = 0;
        for round in 0..60 {
            let new = session_of("ada", Some(cap));
            let done = dropped_after(1 + round % 20, store.create(&new)).await;
            dropped += u64::from(done.is_none());
            commit(&store, &bystander).await;
            let seen = record(&other, bystander.id).await.head.version;
            assert_eq!(seen, round + 2, "{engine:?}");
        }
        assert!(dropped > 0, "{engine:?}");
        println!("{engine:?}: {dropped} of 60 dropped");
        let last = session_of("ada", Some(UserCap::evict_oldest(1)));
        other.create(&last).await.unwrap();
        assert_eq!(ids(&store).await, [last.id], "{engine:?}");
    }
}

pub(crate) async fn one_connection(place: &Place) -> DynStore {
    match place.engine {
        Engine::Sqlite => place.store().await,
        Engine::Postgres => DynStore::new(place.postgres(1).await),
        Engine::MariaDb => DynStore::new(place.mariadb(1).await),
    }
}

/// A list reads the index, not the table.
#[tokio::test(flavor = "multi_thread")]
async fn a_list_on_postgres_reads_the_index() {
    const LISTS: i64 = 10;
    let place = Place::new(Engine::Postgres);
    let table = &place.table;
    let pool = sqlx::PgPool::connect(&place.url).await.unwrap();
    let counters = format!(
        "SELECT t.seq_scan, i.idx_scan \
         FROM pg_stat_user_tables AS t JOIN pg_stat_user_indexes AS i USING (relid) \
         WHERE i.indexrelname = '{table}_user'"
    );
    {
        let store = DynStore::new(place.postgres(1).await);
        store.create(&session_of("ada", None)).await.unwrap();
        for number in 0..500 {
            let new = session_of(&format!("user-{number}"), None);
            store.create(&new).await.unwrap();
        }
        place.run(&format!("ANALYZE {table}")).await;
        for _ in 0..LISTS {
            assert_eq!(ids(&store).await.len(), 1);
        }
    }
    // The server's counters arrive when the connection that did the work has ended.
    loop {
        let query = sqlx::query_as::<_, (i64, i64)>(AssertSqlSafe(counters.as_str()));
        let (of_table, of_index) = query.fetch_one(&pool).await.unwrap();
        if of_table + of_index >= LISTS {
            println!("{of_index} scans of the index, {of_table} of the table");
            assert!(of_index >= LISTS, "{of_table} scans of the table");
            break;
        }
        tokio::task::yield_now().await;
    }
}

/// Without its lock no login would exclude another.
#[tokio::test]
async fn a_missing_lock_is_told() {
    let place = Place::new(Engine::MariaDb);
    let store = place.store().await;
    place
        .run(&format!("DELETE FROM {}_locks", place.table))
        .await;
    let new = session_of("ada", Some(UserCap::evict_oldest(1)));
    let error = store.create(&new).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.contains("`migrate`"), "{why}");
    let without = store.create(&session_of("ada", None)).await;
    assert!(matches!(without, Ok(Created::Done(_))), "{without:?}");
    place.store().await.create(&new).await.unwrap();
    assert_eq!(ids(&store).await, [new.id], "it was made again");
}
