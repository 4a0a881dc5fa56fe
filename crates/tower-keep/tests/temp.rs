//! E8: each session's own temporary files, gone with it, and served to nobody else.

#![cfg(feature = "temp")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::routing::get;
use common::{Backend, Client, Gates, MINUTE, Stop, app, id_of, settle, start};
use http::StatusCode;
use tempfile::TempDir as Directory;
use tokio::sync::Barrier;
use tower_keep::{
    Error, ReadSession, Session, SessionId, SessionLayer, SessionLayerBuilder, StoreErrorKind,
    TempDir, TempError, TempFiles, TempStorage,
};
use tower_keep_testkit::{Fault, Script, TestClient, Verb};

const OLD: Duration = Duration::from_secs(3_600);

/// An app that keeps files, and the directory in which it does.
struct World {
    root: Directory,
    backend: Backend,
    layer: SessionLayer,
    client: Client,
}

impl World {
    fn new(backend: Backend) -> Self {
        Self::of(backend, Gates::default(), |layer| layer)
    }

    fn of(
        backend: Backend,
        gates: Gates,
        configure: impl FnOnce(SessionLayerBuilder) -> SessionLayerBuilder,
    ) -> Self {
        let root = Directory::new().unwrap();
        let storage = TempStorage::new(root.path().join("tmp"))
            .max_bytes(100)
            .max_files(3);
        let layer = configure(backend.layer().temp_storage(storage))
            .build()
            .unwrap();
        let client = TestClient::with_body(routes(gates).layer(layer.clone()))
            .with_clock(backend.clock.clone());
        Self {
            root,
            backend,
            layer,
            client,
        }
    }

    fn both() -> [Self; 2] {
        Backend::both().map(Self::new)
    }

    fn root(&self) -> PathBuf {
        self.root.path().join("tmp")
    }

    /// What is in the root by name.
    fn left(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root()) else {
            return Vec::new();
        };
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    fn has(&self, id: SessionId) -> bool {
        self.root().join(id.to_string()).is_dir()
    }

    /// A visitor who has put `one` there.
    async fn visitor(&self) -> (Client, SessionId) {
        let client = self.client.fork();
        client.clear_cookies();
        assert_eq!(client.get("/put/one").await.status(), StatusCode::OK);
        let id = id_of(&client);
        assert!(self.has(id));
        (client, id)
    }

    /// Makes the session's directory look as if nobody had touched it for long.
    fn age(&self, id: SessionId) {
        let dir = fs::File::open(self.root().join(id.to_string())).unwrap();
        dir.set_modified(SystemTime::now() - OLD).unwrap();
    }
}

fn routes(gates: Gates) -> Router {
    Router::new()
        .route("/put/{name}", get(put))
        .route("/put-fails/{name}", get(put_fails))
        .route("/got/{name}", get(got))
        .route("/dir", get(async |s: Session| s.temp_dir().await.map(drop)))
        .route("/invalidate", get(async |s: Session| s.invalidate()))
        .route("/put-again", get(put_again))
        .route("/hold/{gate}/put", get(put_held))
        .route(
            "/late/{gate}/put",
            get(async |_: Stop, s: Session| put(s, UrlPath("one".into())).await),
        )
        .with_state(gates.clone())
        .merge(app(gates))
        .nest_service("/files", TempFiles::new())
}

async fn put(session: Session, UrlPath(name): UrlPath<String>) -> Result<(), Error> {
    let dir = session.temp_dir().await?;
    Ok(dir.write(&name, format!("this is {name}")).await?)
}

async fn put_fails(session: Session, name: UrlPath<String>) -> Result<StatusCode, Error> {
    put(session, name).await?;
    Ok(StatusCode::INTERNAL_SERVER_ERROR)
}

async fn got(session: ReadSession, UrlPath(name): UrlPath<String>) -> Result<Vec<u8>, Error> {
    let dir = session.temp_files()?.ok_or(Error::NotFound)?;
    Ok(dir.read(&name).await?)
}

async fn put_again(session: Session) -> Result<(), Error> {
    session.destroy()?;
    put(session, UrlPath("two".into())).await
}

async fn put_held(
    State(gates): State<Gates>,
    session: Session,
    UrlPath(gate): UrlPath<String>,
) -> Result<(), Error> {
    put(session, UrlPath("one".into())).await?;
    gates.at(&gate).pass().await;
    Ok(())
}

