//! B15: the previous URL, and the layer that notes it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{any, get};
use common::steps::Steps;
use common::{Backend, COOKIE, Client, Gates, app, id_of, start};
use http::{Method, Request, StatusCode, header};
use serde_json::{Value, json};
use tower_keep::{
    EagerLayer, Error, PreviousUrlLayer, ReadSession, Session, SessionHandle, StoreErrorKind,
    UrlFault,
};
use tower_keep_testkit::{Fault, Script, Verb};
use url::Url;

/// Pages that write, read, and do not touch the session, and some that are none.
fn routes(gates: Gates) -> Router {
    type Answer = Result<Html<&'static str>, Error>;
    let write = async |session: Session| -> Answer {
        session.get::<Value>("n")?;
        Ok(Html("written"))
    };
    let hold = async |State(gates): State<Gates>, _: Session| {
        gates.at("hold").pass().await;
        Html("held")
    };
    let seen = async |State(gates): State<Gates>, _: ReadSession| {
        gates.at("seen").pass().await;
        Html("seen")
    };
    let created = async |session: Session| -> Result<Response, Error> {
        session.increment("n", 1)?;
        Ok((StatusCode::CREATED, Html("created")).into_response())
    };
    let flash = async |session: Session| session.flash("note", "saved");
    let peek = async |session: ReadSession| -> Result<Html<String>, Error> {
        Ok(Html(Value::from(session.peek_flash()?).to_string()))
    };
    let early = async |session: Session| -> Answer {
        session.increment("n", 1)?;
        session.commit().await?;
        Ok(Html("early"))
    };
    let logout = async |session: Session| -> Answer {
        session.destroy()?;
        Ok(Html("out"))
    };
    let read = async |_: ReadSession| Html("read");
    let download = [(header::CONTENT_DISPOSITION, "attachment; filename=a.html")];
    Router::new()
        .route("/write/{*page}", any(write))
        .route("/read/{*page}", any(read))
        .route("/untouched", get(async || Html("untouched")))
        .route("/created", get(created))
        .route("/hold", get(hold))
        .route("/seen", get(seen))
        .route("/flash", get(flash))
        .route("/peek", get(peek))
        .route("/early", get(early))
        .route("/leave", get(logout))
        .route("/text", get(async |_: ReadSession| "text"))
        .route("/json", get(async |_: Session| axum::Json(1)))
        .route("/moved", get(async |_: Session| Redirect::to("/")))
        .route(
            "/missing",
            get(async |_: Session| (StatusCode::NOT_FOUND, Html("?"))),
        )
        .route(
            "/file",
            get(async move |_: Session| (download, Html("file"))),
        )
        .route("/handle", get(async |_: SessionHandle| Html("handle")))
        .with_state(gates.clone())
        .layer(PreviousUrlLayer::new())
        .route("/previous", get(previous))
        .merge(app(gates))
}

async fn previous(session: ReadSession) -> Result<String, Error> {
    Ok(session.previous_url()?.unwrap_or("none".into()))
}

async fn noted(client: &Client) -> String {
    let answer = client.get("/previous").await;
    assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
    answer.text()
}

/// A client with a session in which no URL is noted.
async fn visitor(backend: &Backend) -> Client {
    let client = backend.client(routes(Gates::default()));
    client.get("/add").await;
    assert_eq!(noted(&client).await, "none");
    client
}

