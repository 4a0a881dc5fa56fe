//! B12: a part of the session as a type of the application.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use common::steps::Steps;
use common::{Backend, COOKIE, Client, Gates, app, id_of, settle, start};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower_http::catch_panic::CatchPanicLayer;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    DataError, Error, Keyed, ReadSession, ReadTyped, Session, SessionData, SessionHandle, Typed,
};

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Cart {
    items: Vec<String>,
    /// With an entry it cannot be written as JSON.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    odd: BTreeMap<(u8, u8), u8>,
}

impl SessionData for Cart {
    const KEY: &'static str = "shop.cart";
}

impl Cart {
    fn spoil(&mut self) {
        self.odd.insert((1, 2), 3);
    }
}

fn cart(session: &Session) -> Result<Typed<Cart>, Error> {
    Typed::from_session(session.clone())
}

fn push(session: &Session, item: &str) -> Result<(), Error> {
    cart(session)?.items.push(item.to_owned());
    Ok(())
}

fn spoil(session: &Session) -> Result<(), Error> {
    cart(session)?.spoil();
    Ok(())
}

type Change = fn(&Session) -> Result<(), Error>;

fn kept(backend: &Backend, client: &Client) -> Value {
    backend.data(id_of(client))["data"].take()
}

#[tokio::test(start_paused = true)]
async fn b12_a_value_is_read_changed_and_saved() {
    async fn add(mut cart: Typed<Cart>) -> String {
        let item = format!("item {}", cart.items.len());
        cart.items.push(item.clone());
        item
    }
    async fn count(cart: ReadTyped<Cart>) -> String {
        cart.items.len().to_string()
    }
    for backend in Backend::both() {
        let routes = Router::new()
            .route("/add", get(add))
            .route("/count", get(count));
        let client = backend.client(routes);
        assert_eq!(client.get("/count").await.text(), "0");
        assert_eq!(client.cookie(COOKIE), None);
        assert_eq!(client.get("/add").await.text(), "item 0");
        assert_eq!(client.get("/add").await.text(), "item 1");
        assert_eq!(client.get("/count").await.text(), "2");
        let expected = json!({ "shop.cart": [1, { "items": ["item 0", "item 1"] }] });
        assert_eq!(kept(&backend, &client), expected, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_concurrent_requests_lose_nothing() {
    async fn add(_: Session, mut cart: Typed<Cart>) {
        cart.items.push(String::new());
    }
    for backend in Backend::both() {
        let client = backend.client(Router::new().route("/add", get(add)));
        client.get("/add").await;
        let adding: Vec<_> = (0..20).map(|_| start(&client, "/add")).collect();
        for added in adding {
            assert_eq!(added.await.unwrap().status(), StatusCode::OK);
        }
        let items = kept(&backend, &client)["shop.cart"][1]["items"].take();
        assert_eq!(items.as_array().unwrap().len(), 21, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_only_a_change_is_written() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        let touched = |session: Session| {
            let mut cart = cart(&session)?;
            cart.items.push("tea".into());
            cart.items.pop();
            cart.save()?;
            cart.items.retain(|_| true);
            Ok(())
        };
        steps.write(touched).await;
        assert_eq!(steps.client.cookie(COOKIE), None, "{}", backend.name);

        steps.write(|s| push(&s, "tea")).await;
        let before = backend.record(&steps.client);
        steps.write(touched).await;
        steps.write(|s| Ok(cart(&s)?.items.len())).await;
        settle().await;
        let after = backend.record(&steps.client);
        assert_eq!(after.head.version, before.head.version, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_another_type_is_an_error_naming_the_key() {
    let backend = Backend::local();
    let steps = Steps::over(&backend);
    for other in [json!("cart"), json!([]), json!([1, "x"]), json!(["1", {}])] {
        let stored = other.clone();
        steps
            .write(move |s| s.insert(tower_keep::Literal(Cart::KEY), &stored))
            .await;
        let shown = |error: Error| match error {
            Error::Data(error @ (DataError::WrongType { .. } | DataError::Value { .. })) => {
                error.to_string()
            }
            error => panic!("{error}"),
        };
        let read = steps
            .read(move |s| {
                Ok(ReadTyped::<Cart>::from_session(&s)
                    .map_err(shown)
                    .unwrap_err())
            })
            .await;
        let written = steps
            .write(move |s| Ok(cart(&s).map_err(shown).unwrap_err()))
            .await;
        assert_eq!(read, written);
        let read = read.as_str().unwrap();
        assert!(
            read.contains("`shop.cart`") && read.contains("Cart"),
            "{read}"
        );
        let refused = steps.try_write(|s| cart(&s).map(drop)).await;
        assert_eq!(refused, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(kept(&backend, &steps.client)[Cart::KEY], other);
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Plan {
    seats: u32,
}

impl SessionData for Plan {
    const KEY: &'static str = "plan";
    const VERSION: u32 = 3;

    fn migrate(version: u32, value: Value) -> Option<Self> {
        match version {
            1 => Some(Self::default()),
            2 => Some(Self {
                seats: value.as_str()?.parse().ok()?,
            }),
            _ => None,
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b12_other_versions_are_migrated_or_refused() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        let put = async |stored: Value| steps.write(move |s| s.insert("plan", &stored)).await;
        let plan = |session: &Session| Typed::<Plan>::from_session(session.clone());

        put(json!([1, null])).await;
        assert_eq!(steps.write(move |s| Ok(plan(&s)?.seats)).await, 0);
        put(json!([2, "7"])).await;
        let read = |s: ReadSession| Ok(ReadTyped::<Plan>::from_session(&s)?.into_inner().seats);
        assert_eq!(steps.read(read).await, 7);
        steps.write(move |s| Ok(plan(&s)?.seats)).await;
        // Looking is no change.
        assert_eq!(kept(&backend, &steps.client)["plan"], json!([2, "7"]));
        steps
            .write(move |s| {
                plan(&s)?.seats += 1;
                Ok(())
            })
            .await;
        assert_eq!(
            kept(&backend, &steps.client)["plan"],
            json!([3, { "seats": 8 }])
        );

        for (stored, version) in [(json!([2, "many"]), 2), (json!([4, { "seats": 1 }]), 4)] {
            put(stored.clone()).await;
            let refused = steps
                .write(move |s| Ok(plan(&s).unwrap_err().to_string()))
                .await;
            let named = format!("session key `plan` holds version {version}");
            assert!(refused.as_str().unwrap().starts_with(&named), "{refused}");
            assert_eq!(kept(&backend, &steps.client)["plan"], stored);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b12_a_write_that_fails_fails_the_commit() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps.write(|s| s.insert("n", &1)).await;
        let failed = steps
            .try_write(|session| {
                session.insert("n", &2)?;
                cart(&session)?.spoil();
                Ok(())
            })
            .await;
        assert_eq!(
            failed,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{}",
            backend.name
        );
        assert_eq!(kept(&backend, &steps.client), json!({ "n": 1 }));

        // Who calls `save` gets the error, and can do something about it.
        steps
            .write(|session| {
                session.insert("n", &3)?;
                let mut cart = cart(&session)?;
                cart.spoil();
                let error = cart.save().unwrap_err();
                assert!(
                    matches!(&error, Error::Data(DataError::Encode { key, .. }) if key == Cart::KEY)
                );
                cart.odd.clear();
                cart.save()
            })
            .await;
        assert_eq!(kept(&backend, &steps.client), json!({ "n": 3 }));

        // Nor does an early commit leave it behind, or let the request go on as if nothing were.
        let early = async |session: Session| -> Result<String, Error> {
            session.insert("n", &4)?;
            cart(&session)?.spoil();
            Ok(session.commit().await.unwrap_err().to_string())
        };
        let client = backend.client(Router::new().route("/", get(early)));
        client.set_cookie(COOKIE, &steps.client.cookie(COOKIE).unwrap());
        let answer = client.get("/").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(kept(&backend, &steps.client), json!({ "n": 3 }));
    }
}

type Kept = Arc<Mutex<Vec<Typed<Cart>>>>;

/// `/task` gives the value to a task and waits for it, `/keep` lets it live on with a change,
/// `/peek` without one, `/session` lets a clone of the session live on.
fn movers(kept: Kept) -> Router {
    async fn task(mut cart: Typed<Cart>) {
        let adding = tokio::spawn(async move { cart.items.push("by a task".into()) });
        adding.await.unwrap();
    }
    async fn keep(
        State(kept): State<Kept>,
        session: Session,
        mut cart: Typed<Cart>,
    ) -> Result<(), Error> {
        session.insert("n", &1)?;
        cart.items.push("too late".into());
        kept.lock().unwrap().push(cart);
        Ok(())
    }
    async fn peek(State(kept): State<Kept>, cart: Typed<Cart>) {
        kept.lock().unwrap().push(cart);
    }
    Router::new()
        .route("/task", get(task))
        .route("/keep", get(keep))
        .route("/peek", get(peek))
        .with_state(kept)
}

#[tokio::test(start_paused = true)]
async fn b12_a_value_that_was_moved_is_written_or_missed() {
    for backend in Backend::both() {
        let alive = Kept::default();
        let client = backend.client(movers(alive.clone()));
        assert_eq!(client.get("/task").await.status(), StatusCode::OK);
        let expected = json!({ "shop.cart": [1, { "items": ["by a task"] }] });
        assert_eq!(kept(&backend, &client), expected, "{}", backend.name);

        let answer = client.get("/keep").await;
        assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(kept(&backend, &client), expected);
        let mut late = alive.lock().unwrap().pop().unwrap();
        assert!(matches!(late.save(), Err(Error::Closed)));
        drop(late);

        // One that nobody has changed may live as long as it likes.
        assert_eq!(client.get("/peek").await.status(), StatusCode::OK);
        assert_eq!(client.get("/task").await.status(), StatusCode::OK);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_two_ways_to_change_it_do_not_undo_one_another() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps.write(|s| push(&s, "tea")).await;
        let before = kept(&backend, &steps.client);

        let clashes: [Change; 4] = [
            |s| push(s, "milk"),
            |s| s.insert(tower_keep::Literal(Cart::KEY), &json!([1, { "items": [] }])),
            |s| s.clear(),
            |s| s.invalidate(),
        ];
        for clash in clashes {
            let status = steps
                .try_write(move |session| {
                    let mut first = cart(&session)?;
                    first.items.push("sugar".into());
                    clash(&session)
                })
                .await;
            assert_eq!(
                status,
                StatusCode::INTERNAL_SERVER_ERROR,
                "{}",
                backend.name
            );
            assert_eq!(kept(&backend, &steps.client), before);
        }
        // One after the other, and one that only looks beside one that changes.
        steps
            .write(|session| {
                let looks = cart(&session)?;
                cart(&session)?.items.push("milk".into());
                let mut again = cart(&session)?;
                assert_eq!(again.items, ["tea", "milk"]);
                again.items.push("sugar".into());
                assert_eq!(looks.items, ["tea"]);
                again.save()?;
                again.items.push("salt".into());
                let overlap = {
                    let mut other = cart(&session)?;
                    other.items.clear();
                    other.save()
                };
                assert!(overlap.is_ok());
                let error = again.save().unwrap_err();
                assert!(
                    matches!(error, Error::Overlap { key: Cart::KEY }),
                    "{error}"
                );
                session.discard()
            })
            .await;
        assert_eq!(kept(&backend, &steps.client), before);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_after_destroy_there_is_nothing_to_write_to() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps.write(|s| s.insert("n", &1)).await;
        let seen = steps
            .write(|session| {
                let mut cart = cart(&session)?;
                cart.items.push("tea".into());
                session.destroy()?;
                cart.items.push("milk".into());
                assert!(matches!(cart.save(), Err(Error::Stale)));
                Ok("out")
            })
            .await;
        assert_eq!(seen, "out");
        assert_eq!(backend.live(), [], "{}", backend.name);
        assert_eq!(steps.client.cookie(COOKIE), None);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_a_panic_writes_nothing() {
    async fn panics(_: Session, mut cart: Typed<Cart>) {
        cart.items.push("half".into());
        panic!("on purpose");
    }
    for backend in Backend::both() {
        let not_found = |_| {
            http::Response::builder()
                .status(404)
                .body(String::new())
                .unwrap()
        };
        let routes = Router::new()
            .route("/panic", get(panics))
            .layer(CatchPanicLayer::custom(not_found))
            .merge(app(Gates::default()));
        let client = backend.client(routes);
        client.get("/add").await;
        let before = kept(&backend, &client);
        assert_eq!(client.get("/panic").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(kept(&backend, &client), before, "{}", backend.name);
        assert_eq!(client.get("/add").await.text(), "2");
    }
}

#[tokio::test(start_paused = true)]
async fn b12_an_early_commit_waits_for_what_is_unwritten() {
    async fn early(session: Session, mut cart: Typed<Cart>) -> Result<String, Error> {
        cart.items.push("tea".into());
        let error = session.commit().await.unwrap_err();
        assert!(
            matches!(error, Error::Unsaved { key: Cart::KEY }),
            "{error}"
        );
        cart.save()?;
        session.commit().await?;
        Ok(cart.items.len().to_string())
    }
    for backend in Backend::both() {
        let client = backend.client(Router::new().route("/", get(early)));
        assert_eq!(client.get("/").await.text(), "1");
        assert_eq!(client.get("/").await.text(), "2", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_readers_options_handles_and_several_layers() {
    struct Admin;
    async fn held(_: Session, gate: State<Gates>) {
        gate.at("held").pass().await;
    }
    async fn resumed(cart: Option<Typed<Cart>>) -> String {
        let Some(mut cart) = cart else {
            return "none".into();
        };
        cart.items.push("resumed".into());
        cart.items.len().to_string()
    }
    async fn handle(handle: SessionHandle) -> Result<(), Error> {
        let add = async |session: Session| push(&session, "later");
        handle.write::<_, Error, _>(add).await?;
        let spoil = async |session: Session| spoil(&session);
        let error: Error = handle.write(spoil).await.unwrap_err();
        assert!(
            matches!(error, Error::Data(DataError::Encode { .. })),
            "{error}"
        );
        Ok(())
    }
    async fn keyed(mut admin: Keyed<Admin, Typed<Cart>>, _: Keyed<Admin, ReadTyped<Plan>>) {
        admin.items.push("admin".into());
    }
    for backend in Backend::both() {
        let gates = Gates::default();
        let admin = backend
            .layer()
            .key::<Admin>()
            .cookie(CookieConfig::new().name("__Host-admin"));
        let routes = Router::new()
            .route("/held", get(held))
            .route("/resumed", get(resumed))
            .route(
                "/optional",
                get(async |c: Option<ReadTyped<Cart>>| c.is_none().to_string()),
            )
            .route("/handle", get(handle))
            .route("/keyed", get(keyed).layer(admin.build().unwrap()))
            .route(
                "/read",
                get(async |c: ReadTyped<Cart>| c.items.len().to_string()),
            )
            .with_state(gates.clone())
            .merge(app(gates.clone()));
        let client = backend.client(routes);
        assert_eq!(client.get("/resumed").await.text(), "none");
        assert_eq!(client.get("/optional").await.text(), "true");
        client.get("/add").await;
        assert_eq!(client.get("/optional").await.text(), "false");
        assert_eq!(client.get("/resumed").await.text(), "1");
        assert_eq!(client.get("/handle").await.status(), StatusCode::OK);
        assert_eq!(client.get("/keyed").await.status(), StatusCode::OK);
        assert!(client.cookie("__Host-admin").is_some());

        // A reader does not wait for who holds the session.
        let holder = start(&client, "/held");
        gates.at("held").arrived(1).await;
        assert_eq!(client.get("/read").await.text(), "2", "{}", backend.name);
        gates.at("held").open();
        holder.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn b12_debug_shows_no_data() {
    let steps = Steps::over(&Backend::local());
    steps
        .write(|session| {
            let mut cart = cart(&session)?;
            cart.items.push("secret".into());
            let read = ReadTyped::<Cart>::from_session(&session)?;
            let shown = format!("{cart:?} {read:?}");
            assert!(
                shown.contains(Cart::KEY) && !shown.contains("secret"),
                "{shown}"
            );
            Ok(())
        })
        .await;
}