/// The directory of a session that was created without a request.
async fn dir_of(world: &World) -> TempDir {
    let sessions = world.layer.sessions();
    let started = sessions.create(None, [("n", 1)]).await.unwrap();
    let dir = sessions.write(started.id, async |s: Session| s.temp_dir().await);
    dir.await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn e8_files_are_the_sessions_own() {
    for world in World::both() {
        let client = &world.client;
        assert_eq!(client.get("/got/one").await.status(), StatusCode::NOT_FOUND);
        assert_eq!(world.left(), [] as [&str; 0], "asking makes nothing");
        assert_eq!(client.get("/put/one").await.status(), StatusCode::OK);
        // The session is stored by it.
        let id = id_of(client);
        assert_eq!(world.backend.live(), [id]);
        assert_eq!(client.get("/got/one").await.text(), "this is one");
        assert_eq!(client.get("/put/two").await.status(), StatusCode::OK);
        assert_eq!(client.get("/got/two").await.text(), "this is two");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let dir = world.root().join(id.to_string());
        assert_eq!((mode(&world.root()), mode(&dir)), (0o700, 0o700));
        assert_eq!(mode(&dir.join("one")), 0o600);
        let (other, _) = world.visitor().await;
        assert_eq!(other.get("/got/two").await.status(), StatusCode::NOT_FOUND);
    }
}

#[tokio::test(start_paused = true)]
async fn e8_files_are_written_whole_listed_and_removed() {
    let world = World::new(Backend::local());
    let dir = dir_of(&world).await;
    dir.write("a/b/c.txt", "first").await.unwrap();
    dir.write("a/b/c.txt", "second").await.unwrap();
    dir.write("z", vec![0, 1, 2]).await.unwrap();
    assert_eq!(dir.read("a/b/c.txt").await.unwrap(), b"second");
    let list = dir.list().await.unwrap();
    let names: Vec<_> = list
        .iter()
        .map(|file| (file.name.as_str(), file.bytes))
        .collect();
    assert_eq!(names, [("a/b/c.txt", 6), ("z", 3)]);
    assert_eq!(dir.size().await.unwrap(), 9);
    for name in ["a", "a/b", "nothing", "z/below"] {
        assert!(
            matches!(dir.read(name).await, Err(TempError::NotFound)),
            "{name}"
        );
    }
    assert!(matches!(
        dir.write("a/b", "x").await,
        Err(TempError::Name(_))
    ));
    assert!(matches!(
        dir.write("z/below", "x").await,
        Err(TempError::Name(_))
    ));
    assert!(dir.remove("a/b/c.txt").await.unwrap());
    assert!(!dir.remove("a/b/c.txt").await.unwrap());
    assert!(!dir.path().join("a").exists(), "empty directories go too");
    // What a crash has left of a write is not seen, and goes with the next one.
    fs::write(dir.path().join(".part-1"), "half").unwrap();
    assert_eq!(dir.list().await.unwrap().len(), 1);
    dir.write("y", "y").await.unwrap();
    assert!(!dir.path().join(".part-1").exists());
    assert!(!format!("{dir:?}").contains("tmp"));
}

#[tokio::test]
async fn e8_the_quota_is_exact_and_nothing_is_half_written() {
    let world = World::new(Backend::local());
    let dir = dir_of(&world).await;
    let byte = |bytes: usize| vec![b'x'; bytes];
    dir.write("a", byte(60)).await.unwrap();
    let refused = dir.write("b", byte(41)).await;
    assert!(matches!(
        refused,
        Err(TempError::TooManyBytes { limit: 100 })
    ));
    assert!(!dir.path().join("b").exists(), "nothing of it is there");
    dir.write("b", byte(40)).await.unwrap();
    dir.write("a", byte(59)).await.unwrap();
    dir.write("c", byte(1)).await.unwrap();
    let refused = dir.write("d", byte(0)).await;
    assert!(matches!(refused, Err(TempError::TooManyFiles { limit: 3 })));
    assert_eq!(
        TempError::TooManyFiles { limit: 3 }.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    // What is written beside the API counts.
    assert!(dir.remove("b").await.unwrap());
    fs::write(dir.path().join("b"), byte(39)).unwrap();
    assert!(dir.write("a", byte(61)).await.is_err());
    dir.write("a", byte(60)).await.unwrap();
}

/// Two fit, whichever come first, and never a third.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e8_the_quota_holds_for_writes_at_the_same_time() {
    let world = World::new(Backend::local());
    for _ in 0..25 {
        let dir = dir_of(&world).await;
        let together = Arc::new(Barrier::new(16));
        let tab = |n: usize| {
            let (dir, together) = (dir.clone(), together.clone());
            tokio::spawn(async move {
                together.wait().await;
                dir.write(&format!("tab-{n}"), vec![b'x'; 40]).await
            })
        };
        let tabs: Vec<_> = (0..16).map(tab).collect();
        let mut written = 0;
        for tab in tabs {
            written += usize::from(tab.await.unwrap().is_ok());
        }
        assert_eq!((written, dir.size().await.unwrap()), (2, 80));
    }
}

#[tokio::test(start_paused = true)]
async fn e8_links_lead_nowhere() {
    let world = World::new(Backend::local());
    let dir = dir_of(&world).await;
    let outside = Directory::new().unwrap();
    fs::write(outside.path().join("secret"), "secret").unwrap();
    symlink(outside.path(), dir.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), dir.path().join("file")).unwrap();
    for name in ["out/secret", "file", "out"] {
        assert!(
            matches!(dir.read(name).await, Err(TempError::NotFound)),
            "{name}"
        );
    }
    assert!(dir.write("out/new", "x").await.is_err());
    assert!(!dir.remove("out/secret").await.unwrap());
    dir.write("file", "mine").await.unwrap();
    let secret = || fs::read_to_string(outside.path().join("secret")).unwrap();
    assert_eq!(secret(), "secret", "the link was replaced, not followed");
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    // A session's directory that is a link is none.
    let other = dir_of(&world).await;
    fs::remove_dir_all(other.path()).unwrap();
    symlink(outside.path(), other.path()).unwrap();
    assert!(other.read("secret").await.is_err() && other.write("new", "x").await.is_err());
    // Removing a session removes links and not what they point to.
    let id: SessionId = dir
        .path()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    symlink(outside.path(), dir.path().join("again")).unwrap();
    world.layer.sessions().destroy(id).await.unwrap();
    settle().await;
    assert!(!dir.path().exists());
    assert_eq!(secret(), "secret");
}

