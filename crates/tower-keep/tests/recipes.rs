//! What applications do with sessions, each in as many lines as it takes.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Form, Router};
use common::{Backend, COOKIE, Client, MINUTE, id_of, settle, start};
use http::Uri;
use serde::Deserialize;
use serde_json::json;
use tower_keep::{Absence, Error, MergeSession, ReadSession, Session, Sessions};
use tower_keep_testkit::{Gate, TestClient, TestResponse};

#[derive(Deserialize)]
struct Login {
    user: String,
    password: String,
}

/// Logs in who knows the password; data of before the login, such as a cart, stay.
async fn login(session: Session, Form(form): Form<Login>) -> Result<Response, Error> {
    if form.password != "right" {
        session.increment("failed", 1)?;
        return Ok(http::StatusCode::UNAUTHORIZED.into_response());
    }
    session.set_user(form.user)?;
    Ok(Redirect::to("/").into_response())
}

async fn home(session: ReadSession) -> String {
    session.user().as_deref().unwrap_or("nobody").to_owned()
}

/// Sends the login form.
async fn log_in(browser: &Client, user: &str, password: &str) -> TestResponse {
    let body = format!("user={user}&password={password}");
    let request = http::Request::post("/login");
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    browser.request(request.body(body.into()).unwrap()).await
}

async fn post_to(browser: &Client, path: &str) -> TestResponse {
    browser.post(path, "").await
}

struct Site {
    backend: Backend,
    sessions: Sessions,
    app: Router,
}

impl Site {
    fn new(backend: Backend, routes: impl FnOnce(Sessions) -> Router) -> Self {
        let layer = backend.layer().build().unwrap();
        let sessions = layer.sessions();
        let common = Router::new()
            .route("/", get(home))
            .route("/login", post(login))
            .route("/logout", post(async |s: Session| s.destroy().map(drop)));
        let app = common.merge(routes(sessions.clone())).layer(layer);
        Self {
            backend,
            sessions,
            app,
        }
    }

    fn browser(&self) -> Client {
        TestClient::with_body(self.app.clone()).with_clock(self.backend.clock.clone())
    }

    /// A browser in which this user is logged in.
    async fn logged_in(&self, user: &str) -> Client {
        let browser = self.browser();
        let answer = log_in(&browser, user, "right").await;
        assert_eq!(answer.status(), 303);
        browser
    }
}

