//! Caches that hand one visitor's session to the next.

use std::collections::HashMap;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::header::{COOKIE as COOKIE_FIELD, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use tower_keep::{Error, ReadSession, Session, StoreErrorKind, Transport};
use tower_keep_testkit::{Fault, Script, TestResponse, Verb};

use crate::common::{Backend, COOKIE, Client};

/// Fields by which a cache that knows them goes instead of `Cache-Control`: RFC 9213 and products.
const TARGETED: [&str; 5] = [
    "cdn-cache-control",
    "cloudflare-cdn-cache-control",
    "surrogate-control",
    "edge-control",
    "x-accel-expires",
];

/// A shared cache that stores all it may: RFC 9111 §3 and §4.1, RFC 9213 §2.2. That a response has
/// `Set-Cookie` keeps no cache from storing it (RFC 9111 §7.3).
struct SharedCache {
    client: Client,
    /// Which targeted field it knows.
    target: &'static str,
    stored: HashMap<String, (HeaderMap, TestResponse)>,
}

impl SharedCache {
    fn may_store(&self, response: &TestResponse) -> bool {
        let of = |name: &str| -> Vec<String> {
            let fields = response.headers().get_all(name);
            let fields = fields
                .iter()
                .map(|field| field.to_str().unwrap().to_owned());
            let directives =
                fields.flat_map(|f| f.split(',').map(str::to_owned).collect::<Vec<_>>());
            directives.map(|d| d.trim().to_ascii_lowercase()).collect()
        };
        let mut rules = of(self.target);
        if rules.is_empty() {
            rules = of("cache-control");
        }
        !rules
            .iter()
            .any(|rule| rule == "no-store" || rule.starts_with("private"))
    }

    /// Whether what was stored for one request may be used for another.
    fn fits(stored: &(HeaderMap, TestResponse), request: &HeaderMap) -> bool {
        let varies = stored.1.headers().get_all(VARY).iter();
        varies
            .flat_map(|field| field.to_str().unwrap().split(','))
            .all(|name| {
                let Ok(name) = name.trim().parse::<HeaderName>() else {
                    return false;
                };
                stored.0.get(&name) == request.get(&name)
            })
    }

    /// The answer, and whether it came from the cache.
    async fn get(
        &mut self,
        path: &str,
        field: &HeaderName,
        token: Option<&str>,
    ) -> (TestResponse, bool) {
        let mut request = Request::get(path).body(Body::empty()).unwrap();
        if let Some(token) = token {
            request.headers_mut().insert(field, token.parse().unwrap());
        }
        let asked = request.headers().clone();
        if let Some(stored) = self.stored.get(path).filter(|it| Self::fits(it, &asked)) {
            return (stored.1.clone(), true);
        }
        let client = self.client.fork();
        client.clear_cookies();
        let response = client.request(request).await;
        if self.may_store(&response) {
            self.stored
                .insert(path.to_owned(), (asked, response.clone()));
        }
        (response, false)
    }
}

/// Pages of an app that wants all of them cached, whatever is in them.
fn routes() -> Router {
    let cached = || {
        let mut headers = HeaderMap::new();
        for name in [
            "cache-control",
            "cdn-cache-control",
            "cloudflare-cdn-cache-control",
        ] {
            headers.insert(name, HeaderValue::from_static("public, max-age=600"));
        }
        headers.insert("surrogate-control", HeaderValue::from_static("max-age=600"));
        headers.insert("edge-control", HeaderValue::from_static("max-age=600"));
        headers.insert("x-accel-expires", HeaderValue::from_static("600"));
        headers.insert(
            "expires",
            HeaderValue::from_static("Thu, 31 Dec 2099 23:59:59 GMT"),
        );
        headers
    };
    let write = async move |session: Session| -> Result<_, Error> {
        let n = session.increment("n", 1)?;
        Ok((cached(), n.to_string()))
    };
    let login = async move |session: Session| -> Result<_, Error> {
        session.set_user("ann")?;
        Ok((cached(), "logged in"))
    };
    let logout = async move |session: Session| -> Result<_, Error> {
        session.destroy()?;
        Ok((cached(), "logged out"))
    };
    let read = async move |session: ReadSession| -> Result<_, Error> {
        Ok((cached(), session.get_or("n", 0)?.to_string()))
    };
    let fail = async move |session: Session| -> Result<_, Error> {
        session.insert("n", &7)?;
        Ok((cached(), "fine"))
    };
    Router::new()
        .route("/write", get(write))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .route("/read", get(read))
        .route("/fail", get(fail))
        .route("/page", get(async move || (cached(), "page")))
}

fn cache(client: Client, target: &'static str) -> SharedCache {
    SharedCache {
        client,
        target,
        stored: HashMap::new(),
    }
}

/// The token in an answer, as the next request carries it.
fn token(answer: &TestResponse, bearer: bool) -> Option<String> {
    if bearer {
        let token = answer.header("x-session-token")?;
        return Some(format!("Bearer {token}"));
    }
    let field = answer.header(SET_COOKIE)?;
    Some(field.split(';').next().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn no_shared_cache_hands_a_session_to_the_next_visitor() {
    for bearer in [false, true] {
        for target in TARGETED.into_iter().chain(["cache-control"]) {
            let backend = Backend::local();
            let (layer, field) = if bearer {
                (
                    backend.layer().transport(Transport::bearer()),
                    http::header::AUTHORIZATION,
                )
            } else {
                (backend.layer(), COOKIE_FIELD)
            };
            let mut cache = cache(backend.client_of(routes(), layer), target);
            let what = format!("{target} bearer {bearer}");
            let mut given = Vec::new();
            let mut own = None;
            for path in [
                "/read", "/write", "/read", "/login", "/write", "/read", "/logout",
            ] {
                let (answer, _) = cache.get(path, &field, own.as_deref()).await;
                own = token(&answer, bearer).or(own);
                given.extend(own.clone());
                for other in ["/read", "/write", "/login", "/logout"] {
                    // Somebody else, without a token, through the same cache.
                    let (seen, hit) = cache.get(other, &field, None).await;
                    if let Some(theirs) = token(&seen, bearer) {
                        assert!(!hit, "{what} {path} {other}: out of the cache");
                        assert!(!given.contains(&theirs), "{what} {path} {other}");
                        given.push(theirs);
                    }
                    if other == "/read" {
                        assert_eq!(seen.text(), "0", "{what} {path}");
                    }
                }
            }
            for (path, (_, response)) in &cache.stored {
                assert!(
                    token(response, bearer).is_none(),
                    "{what} {path}: {response:?}"
                );
            }
            // It does store what has nothing to do with sessions.
            cache.get("/page", &field, None).await;
            assert!(cache.get("/page", &field, None).await.1, "{what}");
        }
    }
}

/// What the layer answers itself is about this moment and this visitor.
#[tokio::test(start_paused = true)]
async fn no_cache_keeps_the_answer_to_a_failure() {
    for target in TARGETED.into_iter().chain(["cache-control"]) {
        let backend = Backend::remote();
        let mut cache = cache(backend.client(routes()), target);
        for verb in [Verb::Open, Verb::Create] {
            let down = Fault::Fail(StoreErrorKind::Unavailable);
            backend
                .faults
                .set_script(Script::new().every_of(verb, down));
            let cookie = (verb == Verb::Open).then(|| {
                let id = tower_keep::SessionId::new(tower_keep::Timestamp::from_millis(1));
                format!("{COOKIE}={}", crate::forged(id))
            });
            let (answer, _) = cache.get("/fail", &COOKIE_FIELD, cookie.as_deref()).await;
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(cache.stored.is_empty(), "{target} {verb:?}: {answer:?}");
        }
    }
}

/// The fields that are taken off a response with a cookie stay on every other.
#[tokio::test(start_paused = true)]
async fn what_the_app_tells_its_caches_stays_where_no_cookie_is_set() {
    for backend in Backend::both() {
        let client = backend.client(routes());
        let first = client.get("/write").await;
        assert_eq!(first.header("cache-control"), Some("no-store"));
        for name in TARGETED {
            assert_eq!(first.header(name), None, "{name}");
        }
        for path in ["/write", "/read", "/page"] {
            let answer = client.get(path).await;
            for name in TARGETED {
                assert!(
                    answer.header(name).is_some(),
                    "{} {path} {name}",
                    backend.name
                );
            }
        }
    }
}