#[tokio::test(start_paused = true)]
async fn e8_files_go_with_the_session_however_it_ends() {
    for world in World::both() {
        let name = world.backend.name;
        let sessions = world.layer.sessions();
        let (kept, live) = world.visitor().await;
        for end in ["/logout", "/invalidate", "/put-again"] {
            let (client, id) = world.visitor().await;
            client.get(end).await;
            settle().await;
            assert!(!world.has(id), "{name} {end}");
            assert_eq!(client.get("/got/one").await.status(), StatusCode::NOT_FOUND);
            if end == "/put-again" {
                assert!(world.has(id_of(&client)));
                client.get("/logout").await;
            }
        }
        let (_, id) = world.visitor().await;
        sessions.destroy(id).await.unwrap();
        let (client, others) = world.visitor().await;
        client.get("/login/ann").await;
        settle().await;
        assert!(
            !world.has(id) && world.has(others),
            "{name}: a login keeps them"
        );
        let dir = sessions
            .write(others, async |s: Session| s.temp_dir().await)
            .await
            .unwrap();
        sessions.destroy_user("ann").await.unwrap();
        settle().await;
        assert_eq!(world.left(), [live.to_string()], "{name}");
        // Who still has the directory cannot bring it back.
        assert!(matches!(dir.write("late", "x").await, Err(TempError::Gone)));
        assert_eq!(dir.size().await.unwrap(), 0);
        assert!(!dir.path().exists());
        // Expired: met by a request, or by a sweep.
        let (_, swept) = world.visitor().await;
        world.backend.clock.advance(120 * MINUTE);
        assert!(world.has(live) && world.has(swept));
        kept.get("/n").await;
        settle().await;
        assert!(!world.has(live), "{name}");
        sessions.sweep().await.unwrap();
        settle().await;
        assert_eq!(world.left(), [] as [&str; 0], "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn e8_a_new_session_that_is_not_stored_leaves_no_files() {
    for world in World::both() {
        let client = &world.client;
        assert_eq!(
            client.get("/put-fails/one").await.status(),
            StatusCode::INTERNAL_SERVER_ERROR
        );
        settle().await;
        assert_eq!(
            (world.left(), client.cookie(common::COOKIE)),
            (vec![], None)
        );
        // Its client leaves.
        let request = start(client, "/hold/there/put");
        settle().await;
        assert_eq!(world.left().len(), 1);
        request.abort();
        settle().await;
        assert_eq!(world.left(), [] as [&str; 0]);
        // Of a session that is stored, files are kept whatever comes of the request.
        client.get("/add").await;
        client.get("/put-fails/one").await;
        settle().await;
        assert_eq!(client.get("/got/one").await.text(), "this is one");
    }
    let world = World::new(Backend::remote());
    let full = Script::new().every_of(Verb::Create, Fault::Fail(StoreErrorKind::Full));
    world.backend.faults.set_script(full);
    assert!(
        world
            .client
            .get("/put/one")
            .await
            .status()
            .is_server_error()
    );
    settle().await;
    assert_eq!(world.left(), [] as [&str; 0]);
}

#[tokio::test(start_paused = true)]
async fn e8_orphans_are_swept_and_nothing_else_is() {
    for world in World::both() {
        let sessions = world.layer.sessions();
        let (_, live) = world.visitor().await;
        let (_, gone) = world.visitor().await;
        let (_, recent) = world.visitor().await;
        // Ended without this layer's knowledge, as after a crash.
        let elsewhere = world.backend.layer().build().unwrap().sessions();
        elsewhere.destroy(gone).await.unwrap();
        elsewhere.destroy(recent).await.unwrap();
        let never = SessionId::new(tower_keep::Timestamp::from_millis(1));
        fs::create_dir(world.root().join(never.to_string())).unwrap();
        for id in [live, gone, never] {
            world.age(id);
        }
        let foreign = ["notes", "00000000-0000-0000-0000-000000000000"];
        for name in foreign {
            fs::create_dir(world.root().join(name)).unwrap();
        }
        // Half removed by a process that was stopped.
        let half = world.root().join(format!(".gone-{gone}-1"));
        fs::create_dir(&half).unwrap();
        fs::write(half.join("a"), "a").unwrap();

        let swept = sessions.sweep_temp().await.unwrap();
        assert_eq!(
            (swept.removed, swept.more),
            (2, false),
            "{}",
            world.backend.name
        );
        let mut left = world.left();
        left.sort();
        let mut expected = [
            live.to_string(),
            recent.to_string(),
            foreign[0].into(),
            foreign[1].into(),
        ];
        expected.sort();
        assert_eq!(left, expected);
        // By and by the other one too.
        world.age(recent);
        assert_eq!(sessions.sweep_temp().await.unwrap().removed, 1);
        assert!(world.has(live));
    }
}

#[tokio::test(start_paused = true)]
async fn e8_a_store_that_fails_removes_nothing() {
    let world = World::new(Backend::remote());
    let (_, id) = world.visitor().await;
    world.layer.sessions().sweep().await.unwrap();
    let elsewhere = world.backend.layer().build().unwrap().sessions();
    elsewhere.destroy(id).await.unwrap();
    world.age(id);
    for kind in [StoreErrorKind::Unavailable, StoreErrorKind::Corrupt] {
        world
            .backend
            .faults
            .set_script(Script::new().every(Fault::Fail(kind)));
        let swept = world.layer.sessions().sweep_temp().await;
        assert_eq!(swept.is_ok(), kind == StoreErrorKind::Corrupt);
        assert!(world.has(id), "{kind:?}");
    }
    world.backend.faults.set_script(Script::new());
    assert_eq!(
        world.layer.sessions().sweep_temp().await.unwrap().removed,
        1
    );
}

#[tokio::test(start_paused = true)]
async fn e8_the_sweeper_leaves_a_session_that_is_being_created() {
    for world in World::both() {
        let sessions = world.layer.sessions();
        let sweeper = tokio::spawn({
            let sessions = sessions.clone();
            async move { sessions.sweep_every(MINUTE).await }
        });
        let request = start(&world.client, "/hold/there/put");
        settle().await;
        let [name] = <[String; 1]>::try_from(world.left()).unwrap();
        let id: SessionId = name.parse().unwrap();
        assert_eq!(world.backend.live(), [], "not stored yet");
        // An upload that takes very long.
        world.age(id);
        tokio::time::sleep(5 * MINUTE).await;
        assert!(world.has(id), "{}", world.backend.name);
        request.abort();
        settle().await;
        let orphan = SessionId::new(tower_keep::Timestamp::from_millis(1));
        fs::create_dir(world.root().join(orphan.to_string())).unwrap();
        world.age(orphan);
        tokio::time::sleep(5 * MINUTE).await;
        assert_eq!(world.left(), [] as [&str; 0]);
        sweeper.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn e8_without_a_storage_it_is_an_error_that_names_it() {
    let backend = Backend::local();
    let client = backend.client(routes(Gates::default()));
    assert_eq!(
        client.get("/put/one").await.status(),
        StatusCode::INTERNAL_SERVER_ERROR
    );
    let text = Error::from(TempError::NotConfigured).to_string();
    assert!(text.contains("temp_storage"), "{text}");
    let layer = backend.layer().build().unwrap();
    assert_eq!(layer.sessions().sweep_temp().await.unwrap().removed, 0);
}

#[tokio::test(start_paused = true)]
async fn e8_a_request_that_can_use_no_session_has_no_directory() {
    for backend in Backend::both() {
        let gates = Gates::default();
        let world = World::of(backend, gates.clone(), |layer| layer);
        world.client.get("/add").await;
        let request = start(&world.client, "/late/there/put");
        settle().await;
        world.client.get("/logout").await;
        gates.at("there").open();
        let status = request.await.unwrap().status();
        assert_eq!(status, StatusCode::CONFLICT, "{}", world.backend.name);
        settle().await;
        assert_eq!(world.left(), [] as [&str; 0]);
    }
}
