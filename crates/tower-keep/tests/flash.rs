//! B10: flash messages: readable now and in the next request that opens the session, gone in the
//! one after.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::body::Body;
use axum::response::Redirect;
use axum::routing::get;
use common::{Backend, Client};
use http::{Method, Request, StatusCode};
use serde_json::{Map, Value, json};
use tower_keep::{Error, ReadSession, Session};

fn routes() -> Router {
    type Answer = Result<axum::Json<Value>, Error>;
    fn shown(flashes: Map<String, Value>) -> axum::Json<Value> {
        axum::Json(flashes.into())
    }
    let save = async |session: Session| -> Result<Redirect, Error> {
        session.flash("status", "saved")?;
        session.flash("old", &json!({ "name": "Ann" }))?;
        Ok(Redirect::to("/form"))
    };
    let form = async |session: Session| -> Answer { Ok(shown(session.peek_flash()?)) };
    let peek = async |session: ReadSession| -> Answer { Ok(shown(session.peek_flash()?)) };
    let all = async |session: ReadSession| -> Answer { Ok(shown(session.all()?)) };
    let now = async |session: Session| -> Result<String, Error> {
        session.flash_now("status", "only now")?;
        session.get_or_default("status")
    };
    let permanent =
        async |session: Session| -> Result<(), Error> { session.insert("status", "forever") };
    let rotate = async |session: Session| -> Answer {
        session.rotate()?;
        session.flash("rotated", &true)?;
        Ok(shown(session.peek_flash()?))
    };
    let invalidate = async |session: Session| -> Answer {
        session.invalidate()?;
        Ok(shown(session.peek_flash()?))
    };
    let destroy = async |session: Session| -> Answer {
        session.destroy()?;
        Ok(shown(session.peek_flash()?))
    };
    Router::new()
        .route("/save", get(save))
        .route("/form", get(form))
        .route("/peek", get(peek))
        .route("/all", get(all))
        .route("/now", get(now))
        .route("/permanent", get(permanent))
        .route("/reflash", get(async |s: Session| s.reflash()))
        .route(
            "/keep",
            get(async |s: Session| s.keep(["status", "unknown"])),
        )
        .route("/clear", get(async |s: Session| s.clear()))
        .route("/rotate", get(rotate))
        .route("/invalidate", get(invalidate))
        .route("/destroy", get(destroy))
        .route(
            "/fail",
            get(async |_: Session| StatusCode::INTERNAL_SERVER_ERROR),
        )
        .route("/untouched", get(async || "nothing"))
}

fn saved() -> String {
    json!({ "status": "saved", "old": { "name": "Ann" } }).to_string()
}

async fn with_flash(backend: &Backend) -> Client {
    let client = backend.client(routes());
    let redirect = client.get("/save").await;
    assert_eq!(redirect.header("location"), Some("/form"));
    client
}

fn sorted(json: &str) -> Value {
    serde_json::from_str(json).unwrap()
}

async fn assert_shows(client: &Client, path: &str, expected: &str, what: &str) {
    let shown = client.get(path).await.text();
    assert_eq!(sorted(&shown), sorted(expected), "{what} {path}");
}

#[tokio::test(start_paused = true)]
async fn b10_flash_over_three_requests_with_a_redirect() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        // Whoever does not open the session does not count.
        client.get("/untouched").await;
        assert_shows(&client, "/form", &saved(), backend.name).await;
        assert_shows(&client, "/form", "{}", backend.name).await;
        assert_shows(&client, "/all", "{}", backend.name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b10_a_read_session_only_peeks() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        for _ in 0..3 {
            assert_shows(&client, "/peek", &saved(), backend.name).await;
        }
        // Ten at once, as a page's own requests are.
        let peeks: Vec<_> = (0..10).map(|_| common::start(&client, "/peek")).collect();
        for peek in peeks {
            assert_eq!(sorted(&peek.await.unwrap().text()), sorted(&saved()));
        }
        assert_shows(&client, "/form", &saved(), backend.name).await;
    }
}

/// It was shown by the request before this one, so it is gone, whoever looks.
#[tokio::test(start_paused = true)]
async fn b10_what_was_shown_is_gone_for_a_read_session_too() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        assert_shows(&client, "/form", &saved(), backend.name).await;
        assert_shows(&client, "/peek", "{}", backend.name).await;
        assert_shows(&client, "/all", "{}", backend.name).await;
    }
}

/// A `ReadSession` that locks for somebody later in the request is still one that reads.
#[tokio::test(start_paused = true)]
async fn b10_a_read_session_only_peeks_under_lock_for_too() {
    for backend in Backend::both() {
        let layer = backend.layer().lock_for(|head| head.uri.path() == "/peek");
        let client = backend.client_of(routes(), layer);
        client.get("/save").await;
        assert_shows(&client, "/peek", &saved(), backend.name).await;
        assert_shows(&client, "/peek", &saved(), backend.name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b10_head_and_prefetch_requests_do_not_age() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        let send = async |method: Method, header: Option<(&str, &str)>| {
            let mut request = Request::builder().method(method).uri("/form");
            if let Some((name, value)) = header {
                request = request.header(name, value);
            }
            client.request(request.body(Body::empty()).unwrap()).await
        };
        send(Method::HEAD, None).await;
        for header in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
        ] {
            let answer = send(Method::GET, Some(header)).await;
            assert_eq!(sorted(&answer.text()), sorted(&saved()), "{header:?}");
        }
        assert_shows(&client, "/form", &saved(), backend.name).await;
        assert_shows(&client, "/form", "{}", backend.name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b10_a_500_does_not_age() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        client.get("/fail").await;
        client.get("/fail").await;
        assert_shows(&client, "/form", &saved(), backend.name).await;
        assert_shows(&client, "/form", "{}", backend.name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b10_a_rotation_keeps_them_and_an_end_does_not() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        let shown: Value = serde_json::from_str(&client.get("/rotate").await.text()).unwrap();
        let old = json!({ "name": "Ann" });
        assert_eq!(
            shown,
            json!({"status": "saved", "old": old, "rotated": true})
        );
        // Those of before have been shown, the new one is for this request.
        assert_shows(&client, "/form", r#"{"rotated": true}"#, backend.name).await;
        assert_shows(&client, "/form", "{}", backend.name).await;
        for end in ["/invalidate", "/destroy"] {
            let client = with_flash(&backend).await;
            assert_shows(&client, end, "{}", backend.name).await;
            assert_shows(&client, "/form", "{}", end).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b10_reflash_and_keep() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        client.get("/reflash").await;
        assert_shows(&client, "/form", &saved(), backend.name).await;
        assert_shows(&client, "/form", "{}", backend.name).await;

        client.get("/save").await;
        client.get("/keep").await;
        let kept = r#"{ "status": "saved" }"#;
        assert_shows(&client, "/form", kept, backend.name).await;
        assert_shows(&client, "/form", "{}", backend.name).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b10_flash_now_insert_and_clear() {
    for backend in Backend::both() {
        let client = with_flash(&backend).await;
        assert_eq!(client.get("/now").await.text(), "only now");
        assert_shows(&client, "/form", "{}", backend.name).await;

        // An insert over a flash makes it permanent.
        client.get("/save").await;
        client.get("/permanent").await;
        client.get("/form").await;
        let stays = r#"{ "status": "forever" }"#;
        assert_shows(&client, "/all", stays, backend.name).await;
        assert_shows(&client, "/peek", "{}", backend.name).await;

        client.get("/save").await;
        client.get("/clear").await;
        assert_shows(&client, "/all", "{}", backend.name).await;
    }
}