#[tokio::test(start_paused = true)]
async fn b15_page_loads_are_noted() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        for page in [
            "/write/a?x=1",
            "/read/b?y=%2F",
            "/write/c",
            "/created",
            "/early",
            "/read/b",
        ] {
            assert!(client.get(page).await.status().is_success(), "{page}");
            assert_eq!(noted(&client).await, page, "{}", backend.name);
        }
        // It is not part of the application's data.
        let stored = backend.data(id_of(&client));
        assert_eq!(
            stored,
            json!({ "data": { "n": 3 }, "keep": { "previous": "/read/b" } })
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b15_what_is_no_page_load_is_not_noted() {
    for backend in Backend::both() {
        let client = visitor(&backend).await;
        for path in [
            "/text",
            "/json",
            "/moved",
            "/missing",
            "/file",
            "/untouched",
            "/handle",
        ] {
            client.get(path).await;
            assert_eq!(noted(&client).await, "none", "{path} {}", backend.name);
        }
        let fields = [
            ("x-requested-with", "XMLHttpRequest"),
            ("x-requested-with", "xmlhttprequest"),
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-mode", "same-origin"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "empty"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "prefetch"),
            ("x-moz", "prefetch"),
            ("hx-request", "true"),
            ("turbo-frame", "list"),
            ("x-pjax", "true"),
            ("range", "bytes=0-9"),
        ];
        for path in ["/write/page", "/read/page"] {
            let send = async |method: Method, field: (&str, &str)| {
                let request = Request::builder().method(method).uri(path);
                let request = request.header(field.0, field.1).body(Body::empty());
                client.request(request.unwrap()).await;
                noted(&client).await
            };
            for field in fields {
                assert_eq!(send(Method::GET, field).await, "none", "{path} {field:?}");
            }
            for method in [Method::POST, Method::HEAD, Method::PUT, Method::OPTIONS] {
                assert_eq!(send(method, ("accept", "*/*")).await, "none", "{path}");
            }
        }
        let request = Request::builder()
            .uri("/read/page")
            .header("sec-fetch-mode", "navigate")
            .header("sec-fetch-dest", "document")
            // The browser inside of an app.
            .header("x-requested-with", "org.example.app");
        client.request(request.body(Body::empty()).unwrap()).await;
        assert_eq!(noted(&client).await, "/read/page");
    }
}

#[tokio::test(start_paused = true)]
async fn b15_a_page_load_starts_no_session() {
    for backend in Backend::both() {
        let client = backend.client(routes(Gates::default()));
        for page in ["/write/a", "/read/a", "/untouched", "/peek"] {
            let answer = client.get(page).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert!(answer.set_cookies().is_empty(), "{page} {}", backend.name);
        }
        assert!(backend.memory.is_empty());
        // Nor does one that ends a session start the next.
        client.get("/add").await;
        assert_eq!(client.get("/leave").await.text(), "out");
        assert_eq!((backend.live(), client.cookie(COOKIE)), (vec![], None));
        // Where the page starts one by itself, it is noted in that.
        client.get("/created").await;
        assert_eq!(noted(&client).await, "/created");
    }
}

#[tokio::test(start_paused = true)]
async fn b15_it_costs_nothing_where_it_need_not() {
    let backend = Backend::remote();
    let client = visitor(&backend).await;
    client.get("/read/a").await;
    let calls = async |path: &str| {
        backend.faults.calls().clear();
        client.get(path).await;
        backend.faults.calls().total()
    };
    assert_eq!(calls("/untouched").await, 0);
    assert_eq!(calls("/handle").await, 0);
    assert_eq!(calls("/read/a").await, 1, "the same page again");
    assert_eq!(calls("/write/b").await, 2, "in the handler's own commit");
    assert_eq!(calls("/read/a").await, 3, "a load, a lock and a commit");
}

#[tokio::test(start_paused = true)]
async fn b15_a_reader_waits_for_nobody() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(routes(gates.clone()));
        client.get("/add").await;
        let holder = start(&client, "/hold");
        gates.at("hold").arrived(1).await;
        let since = tokio::time::Instant::now();
        assert_eq!(client.get("/read/busy").await.text(), "read");
        let waited = since.elapsed();
        assert!(waited.as_millis() <= 110, "{waited:?} {}", backend.name);
        gates.at("hold").open();
        assert_eq!(holder.await.unwrap().status(), StatusCode::OK);
        assert_eq!(noted(&client).await, "/hold", "{}", backend.name);
        // Nothing was left behind in the queue.
        client.get("/read/free").await;
        assert_eq!(noted(&client).await, "/read/free");
    }
}

