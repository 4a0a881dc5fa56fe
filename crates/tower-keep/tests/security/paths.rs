//! Path traversal: a file's name that a client chose.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use axum::Router;
use axum::extract::Path as UrlPath;
use axum::routing::get;
use tower_keep::{Error, Session, SessionLayer};
use tower_keep_file::{Durability, FileStore};
use tower_keep_testkit::TestClient;

use crate::common::{COOKIE, Client, Gates, app};
use crate::encoded;

const TRAVERSALS: [&str; 14] = [
    "../secret",
    "../../secret",
    "..",
    ".",
    "/etc/passwd",
    "..\\secret",
    "%2e%2e%2fsecret",
    "..%2fsecret",
    "%252e%252e%252fsecret",
    "....//secret",
    "sessions/../../secret",
    "\u{2025}/secret",
    "a/../../../secret",
    "~root",
];

/// Everything below, by path and content.
fn tree(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut left = vec![dir.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path.clone());
            }
            let content = fs::read(&path).unwrap_or_default();
            found.insert(
                path.strip_prefix(dir).unwrap().to_str().unwrap().to_owned(),
                content,
            );
        }
    }
    found
}

/// No cookie and no user's name makes, reads, changes or removes a file but a session's own.
#[tokio::test]
async fn no_cookie_and_no_user_leads_out_of_the_stores_directory() {
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("sessions");
    fs::write(dir.path().join("secret"), "top secret").unwrap();
    let store = FileStore::builder(&inside)
        .durability(Durability::NoSync)
        .open()
        .unwrap();
    let login = async |session: Session, UrlPath(user): UrlPath<String>| -> Result<(), Error> {
        session.set_user(user)
    };
    let layer = SessionLayer::new(store);
    let sessions = layer.sessions();
    let routes = app(Gates::default()).route("/enter/{user}", get(login));
    let client: Client = TestClient::with_body(routes.layer(layer));
    for value in TRAVERSALS {
        let before = tree(&inside);
        if value.is_ascii() {
            for path in ["/who", "/n", "/logout"] {
                let visitor = client.fork();
                visitor.set_cookie(COOKIE, value);
                let answer = visitor.get(path).await;
                assert_eq!(answer.status(), 200, "{value}");
                assert!(!answer.text().contains("secret"), "{value}");
            }
        }
        assert!(tree(&inside) == before, "{value}");
        for outcome in [
            sessions.destroy(value).await,
            sessions.of("ann").destroy(value).await.map(|()| true),
        ] {
            assert!(!outcome.unwrap_or_default(), "{value}");
        }
        // As a user's name it is only a name.
        let visitor = client.fork();
        let entered = visitor.get(&format!("/enter/{}", encoded(value))).await;
        assert_eq!(entered.status(), 200, "{value}");
        let who = visitor.get("/who").await.text();
        assert_eq!(who, format!("{value} 0"));
        assert_eq!(sessions.destroy_user(value).await.unwrap().len(), 1);
    }
    for (path, _) in tree(&inside) {
        // Names are of ids and digests, and of the store's own few files.
        let last = path.rsplit('/').next().unwrap();
        assert!(!last.contains("secret") && !last.contains(".."), "{path}");
    }
    let outside = tree(dir.path());
    let beside: Vec<_> = outside
        .keys()
        .filter(|path| !path.starts_with("sessions"))
        .collect();
    assert_eq!(beside, ["secret"]);
    assert_eq!(outside["secret"], b"top secret");
}

/// Temporary files are named by whoever uploads them.
#[cfg(feature = "temp")]
#[tokio::test]
async fn no_name_leads_out_of_a_sessions_temporary_files() {
    use tower_keep::{MemoryStore, TempFiles, TempStorage};
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("secret"), "top secret").unwrap();
    let upload =
        async |session: Session, UrlPath(name): UrlPath<String>| -> Result<String, Error> {
            session.insert("n", &1)?;
            let files = session.temp_dir().await?;
            let write = files.write(&name, "mine").await.is_ok();
            let read = files.read(&name).await.is_ok();
            let removed = files.remove(&name).await.unwrap_or_default();
            Ok(format!("{write} {read} {removed}"))
        };
    let layer = SessionLayer::builder(MemoryStore::new())
        .temp_storage(TempStorage::new(dir.path().join("tmp")))
        .build()
        .unwrap();
    let routes = Router::new()
        .route("/upload/{name}", get(upload))
        .nest_service("/files", TempFiles::new())
        .layer(layer);
    let client: Client = TestClient::with_body(routes);
    assert_eq!(
        client.get("/upload/fine.txt").await.text(),
        "true true true"
    );
    for name in TRAVERSALS {
        let answer = client.get(&format!("/upload/{}", encoded(name))).await;
        assert_eq!(answer.status(), 200, "{name}");
        // Refused, or a file of that very name in the session's own directory.
        if name
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
        {
            assert_eq!(answer.text(), "false false false", "{name}");
        }
        for path in [
            format!("/files/{}", encoded(name)),
            format!("/files/{name}"),
        ] {
            if path.parse::<http::Uri>().is_ok() {
                let answer = client.get(&path).await;
                assert!(!answer.status().is_success(), "{path}");
                assert!(!answer.text().contains("top secret"), "{path}");
            }
        }
        let all = tree(dir.path());
        assert_eq!(all["secret"], b"top secret", "{name}");
        let beside = all.keys().filter(|path| !path.starts_with("tmp")).count();
        assert_eq!(beside, 1, "{name}");
    }
}
