//! A small application on a store.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use tower_keep::{DynStore, Error, LockConfig, ReadSession, Session, SessionLayer};
use tower_keep_testkit::TestClient;

use crate::processes::say;

pub(crate) const COOKIE: &str = "__Host-id";

pub(crate) type Client = TestClient<Router>;

/// Leases short enough that a test can wait for them, patience long enough that nobody gives up.
pub(crate) fn locks() -> LockConfig {
    LockConfig {
        lease: Duration::from_secs(1),
        wait: Duration::from_mins(1),
        ..LockConfig::default()
    }
}

pub(crate) fn client(store: &DynStore, locks: LockConfig) -> Client {
    let layer = SessionLayer::builder(store.clone()).locks(locks).build();
    let app = Router::new()
        .route("/read", get(read))
        .route("/add", get(add))
        .route("/when", get(when))
        .route("/hold", get(hold))
        .route("/own/{name}", get(own))
        .route("/login", get(login))
        .route("/rotate", get(rotate))
        .route("/logout", get(logout));
    TestClient::new(app.layer(layer.unwrap()))
}

async fn read(session: ReadSession) -> Result<String, Error> {
    Ok(session.get_or("n", 0)?.to_string())
}

async fn add(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}

/// Says that it has the lock, and changes something once it is told to.
async fn hold(session: Session) -> Result<(), Error> {
    say("held");
    let told = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new()));
    told.await.unwrap().unwrap();
    session.insert("n", &1_000)
}

/// When it got the lock.
async fn when(_: Session) -> String {
    nanos().to_string()
}

pub(crate) fn nanos() -> u128 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_nanos()
}

/// Whose session it was before this request, and how often it was used.
async fn own(session: Session, Path(name): Path<String>) -> Result<String, Error> {
    let owner: String = session.get_or("owner", name.clone())?;
    session.insert("owner", &name)?;
    session.increment("n", 1)?;
    Ok(owner)
}

async fn login(session: Session) -> Result<(), Error> {
    session.set_user("ada-lovelace")
}

async fn rotate(session: Session) -> Result<(), Error> {
    session.increment("n", 1)?;
    session.rotate()
}

async fn logout(session: Session) -> Result<(), Error> {
    session.destroy().map(drop)
}
