//! axum-login, unchanged.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::get;
use axum_login::{
    AuthManager, AuthUser, AuthnBackend, AuthzBackend, login_required, permission_required,
};
use tower_keep::{DynStore, SessionLayer, UserPage};
use tower_keep_testkit::TestClient;
use tower_keep_tower_sessions::{TowerSessions14Layer, axum_login_user};
use tower_sessions::Session;

use crate::life::{COOKIE, Client};
use crate::served::stores;

#[derive(Debug, Clone)]
pub(crate) struct User {
    id: i64,
    password: Vec<u8>,
    writes: bool,
}

impl AuthUser for User {
    type Id = i64;

    fn id(&self) -> i64 {
        self.id
    }

    fn session_auth_hash(&self) -> &[u8] {
        &self.password
    }
}

/// Users whose names are their passwords, as long as they have not changed them.
#[derive(Debug, Clone)]
pub(crate) struct Backend(Arc<Mutex<HashMap<&'static str, User>>>);

impl Default for Backend {
    fn default() -> Self {
        let user = |id, name: &'static str| {
            let password = name.as_bytes().to_vec();
            let writes = id == 1;
            (
                name,
                User {
                    id,
                    password,
                    writes,
                },
            )
        };
        Self(Arc::new(Mutex::new(
            [user(1, "ann"), user(2, "bob")].into(),
        )))
    }
}

impl AuthnBackend for Backend {
    type User = User;
    type Credentials = String;
    type Error = Infallible;

    async fn authenticate(&self, name: String) -> Result<Option<User>, Infallible> {
        Ok(self.0.lock().unwrap().get(name.as_str()).cloned())
    }

    async fn get_user(&self, id: &i64) -> Result<Option<User>, Infallible> {
        let users = self.0.lock().unwrap();
        Ok(users.values().find(|user| user.id == *id).cloned())
    }
}

impl AuthzBackend for Backend {
    type Permission = &'static str;

    async fn get_user_permissions(&self, user: &User) -> Result<HashSet<&'static str>, Infallible> {
        Ok(user.writes.then_some("write").into_iter().collect())
    }
}

type AuthSession = axum_login::AuthSession<Backend>;

async fn login(mut auth: AuthSession, Path(name): Path<String>) -> StatusCode {
    match auth.authenticate(name).await.unwrap() {
        Some(user) => {
            auth.login(&user).await.unwrap();
            StatusCode::OK
        }
        None => StatusCode::UNAUTHORIZED,
    }
}

async fn me(auth: AuthSession) -> String {
    auth.user.unwrap().id.to_string()
}

async fn put(session: Session, Path(key): Path<String>) {
    session.insert(&key, true).await.unwrap();
}

async fn keys(session: Session) -> String {
    let mut found = 0;
    for key in 0..20 {
        let key = session.get::<bool>(&format!("k{key}")).await.unwrap();
        found += usize::from(key == Some(true));
    }
    found.to_string()
}

/// The app as it was written for tower-sessions; what gives it sessions is still to be put around.
pub(crate) fn app(backend: Backend) -> Router {
    Router::new()
        .route("/write", get(async || "written"))
        .route_layer(permission_required!(Backend, "write"))
        .route("/me", get(me))
        .route("/put/{key}", get(put))
        .route("/keys", get(keys))
        .route_layer(login_required!(Backend))
        .route("/login/{name}", get(login))
        .route(
            "/logout",
            get(async |mut auth: AuthSession| drop(auth.logout().await.unwrap())),
        )
        .layer(tower_layer::layer_fn(move |inner| {
            AuthManager::new(inner, backend.clone(), "axum-login.data")
        }))
}

fn served(store: DynStore, backend: Backend) -> (Client, SessionLayer) {
    let layer = SessionLayer::new(store);
    let theirs = TowerSessions14Layer::new().user(axum_login_user);
    let client = TestClient::new(app(backend).layer(theirs).layer(layer.clone()));
    (client, layer)
}

