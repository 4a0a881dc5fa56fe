//! A session that is there before the first request.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};
use tower_keep_core::data::{Data, DataLimits, Edit, Literal};
use tower_keep_core::{
    CommitId, Created, Limits, NewSession, Secret, SessionId, SessionStore, Token,
};

use crate::client::{TestClient, ok};

/// What a session that [`TestClient::session_with`] stores begins with.
///
/// ```
/// use serde_json::json;
/// use tower_keep_testkit::TestSession;
///
/// let cart = TestSession::new(json!({ "cart": { "items": [1, 2] } }));
/// let logged_in = TestSession::new(()).user("ann").cookie_name("id");
/// # drop((cart, logged_in));
/// ```
#[derive(Clone)]
pub struct TestSession {
    data: Data,
    user: Option<Arc<str>>,
    cookie: String,
    prefix: String,
    limits: Limits,
    remember: bool,
}

impl TestSession {
    /// A session of nobody with these data: a map or struct whose fields are the top-level keys, or
    /// `()` for none. Dots in the keys separate nothing.
    ///
    /// # Panics
    /// If `data` is anything else, or no session can hold it.
    pub fn new(data: impl Serialize) -> Self {
        let values = match ok("the data of a session", serde_json::to_value(data)) {
            Value::Null => Map::new(),
            Value::Object(values) => values,
            _ => ok("the data of a session", Err("they are no map")),
        };
        let limits = DataLimits {
            max_size: usize::MAX,
            ..DataLimits::default()
        };
        let mut edit = Edit::new(Data::default(), limits);
        for (key, value) in &values {
            ok(key, edit.insert(Literal(key), value));
        }
        Self::from(ok("the data of a session", edit.into_data()))
    }

    /// Makes it the session of a user, who has just logged in.
    #[must_use]
    pub fn user(mut self, user: impl Into<Arc<str>>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Makes it one that is remembered: with a user, and by the layer's rules for those.
    #[must_use]
    pub fn remembered(mut self) -> Self {
        self.remember = true;
        self
    }

    /// The name of the app's cookie: `__Host-id` by default, as of the layer's.
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie = name.into();
        self
    }

    /// What stands in front of the app's tokens: nothing by default.
    #[must_use]
    pub fn token_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How long it lives: idle 2 h and in all 24 h by default, as by the layer's defaults.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }
}

/// With all that is in the data, the library's own entries too.
impl From<Data> for TestSession {
    fn from(data: Data) -> Self {
        Self {
            data,
            user: None,
            cookie: "__Host-id".to_owned(),
            prefix: String::new(),
            limits: Limits::default(),
            remember: false,
        }
    }
}

/// As [`TestSession::new`].
impl From<Value> for TestSession {
    fn from(data: Value) -> Self {
        Self::new(data)
    }
}

impl fmt::Debug for TestSession {
    /// Shows the user and no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestSession")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl<S, B> TestClient<S, B> {
    /// Stores a session in the app's store and takes its cookie, as if an earlier visit had left
    /// both; tells its id. By the client's clock it is being created now.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// use axum::{Router, routing::get};
    /// use serde_json::json;
    /// use tower_keep::{MemoryStore, ReadSession, SessionLayer};
    /// use tower_keep_testkit::{TestClient, TestSession};
    ///
    /// async fn who(session: ReadSession) -> String {
    ///     let name: String = session.get_or_default("profile.name").unwrap();
    ///     format!("{name} {:?}", session.user())
    /// }
    ///
    /// let store = MemoryStore::new();
    /// let app = Router::new().route("/who", get(who));
    /// let client = TestClient::new(app.layer(SessionLayer::new(store.clone())));
    ///
    /// client.session_with(&store, json!({ "profile": { "name": "Ann" } })).await;
    /// assert_eq!(client.get("/who").await.text(), "Ann None");
    ///
    /// client.session_with(&store, TestSession::new(()).user("ann")).await;
    /// assert_eq!(client.get("/who").await.text(), r#" Some("ann")"#);
    /// # }
    /// ```
    ///
    /// # Panics
    /// If the store does not take it.
    pub async fn session_with(
        &self,
        store: &impl SessionStore,
        session: impl Into<TestSession>,
    ) -> SessionId {
        let session = session.into();
        let secret = ok("the secret of a session", Secret::generate());
        let new = NewSession {
            id: SessionId::new(self.clock.now()),
            secret: secret.hash(),
            commit: CommitId::unique(),
            limits: session.limits,
            extend: None,
            authenticated: session.user.is_some(),
            user: session.user,
            cap: None,
            client: None,
            remember: session.remember,
            data: session.data,
        };
        let created = match store.create(&new).await {
            Ok(Created::Done(_)) => Ok(()),
            Ok(refused) => Err(format!("{refused:?}")),
            Err(error) => Err(error.to_string()),
        };
        ok("the store took no session", created);
        let token = Token::new(new.id, secret);
        self.set_cookie(&session.cookie, &token.encode(&session.prefix));
        new.id
    }
}