#[tokio::test(start_paused = true)]
async fn login_and_logout_with_protection_from_fixation() {
    for backend in Backend::both() {
        let touch = async |s: Session| s.insert("cart", &["tea"]);
        let site = Site::new(backend, |_| Router::new().route("/cart", post(touch)));
        // Somebody plants the cookie of a session of theirs.
        let attacker = site.browser();
        post_to(&attacker, "/cart").await;
        let planted = attacker.cookie(COOKIE).unwrap();
        let victim = site.browser();
        victim.set_cookie(COOKIE, &planted);

        let answer = log_in(&victim, "ann", "wrong").await;
        assert_eq!(answer.status(), 401);
        assert_eq!(victim.cookie(COOKIE).unwrap(), planted);
        let answer = log_in(&victim, "ann", "right").await;
        assert_eq!(answer.status(), 303);
        assert_ne!(victim.cookie(COOKIE).unwrap(), planted);
        assert_eq!(victim.get("/").await.text(), "ann");
        assert_eq!(attacker.get("/").await.text(), "nobody");
        // What was in it before the login, and the failed attempt, are still there.
        let data = site.backend.data(id_of(&victim));
        assert_eq!(data["data"], json!({"cart": ["tea"], "failed": 1}));

        let cookie = victim.cookie(COOKIE).unwrap();
        let answer = post_to(&victim, "/logout").await;
        assert!(answer.set_cookies()[0].contains("Max-Age=0"));
        victim.set_cookie(COOKIE, &cookie);
        assert_eq!(victim.get("/").await.text(), "nobody");
        assert!(site.backend.live().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn log_out_everywhere() {
    let everywhere = async |session: ReadSession, State(all): State<Sessions>| match session.user()
    {
        Some(user) => Ok(all.destroy_user(&user).await?.len().to_string()),
        None => Err(Error::NotFound),
    };
    for backend in Backend::both() {
        let site = Site::new(backend, |sessions| {
            let routes = Router::new().route("/everywhere", post(everywhere));
            routes.with_state(sessions)
        });
        let devices = [
            site.logged_in("ann").await,
            site.logged_in("ann").await,
            site.logged_in("ann").await,
        ];
        let other = site.logged_in("bob").await;
        let answer = post_to(&devices[1], "/everywhere").await;
        assert_eq!(
            (answer.status().as_u16(), answer.text().as_str()),
            (200, "3")
        );
        for device in &devices {
            assert_eq!(device.get("/").await.text(), "nobody");
        }
        assert_eq!(other.get("/").await.text(), "bob");
    }
}

#[tokio::test(start_paused = true)]
async fn a_password_change_ends_the_other_sessions() {
    let change = async |session: Session, State(all): State<Sessions>| -> Result<(), Error> {
        let user = session.user().ok_or(Error::NotFound)?;
        // The password is changed here; then this session gets a new secret, and the others end.
        session.reauthenticate()?;
        let here = session.id().ok_or(Error::NotFound)?;
        all.destroy_others(&user, here).await.map(drop)
    };
    for backend in Backend::both() {
        let site = Site::new(backend, |sessions| {
            let routes = Router::new().route("/password", post(change));
            routes.with_state(sessions)
        });
        let here = site.logged_in("ann").await;
        let there = site.logged_in("ann").await;
        let stolen = here.cookie(COOKIE).unwrap();
        assert_eq!(post_to(&here, "/password").await.status(), 200);
        assert_ne!(here.cookie(COOKIE).unwrap(), stolen);
        assert_eq!(here.get("/").await.text(), "ann");
        assert_eq!(there.get("/").await.text(), "nobody");
        let thief = site.browser();
        thief.set_cookie(COOKIE, &stolen);
        assert_eq!(thief.get("/").await.text(), "nobody");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cart_is_found_by_its_content() {
    for backend in Backend::both() {
        let add = async |session: Session, Path((cart, item)): Path<(String, String)>| {
            session.insert("cart.id", &cart)?;
            session.push("cart.items", &item)
        };
        let routes = Router::new().route("/cart/{cart}/{item}", post(add));
        let site = Site::new(backend, |_| routes);
        let phone = site.logged_in("ann").await;
        let laptop = site.logged_in("ann").await;
        post_to(&phone, "/cart/c-17/tea").await;
        post_to(&laptop, "/cart/c-18/pot").await;
        post_to(&site.logged_in("bob").await, "/cart/c-17/cup").await;

        let anns = site.sessions.of("ann");
        let found = anns
            .find(|session| {
                session
                    .get("cart.id")
                    .is_ok_and(|id| id == Some("c-17".to_owned()))
            })
            .await
            .unwrap()
            .unwrap();
        assert_eq!(found.id(), id_of(&phone));
        assert_eq!(
            found.get("cart.items").unwrap(),
            Some(vec!["tea".to_owned()])
        );
        let none = anns.find(|session| session.get::<u8>("no").is_err()).await;
        assert!(none.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_conversation_keeps_what_two_tabs_say_at_once() {
    for backend in Backend::both() {
        let gate = Gate::new();
        // The answer takes its time, and neither tab waits for the other's.
        let say = async |session: MergeSession,
                         Path(text): Path<String>,
                         State(answered): State<Gate>| {
            answered.pass().await;
            let said = json!([{"user": text}, {"bot": format!("about {text}?")}]);
            session.push("conversation", &said)?;
            session.increment("turns", 1)
        };
        let routes = Router::new().route("/say/{text}", get(say));
        let site = Site::new(backend, |_| routes.with_state(gate.clone()));
        let tab = site.logged_in("ann").await;
        let tabs = ["/say/tea", "/say/pots"].map(|path| start(&tab, path));
        settle().await;
        gate.open();
        for answer in tabs {
            assert_eq!(answer.await.unwrap().status(), 200);
        }
        let data = &site.backend.data(id_of(&tab))["data"];
        assert_eq!(data["turns"], 2);
        let said = data["conversation"].as_array().unwrap();
        assert_eq!(said.len(), 2);
        for text in ["tea", "pots"] {
            let turn = json!([{"user": text}, {"bot": format!("about {text}?")}]);
            assert!(said.contains(&turn), "{data}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn analytics_over_the_sessions_of_a_user() {
    for backend in Backend::both() {
        let see = async |session: Session, Path(page): Path<String>| {
            session.increment(format!("pages.{page}"), 1).map(drop)
        };
        let site = Site::new(backend, |_| Router::new().route("/see/{page}", post(see)));
        for pages in [&["home", "tea"][..], &["tea", "tea", "pots"], &[]] {
            let device = site.logged_in("ann").await;
            for page in pages {
                post_to(&device, &format!("/see/{page}")).await;
            }
        }
        post_to(&site.logged_in("bob").await, "/see/tea").await;
        let anns = site.sessions.of("ann");
        let counted = anns.fold((0, 0), |sum, session| {
            let seen: u64 = session.get("pages.tea")?.unwrap_or_default();
            Ok::<_, Error>((sum.0 + 1, sum.1 + seen))
        });
        assert_eq!(counted.await.unwrap(), (3, 3));
    }
}

#[tokio::test(start_paused = true)]
async fn a_page_that_stays_open_keeps_its_session_alive() {
    for backend in Backend::both() {
        // Reading is using: it moves the idle deadline, and locks nothing.
        let alive = async |session: Option<ReadSession>| {
            let left = session.and_then(|session| session.expires_in());
            let left = left.map(|left| left.as_secs().to_string());
            left.ok_or(http::StatusCode::GONE)
        };
        let routes = Router::new().route("/alive", get(alive));
        let site = Site::new(backend, |_| routes);
        let page = site.logged_in("ann").await;
        for _ in 0..9 {
            site.backend.clock.advance(100 * MINUTE);
            assert_eq!(page.get("/alive").await.text(), "7200");
        }
        site.backend.clock.advance(120 * MINUTE);
        assert_eq!(page.get("/alive").await.status(), 410);
    }
}

/// Sends who is not logged in to the login page, and tells those whose session ran out.
async fn members_only(session: ReadSession, request: Request, next: Next) -> Response {
    if session.user().is_some() {
        return next.run(request).await;
    }
    match session.absence() {
        Some(Absence::Expired) => Redirect::to("/welcome?reason=timeout").into_response(),
        _ => Redirect::to("/welcome").into_response(),
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_timeout_leads_to_the_login_page() {
    for backend in Backend::both() {
        let members = Router::new()
            .route("/members", get(async || "welcome back"))
            .layer(from_fn(members_only));
        let welcome = async |uri: Uri| uri.query().unwrap_or("welcome").to_owned();
        let routes = members.route("/welcome", get(welcome));
        let site = Site::new(backend, |_| routes);
        let follow = async |browser: &Client| {
            let answer = browser.get("/members").await;
            match answer.header("location") {
                Some(there) => browser.get(there).await.text(),
                None => answer.text(),
            }
        };
        assert_eq!(follow(&site.browser()).await, "welcome");
        let browser = site.logged_in("ann").await;
        assert_eq!(follow(&browser).await, "welcome back");
        site.backend.clock.advance(119 * MINUTE);
        assert_eq!(follow(&browser).await, "welcome back");
        site.backend.clock.advance(120 * MINUTE);
        assert_eq!(follow(&browser).await, "reason=timeout");
        log_in(&browser, "ann", "right").await;
        assert_eq!(follow(&browser).await, "welcome back");
    }
}
