//! What goes wrong while visitors are there.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, Executor, MySqlConnection, PgConnection, SqliteConnection};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tower_keep::core::UserPage;
use tower_keep::{Error, SessionLayer};

use crate::place::{Kind, Place};
use crate::program::{MOMENT, Program};
use crate::visitor::name;
use crate::vitals::{Where, connections_to};

/// How many visitors find their session taken by another process.
const TAKEN: u32 = 8;

/// Has things go wrong again and again, the first time after half of `every`, by turns: the program
/// stands still for a moment; what its store has of its own; another process has some of the
/// sessions. Tells how often.
pub(crate) async fn faults(
    program: &Program,
    place: &Place,
    every: Duration,
    until: Instant,
) -> u32 {
    let mut next = Instant::now() + every / 2;
    for turn in 0.. {
        if next >= until {
            sleep_until(until).await;
            return turn;
        }
        sleep_until(next).await;
        match turn % 3 {
            _ if place.kind == Kind::Memory => program.pause().await,
            0 => program.pause().await,
            1 => trouble(program, place).await,
            _ => others_hold(place).await,
        }
        next += every;
    }
    0
}

async fn trouble(program: &Program, place: &Place) {
    match place.kind {
        Kind::Memory => {}
        Kind::File => others_hold(place).await,
        // Another process writes for a moment.
        Kind::Sqlite => {
            let mut other = SqliteConnection::connect(&place.url).await.unwrap();
            // On a slow machine it may not get it.
            if other.execute("BEGIN IMMEDIATE").await.is_ok() {
                sleep(MOMENT).await;
                other.execute("ROLLBACK").await.unwrap();
            }
        }
        Kind::Redis => close_on_redis(program, place).await,
        Kind::Postgres => {
            let mut admin = PgConnection::connect(&place.server).await.unwrap();
            let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1";
            let end = sqlx::query(end).bind(&place.database);
            end.execute(&mut admin).await.unwrap();
        }
        Kind::MariaDb => {
            let mut admin = MySqlConnection::connect(&place.server).await.unwrap();
            let ids = "SELECT CAST(id AS SIGNED) FROM information_schema.processlist WHERE db = ?";
            let ids = sqlx::query_scalar::<_, i64>(ids).bind(&place.database);
            for id in ids.fetch_all(&mut admin).await.unwrap() {
                // It may have gone meanwhile.
                let kill = AssertSqlSafe(format!("KILL {id}"));
                drop(sqlx::query(kill).execute(&mut admin).await);
            }
        }
    }
}

/// Another process has the sessions of some visitors for a moment, who wait for theirs.
async fn others_hold(place: &Place) {
    // On a slow machine it may not get that far.
    let Ok(store) = tower_keep_connect::connect(&place.url).await else {
        return;
    };
    let sessions = SessionLayer::new(store).sessions();
    let mut holding = JoinSet::new();
    for number in 1..=TAKEN {
        let visitor = sessions.of(name(number));
        let found = visitor.list(UserPage::default()).await;
        for found in found.unwrap_or_default() {
            let (sessions, id) = (sessions.clone(), found.id());
            let hold = async move |_| {
                sleep(MOMENT).await;
                Ok::<_, Error>(())
            };
            // The visitor may end it meanwhile.
            holding.spawn(async move { drop(sessions.write(id, hold).await) });
        }
    }
    holding.join_all().await;
}

/// `CLIENT KILL TYPE normal` would end others' connections too, where the server has others.
async fn close_on_redis(program: &Program, place: &Place) {
    let Where::Port(port) = place.whereabouts() else {
        return;
    };
    let client = redis::Client::open(&*place.server).unwrap();
    // On a slow machine it may not get that far.
    let Ok(mut admin) = client.get_multiplexed_async_connection().await else {
        return;
    };
    for end in connections_to(program.pid, port) {
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("ADDR").arg(end.to_string());
        // It may have gone meanwhile.
        drop(kill.exec_async(&mut admin).await);
    }
}
