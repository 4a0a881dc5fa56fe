//! C9: what happens to sessions is told, once, and only after it has happened.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use common::{Backend, COOKIE, Client, Gates, MINUTE, app, id_of, settle, start};
use http::StatusCode;
use tower_keep::EventKind::{Created, Destroyed, Expired, Revoked, Rotated};
use tower_keep::{
    Clock, Error, EventKind, EventStream, Lottery, Session, SessionEvent, SessionId, SessionLayer,
    SessionLayerBuilder, Sessions, StoreErrorKind, UserPage,
};
use tower_keep_testkit::{Fault, Gate, Script, TestClient, Verb};

type Told = (EventKind, SessionId, Option<String>);

/// A listener that writes down what it is told.
#[derive(Clone, Default)]
struct Listener(Arc<Mutex<Vec<SessionEvent>>>);

impl Listener {
    fn on(&self, layer: SessionLayerBuilder) -> SessionLayerBuilder {
        let events = self.0.clone();
        layer.on_event(move |event: &SessionEvent| events.lock().unwrap().push(event.clone()))
    }

    /// What it was told since the last time.
    fn told(&self) -> Vec<Told> {
        let events = std::mem::take(&mut *self.0.lock().unwrap());
        let told = |event: SessionEvent| (event.kind, event.id, event.user.map(|u| u.to_string()));
        events.into_iter().map(told).collect()
    }
}

fn client(backend: &Backend, layer: &SessionLayer) -> Client {
    let routes: Router = app(Gates::default())
        .route("/invalidate", get(async |s: Session| s.invalidate()))
        .route("/again", get(again))
        .route("/early", get(early));
    TestClient::with_body(routes.layer(layer.clone())).with_clock(backend.clock.clone())
}

/// Ends the session and begins another.
async fn again(session: Session) -> Result<(), Error> {
    session.destroy()?;
    session.insert("fresh", &true)
}

