//! A small application on a store.

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use tower_keep::core::Token;
use tower_keep::{Error, ReadSession, Session, SessionId, SessionLayer, SessionStore};
use tower_keep_testkit::TestClient;

pub(crate) type Client = TestClient<Router>;

const COOKIE: &str = "__Host-id";

/// Somebody with a cookie jar of their own.
pub(crate) fn visitor(store: impl SessionStore) -> Client {
    let app = Router::new()
        .route("/add", get(add))
        .route("/read", get(read))
        .route("/login/{user}", get(login));
    TestClient::new(app.layer(SessionLayer::new(store)))
}

async fn add(session: Session) -> Result<String, Error> {
    Ok(session.increment("cart.items", 1)?.to_string())
}

/// A visitor without a session is told so, and gets none.
async fn read(session: Option<ReadSession>) -> Result<String, Error> {
    let Some(session) = session else {
        return Ok("nobody".to_owned());
    };
    Ok(session.get_or("cart.items", 0)?.to_string())
}

async fn login(session: Session, Path(user): Path<String>) -> Result<(), Error> {
    session.set_user(user)
}

/// One who has put something into the cart, and has logged in if a name is given.
pub(crate) async fn somebody(store: impl SessionStore, user: Option<&str>) -> Client {
    let visitor = visitor(store);
    goes(&visitor, "/add").await;
    if let Some(user) = user {
        goes(&visitor, &format!("/login/{user}")).await;
    }
    visitor
}

/// The answer to a request that succeeds.
pub(crate) async fn goes(visitor: &Client, path: &str) -> String {
    let answer = visitor.get(path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}: {answer:?}");
    answer.text()
}

pub(crate) fn token(visitor: &Client) -> Token {
    Token::parse(visitor.cookie(COOKIE).unwrap().as_bytes(), "").unwrap()
}

pub(crate) fn id(visitor: &Client) -> SessionId {
    token(visitor).id()
}

/// The same person with the same cookie, at a server with this store.
pub(crate) fn elsewhere(person: &Client, store: impl SessionStore) -> Client {
    let visitor = visitor(store);
    visitor.set_cookie(COOKIE, &person.cookie(COOKIE).unwrap());
    visitor
}