#[tokio::test]
async fn f2_axum_login_logs_in_and_out() {
    for store in stores().await {
        let (client, _) = served(store, Backend::default());
        assert_eq!(client.get("/me").await.status(), 401);
        assert_eq!(client.get("/login/eve").await.status(), 401);
        assert_eq!(client.cookie(COOKIE), None);

        assert_eq!(client.get("/login/bob").await.status(), 200);
        assert_eq!(client.get("/me").await.text(), "2");
        assert_eq!(client.get("/write").await.status(), 403);

        let copy = client.fork();
        assert_eq!(client.get("/logout").await.status(), 200);
        assert_eq!(client.cookie(COOKIE), None);
        for client in [&client, &copy] {
            assert_eq!(client.get("/me").await.status(), 401);
        }

        assert_eq!(client.get("/login/ann").await.status(), 200);
        assert_eq!(client.get("/write").await.text(), "written");
        assert_eq!(client.get("/me").await.text(), "1");
    }
}

#[tokio::test]
async fn f2_a_login_replaces_the_cookie() {
    for store in stores().await {
        let (client, _) = served(store, Backend::default());
        client.get("/login/bob").await;
        client.get("/put/k0").await;
        let thief = client.fork();
        // Here axum-login does not cycle the id; another user is what rotates.
        client.get("/login/ann").await;
        assert_ne!(client.cookie(COOKIE), thief.cookie(COOKIE));
        assert_eq!(thief.get("/me").await.status(), 401);
        assert_eq!(client.get("/me").await.text(), "1");
        assert_eq!(client.get("/keys").await.text(), "1");
    }
}

/// axum-login flushes the session where it finds another password hash.
#[tokio::test]
async fn f2_a_changed_password_ends_the_sessions_of_axum_login() {
    for store in stores().await {
        let backend = Backend::default();
        let (client, layer) = served(store, backend.clone());
        client.get("/login/bob").await;
        backend.0.lock().unwrap().get_mut("bob").unwrap().password = b"new".to_vec();
        // In this very request the session is flushed, cycled and logged in to.
        let tab = client.fork();
        assert_eq!(client.get("/login/ann").await.status(), 200);
        assert_eq!(client.get("/me").await.text(), "1");
        assert_eq!(tab.get("/me").await.status(), 401);
        let sessions = layer.sessions();
        assert!(
            sessions
                .of("2")
                .list(UserPage::default())
                .await
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            sessions
                .of("1")
                .list(UserPage::default())
                .await
                .unwrap()
                .len(),
            1
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f2_of_twenty_requests_at_once_of_one_user_nothing_is_lost() {
    for store in stores().await {
        let (client, _) = served(store, Backend::default());
        client.get("/login/ann").await;
        let tasks: Vec<_> = (0..20)
            .map(|key| {
                let tab = client.clone();
                tokio::spawn(async move { tab.get(&format!("/put/k{key}")).await.status() })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 200);
        }
        assert_eq!(client.get("/keys").await.text(), "20");
        assert_eq!(client.get("/me").await.text(), "1");
    }
}

#[tokio::test]
async fn f2_users_of_axum_login_are_users_of_ours() {
    for store in stores().await {
        let (laptop, layer) = served(store, Backend::default());
        let phone = laptop.fork();
        let sessions = layer.sessions();
        for client in [&laptop, &phone] {
            client.get("/login/ann").await;
        }
        let listed = sessions.of("1").list(UserPage::default()).await.unwrap();
        assert_eq!(listed.len(), 2);

        laptop.get("/logout").await;
        let listed = sessions.of("1").list(UserPage::default()).await.unwrap();
        assert_eq!(listed.len(), 1);

        assert_eq!(sessions.destroy_user("1").await.unwrap().len(), 1);
        assert_eq!(phone.get("/me").await.status(), 401);
    }
}
