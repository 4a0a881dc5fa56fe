//! A real application of tower-sessions on each of their stores, moved to ours with the same
//! store under it: what one wrote the other reads, in the same shape.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tower_keep::keys::SecretKey;
use tower_keep::{Clock, Error, Import, ReadSession, Session, SessionLayer};
use tower_keep_testkit::TestClient;
use tower_keep_tower_sessions::{Old14, TowerSessions14Layer};
use tower_sessions::{Session as Theirs, SessionManagerLayer};
use tower_sessions_core_014::SessionStore as _;

use crate::life::{COOKIE, clock};
use crate::place::{Moka, Place};
use crate::redis::Redis;
use crate::sql::{MariaDb, Postgres, Sqlite};

/// Every kind of value that JSON has, and the ends of the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Basket {
    owner: Option<String>,
    nobody: Option<String>,
    lines: Vec<Line>,
    none: Vec<Line>,
    notes: BTreeMap<String, String>,
    total: f64,
    whole: f64,
    largest: u64,
    smallest: i64,
    paid: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Line {
    Voucher,
    Goods { name: String, pieces: u32 },
    Fee(i8, String),
}

fn basket() -> Basket {
    let goods = Line::Goods {
        name: "Käse \u{1F9C0} \"alt\"\n\0".to_owned(),
        pieces: 3,
    };
    Basket {
        owner: Some("ann".to_owned()),
        nobody: None,
        lines: vec![goods, Line::Voucher, Line::Fee(-1, String::new())],
        none: Vec::new(),
        notes: [("a.b".to_owned(), String::new())].into(),
        total: 12.345,
        whole: 3.0,
        largest: u64::MAX,
        smallest: i64::MIN,
        paid: true,
    }
}

const KEYS: [&str; 3] = ["basket", "with.dot", "empty"];

/// Handlers as an app has that was written for tower-sessions.
fn routes() -> Router {
    let put = async |session: Theirs| {
        session.insert("basket", basket()).await.unwrap();
        session.insert("with.dot", 1).await.unwrap();
        session.insert("empty", Map::new()).await.unwrap();
    };
    let show = async |session: Theirs| {
        let mut all = Map::new();
        for key in KEYS {
            let value = session.get_value(key).await.unwrap();
            all.extend(value.map(|value| (key.to_owned(), value)));
        }
        text(&all)
    };
    let basket = async |session: Theirs| text(&session.get::<Basket>("basket").await.unwrap());
    Router::new()
        .route("/put", get(put))
        .route("/show", get(show))
        .route("/basket", get(basket))
}

/// Handlers that have been rewritten since.
fn ours() -> Router {
    let all = async |session: ReadSession| Ok::<_, Error>(text(&session.all()?));
    let pay = async |session: Session| {
        let mut basket: Basket = session.get("basket")?.unwrap();
        basket.paid = false;
        basket.largest -= 1;
        basket.lines.push(Line::Voucher);
        session.insert("basket", &basket)
    };
    Router::new()
        .route("/ours/all", get(all))
        .route("/ours/pay", get(pay))
}

fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

async fn moved<P: Place>() {
    let (old, new, clock) = (P::new().await, P::new().await, clock());
    let before = TestClient::new(routes().layer(SessionManagerLayer::new(old.store())));
    before.get("/put").await;
    let cookie = before.cookie("id").unwrap();
    let shown = before.get("/show").await.text();
    assert_eq!(json(&shown).as_object().unwrap().len(), KEYS.len());

    let until = clock.now().plus(Duration::from_secs(60 * 60));
    let key = SecretKey::from_bytes([7; 32]).unwrap();
    let layer = SessionLayer::builder(new.bridge(&clock).build())
        .clock(Arc::new(clock.clone()))
        .import(Import::new(Old14::new(old.store()), key, until))
        .build()
        .unwrap();
    let routes = routes().layer(TowerSessions14Layer::new()).merge(ours());
    let after = TestClient::new(routes.layer(layer)).with_clock(clock);
    after.set_cookie("id", &cookie);

    // Theirs by us.
    assert_eq!(json(&after.get("/ours/all").await.text()), json(&shown));
    assert!(after.cookie(COOKIE).is_some() && after.cookie("id").is_none());
    assert_eq!(json(&after.get("/show").await.text()), json(&shown));
    let id = cookie.parse().unwrap();
    assert_eq!(old.store().load(&id).await.unwrap(), None);

    // Ours by them, from the store again.
    assert_eq!(after.get("/ours/pay").await.status(), 200);
    let paid = after.get("/basket").await.text();
    let paid: Basket = serde_json::from_str(&paid).unwrap();
    let mut expected = basket();
    expected.paid = false;
    expected.largest -= 1;
    expected.lines.push(Line::Voucher);
    assert_eq!(paid, expected);
}

macro_rules! on {
    ($name:ident, $Place:ident) => {
        mod $name {
            use super::*;

            #[tokio::test]
            async fn f1_what_an_app_of_theirs_wrote_is_read_by_us_and_back() {
                moved::<$Place>().await;
            }
        }
    };
}

on!(moka, Moka);
on!(redis, Redis);
on!(sqlite, Sqlite);
on!(postgres, Postgres);
on!(mariadb, MariaDb);