/// As a handle: what was read before a login is not written into the session of who logged in.
#[tokio::test(start_paused = true)]
async fn b15_a_change_of_authority_in_between_ends_it() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let client = backend.client(routes(gates.clone()));
        client.get("/add").await;
        let page = start(&client, "/seen");
        gates.at("seen").arrived(1).await;
        client.get("/login/ann").await;
        gates.at("seen").open();
        assert_eq!(page.await.unwrap().status(), StatusCode::OK);
        assert_eq!(noted(&client).await, "none", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b15_flash_messages_are_not_used_up_by_it() {
    for backend in Backend::both() {
        let client = backend.client(routes(Gates::default()));
        client.get("/flash").await;
        for page in ["/peek?1", "/peek?2", "/peek?3"] {
            assert_eq!(client.get(page).await.text(), r#"{"note":"saved"}"#);
            assert_eq!(noted(&client).await, page, "{}", backend.name);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b15_an_eager_layer_makes_every_page_count() {
    for backend in Backend::both() {
        let eager = Router::new()
            .route("/page", get(async || Html("page")))
            .layer(PreviousUrlLayer::new())
            .layer(EagerLayer::new());
        let client = backend.client(
            eager
                .route("/previous", get(previous))
                .merge(app(Gates::default())),
        );
        client.get("/add").await;
        client.get("/page?a").await;
        assert_eq!(noted(&client).await, "/page?a", "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b15_a_page_does_not_fail_because_of_it() {
    let backend = Backend::remote();
    let client = visitor(&backend).await;
    let refused = Script::new().every_of(Verb::Finish, Fault::Fail(StoreErrorKind::Corrupt));
    backend.faults.set_script(refused);
    assert_eq!(client.get("/read/a").await.status(), StatusCode::OK);
}

/// What a browser, given these as a `Location` or a link, would leave the site with, or nearly.
const HOSTILE: &[&str] = &[
    "//evil.test",
    "///evil.test",
    "////evil.test/x",
    "/\\evil.test",
    "\\\\evil.test",
    "\\/evil.test",
    "/\\/evil.test",
    "/\t/evil.test",
    "/\n/evil.test",
    "/\r/evil.test",
    "\t//evil.test",
    " //evil.test",
    "\u{0}//evil.test",
    "/\t\\evil.test",
    "/\u{b}/evil.test",
    "https://evil.test",
    "https:evil.test",
    "https:/evil.test",
    "HTTPS:\\\\evil.test",
    "http://site.test@evil.test",
    "javascript:alert(1)",
    "java\nscript:alert(1)",
    "data:text/html,x",
    "evil.test",
    "@evil.test",
    ".evil.test",
    "?//evil.test",
    "#//evil.test",
    "",
    "#",
    "?",
    "..//evil.test",
    "/.//evil.test",
    "/..//evil.test",
    "/x/..//evil.test",
    "/%2e//evil.test",
    "/x//evil.test",
    "/x\\..\\..//evil.test",
    "/\u{ff0f}evil.test",
    "/\u{2215}evil.test",
    "/é",
    "/a b",
    "/\u{7f}",
    "/\u{85}",
    "/\u{2028}",
    "/\u{202e}",
    "/x\r\nset-cookie: a=b",
    "/x?a\\b",
];

/// What stays as it is.
const HARMLESS: &[&str] = &[
    "/",
    "/a/b.html",
    "/a/b/?page=2&next=//evil.test",
    "/search?q=https://evil.test",
    "/%2F%2Fevil.test",
    "/%2fevil.test",
    "/%5Cevil.test",
    "/%09/evil.test",
    "/%E2%9C%93?x=%0D%0A",
    "/@evil.test",
    "/:80",
    "/.evil.test",
    "/..",
    "/../x",
    "/;/evil.test",
    "/~ann/'\"<>{}|^`",
];

fn same_origin(url: &str) -> bool {
    let base = Url::parse("https://site.test/some/page?x=1").unwrap();
    let led_to = base.join(url).unwrap();
    led_to.origin() == base.origin() && led_to.host_str() == Some("site.test")
}

#[tokio::test(start_paused = true)]
async fn b15_only_paths_of_this_site_are_kept() {
    let backend = Backend::local();
    let steps = Steps::over(&backend);
    for hostile in HOSTILE {
        let refused = steps
            .write(move |session| match session.set_previous_url(hostile) {
                Err(Error::PreviousUrl(_)) => session.previous_url(),
                other => panic!("{hostile:?}: {other:?}"),
            })
            .await;
        assert_eq!(refused, Value::Null, "{hostile:?}");
    }
    assert!(backend.memory.is_empty());
    for url in HARMLESS {
        let seen = steps
            .write(move |session| {
                session.set_previous_url(format!("{url}#fragment"))?;
                session.previous_url()
            })
            .await;
        assert_eq!(seen, *url);
        assert_eq!(steps.read(|session| session.previous_url()).await, *url);
        assert!(same_origin(url), "{url}");
    }
    let fault = async |url: String| {
        let set = move |session: Session| match session.set_previous_url(url) {
            Err(Error::PreviousUrl(fault)) => Ok(fault.to_string()),
            other => panic!("{other:?}"),
        };
        steps.write(set).await
    };
    let longest = format!("/{}", "x".repeat(2047));
    steps.write(move |s| s.set_previous_url(longest)).await;
    let too_long = UrlFault::TooLong {
        len: 2049,
        max: 2048,
    };
    assert_eq!(
        fault(format!("/{}", "x".repeat(2048))).await,
        too_long.to_string()
    );
    let message = fault("/secret\\".into()).await;
    assert_eq!(message, "it must not contain a backslash");
}

#[tokio::test(start_paused = true)]
async fn b15_what_is_read_is_checked_again() {
    for stored in ["//evil.test", "/\\evil.test", "https://evil.test", "/a b"] {
        let backend = Backend::local();
        let client = backend.client(routes(Gates::default()));
        let json = json!({ "data": {}, "keep": { "previous": stored } }).to_string();
        let data = tower_keep::core::data::Data::from_json(json.as_bytes(), 1024).unwrap();
        client.session_with(&backend.memory, data).await;
        assert_eq!(noted(&client).await, "none", "{stored}");
    }
}

#[tokio::test(start_paused = true)]
async fn b15_it_outlives_a_login_and_not_an_invalidation() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps.write(|session| session.set_previous_url("/a")).await;
        steps.write(|session| session.set_user("ann")).await;
        assert_eq!(steps.read(|session| session.previous_url()).await, "/a");
        steps.write(|session| session.clear()).await;
        assert_eq!(steps.read(|session| session.previous_url()).await, "/a");
        steps.write(|session| session.invalidate()).await;
        assert_eq!(
            steps.read(|session| session.previous_url()).await,
            Value::Null
        );
    }
}