/// Commits, and then comes to nothing.
async fn early(session: Session) -> Result<StatusCode, Error> {
    session.rotate()?;
    session.commit().await?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

#[expect(clippy::unnecessary_wraps, reason = "it is compared with one")]
fn ann() -> Option<String> {
    Some("ann".into())
}

#[tokio::test(start_paused = true)]
async fn c9_every_change_is_told_once() {
    for backend in Backend::both() {
        let (listener, other) = (Listener::default(), Listener::default());
        let layer = other.on(listener.on(backend.layer())).build().unwrap();
        let client = client(&backend, &layer);
        let mut stream = layer.events();
        client.get("/nothing").await;
        client.get("/who").await;
        assert_eq!(listener.told(), []);
        client.get("/add").await;
        let id = id_of(&client);
        assert_eq!(listener.told(), [(Created, id, None)], "{}", backend.name);
        client.get("/add").await;
        assert_eq!(listener.told(), [], "data are nobody's business");
        client.get("/login/ann").await;
        assert_eq!(listener.told(), [(Rotated, id, ann())]);
        client.get("/rotate").await;
        assert_eq!(listener.told(), [(Rotated, id, ann())]);
        client.get("/early").await;
        assert_eq!(listener.told(), [(Rotated, id, ann())]);
        client.get("/invalidate").await;
        assert_eq!(listener.told(), [(Rotated, id, None)]);
        client.get("/login/ann").await;
        listener.told();
        client.get("/again").await;
        let new = id_of(&client);
        assert_ne!(new, id);
        assert_eq!(
            listener.told(),
            [(Destroyed, id, ann()), (Created, new, None)]
        );
        client.get("/logout").await;
        assert_eq!(listener.told(), [(Destroyed, new, None)]);
        client.get("/logout").await;
        assert_eq!(listener.told(), [], "there was none any more");
        let first = stream.next().await.unwrap().unwrap();
        assert_eq!((first.kind, first.id), (Created, id));
        assert!((first.at).since(backend.clock.now()).is_zero());
        assert_eq!(other.told().len(), 9, "each listener is told everything");
    }
}

#[tokio::test(start_paused = true)]
async fn c9_who_ends_sessions_by_id_or_user_is_told_of() {
    for backend in Backend::both() {
        let listener = Listener::default();
        let layer = listener.on(backend.layer()).build().unwrap();
        let sessions = layer.sessions();
        let mut ids = Vec::new();
        for n in 0..6 {
            let started = sessions.create(Some("ann"), [("n", n)]).await.unwrap();
            ids.push(started.id);
        }
        let created = |id: &SessionId| (Created, *id, ann());
        assert_eq!(listener.told(), ids.iter().map(created).collect::<Vec<_>>());
        assert!(sessions.destroy(ids[0]).await.unwrap());
        assert!(!sessions.destroy(ids[0]).await.unwrap());
        assert_eq!(listener.told(), [(Revoked, ids[0], None)]);
        sessions.of("ann").destroy(ids[1]).await.unwrap();
        sessions.of("ben").destroy(ids[2]).await.unwrap_err();
        assert_eq!(listener.told(), [(Revoked, ids[1], ann())]);
        let sorted = |mut told: Vec<Told>| {
            told.sort_by_key(|told| told.1);
            told
        };
        let own = sessions.of("ann").current(Some(ids[5]));
        assert_eq!(own.list(UserPage::default()).await.unwrap().len(), 4);
        sessions.destroy(ids[2]).await.unwrap();
        listener.told();
        own.destroy_others().await.unwrap();
        let expected = vec![(Revoked, ids[3], ann()), (Revoked, ids[4], ann())];
        assert_eq!(sorted(listener.told()), sorted(expected));
        sessions.destroy_others("ann", ids[5]).await.unwrap();
        assert_eq!(listener.told(), []);
        sessions.destroy_user("ann").await.unwrap();
        assert_eq!(listener.told(), [(Revoked, ids[5], ann())]);
    }
}

#[tokio::test(start_paused = true)]
async fn c9_what_did_not_succeed_is_not_told() {
    let backend = Backend::remote();
    let listener = Listener::default();
    let layer = listener.on(backend.layer()).build().unwrap();
    let client = client(&backend, &layer);
    let fails = |verb| Script::new().every_of(verb, Fault::Fail(StoreErrorKind::Full));
    backend.faults.set_script(fails(Verb::Create));
    assert!(client.get("/add").await.status().is_server_error());
    backend.faults.set_script(Script::new());
    client.get("/fail").await;
    assert_eq!(listener.told(), []);
    client.get("/add").await;
    listener.told();
    backend.faults.set_script(fails(Verb::Finish));
    assert!(client.get("/login/ann").await.status().is_server_error());
    assert!(client.get("/logout").await.status().is_server_error());
    assert_eq!(listener.told(), []);
    // The reply is lost and the commit asked for again: it happened once.
    let lost = Script::new().nth_of(Verb::Finish, 1, Fault::LoseReply);
    backend.faults.set_script(lost);
    assert_eq!(client.get("/rotate").await.status(), StatusCode::OK);
    assert_eq!(listener.told(), [(Rotated, id_of(&client), None)]);
    // Revoked while a request was about to end it: there was nothing left for that one to end.
    let gate = Gate::new();
    let held = Script::new().nth_of(Verb::Finish, 1, Fault::DelayBefore(gate.clone()));
    backend.faults.set_script(held);
    let (id, logout) = (id_of(&client), start(&client, "/logout"));
    settle().await;
    assert!(layer.sessions().destroy(id).await.unwrap());
    gate.open();
    assert_eq!(logout.await.unwrap().status(), StatusCode::OK);
    assert_eq!(listener.told(), [(Revoked, id, None)]);
}

/// The commit is carried to its end when the client has left, and so is what is told of it.
#[tokio::test(start_paused = true)]
async fn c9_a_commit_whose_client_has_left_is_told() {
    for (verb, path) in [
        (Verb::Finish, "/login/ann"),
        (Verb::Finish, "/logout"),
        (Verb::Create, "/add"),
    ] {
        let backend = Backend::remote();
        let listener = Listener::default();
        let layer = listener.on(backend.layer()).build().unwrap();
        let client = client(&backend, &layer);
        if verb == Verb::Finish {
            client.get("/add").await;
        }
        listener.told();
        let gate = Gate::new();
        let held = Script::new().nth_of(verb, 1, Fault::DelayAfter(gate.clone()));
        backend.faults.set_script(held);
        let request = start(&client, path);
        settle().await;
        request.abort();
        settle().await;
        assert_eq!(listener.told(), [], "{path}");
        gate.open();
        settle().await;
        assert_eq!(listener.told().len(), 1, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn c9_a_listener_that_panics_loses_neither_commit_nor_cookie() {
    for backend in Backend::both() {
        let listener = Listener::default();
        let panics = |_: &SessionEvent| panic!("this listener is broken");
        let layer = listener
            .on(backend.layer().on_event(panics))
            .build()
            .unwrap();
        let client = client(&backend, &layer);
        for (path, kind) in [
            ("/add", Created),
            ("/login/ann", Rotated),
            ("/logout", Destroyed),
        ] {
            let response = client.get(path).await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
            assert_eq!(response.set_cookies().len(), 1, "{path}");
            let told = listener.told();
            assert_eq!((told.len(), told[0].0), (1, kind), "the next one is told");
        }
        assert_eq!(backend.live(), []);
        let sessions = layer.sessions();
        let started = sessions.create(None, [("n", 1)]).await.unwrap();
        assert!(sessions.destroy(started.id).await.unwrap());
    }
}

/// Two sessions that expire, and what is heard of it.
async fn expired(
    backend: &Backend,
    layer: SessionLayerBuilder,
) -> (Client, Sessions, Listener, [SessionId; 2]) {
    let listener = Listener::default();
    let layer = listener.on(layer).build().unwrap();
    let client = client(backend, &layer);
    let other = client.fork();
    other.get("/add").await;
    client.get("/add").await;
    let ids = [id_of(&client), id_of(&other)];
    listener.told();
    backend.clock.advance(120 * MINUTE);
    (client, layer.sessions(), listener, ids)
}

#[tokio::test(start_paused = true)]
async fn c9_an_expired_session_is_told_of_once_by_opens_and_sweeps() {
    for backend in Backend::both() {
        let (client, sessions, listener, [met, swept]) = expired(&backend, backend.layer()).await;
        // A browser does not know and keeps sending it.
        let cookie = client.cookie(COOKIE);
        for path in ["/n", "/n", "/who", "/logout"] {
            client.set_cookie(COOKIE, cookie.as_deref().unwrap_or_default());
            client.get(path).await;
        }
        assert!(sessions.get(met).await.unwrap().is_none());
        assert_eq!(listener.told(), [(Expired, met, None)], "{}", backend.name);
        assert_eq!(sessions.sweep().await.unwrap().expired.len(), 2);
        assert_eq!(listener.told(), [(Expired, swept, None)]);
        sessions.sweep().await.unwrap();
        assert_eq!(listener.told(), []);
    }
}

#[tokio::test(start_paused = true)]
async fn c9_sweepers_and_the_lottery_tell_what_has_expired() {
    for backend in Backend::both() {
        let (_, sessions, listener, mut ids) = expired(&backend, backend.layer()).await;
        let sweeper = tokio::spawn(async move { sessions.sweep_every(MINUTE).await });
        tokio::time::sleep(3 * MINUTE).await;
        sweeper.abort();
        let mut told = listener.told();
        told.sort_by_key(|told| told.1);
        ids.sort();
        assert_eq!(told, ids.map(|id| (Expired, id, None)), "{}", backend.name);

        let lottery = backend.layer().lottery(Lottery::new(1, 1));
        let (client, _, listener, _) = expired(&backend, lottery).await;
        client.clear_cookies();
        client.get("/add").await;
        settle().await;
        let told = listener.told();
        let expired = told.iter().filter(|told| told.0 == Expired);
        assert_eq!(expired.count(), 2, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn c9_a_slow_reader_is_told_how_many_it_has_missed() {
    async fn next(stream: &mut EventStream) -> Result<EventKind, u64> {
        let next = stream.next().await.unwrap();
        next.map(|event| event.kind).map_err(|missed| missed.count)
    }
    let backend = Backend::local();
    let layer = backend.layer().event_capacity(4).build().unwrap();
    let client = client(&backend, &layer);
    let (mut slow, mut late) = (layer.events(), layer.events());
    client.get("/add").await;
    assert_eq!(next(&mut late).await, Ok(Created));
    for _ in 0..5 {
        client.get("/rotate").await;
    }
    assert_eq!(next(&mut slow).await, Err(2));
    for _ in 0..4 {
        assert_eq!(next(&mut slow).await, Ok(Rotated));
    }
    assert_eq!(next(&mut late).await, Err(1));
    // Dropping the future loses nothing.
    let soon = tokio::time::timeout(Duration::from_millis(1), slow.next());
    assert!(soon.await.is_err());
    client.get("/logout").await;
    assert_eq!(next(&mut slow).await, Ok(Destroyed));
    drop((client, layer));
    assert!(slow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn c9_debug_shows_the_id_and_not_the_user() {
    let backend = Backend::local();
    let layer = backend.layer().build().unwrap();
    let mut events = layer.events();
    let user = "ann@example.com";
    let started = layer
        .sessions()
        .create(Some(user), [("n", 1)])
        .await
        .unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(event.user.as_deref(), Some(user));
    let shown = format!("{event:?} {events:?} {layer:?}");
    assert!(shown.contains(&started.id.to_string()), "{shown}");
    assert!(!shown.contains("ann"), "{shown}");
}
