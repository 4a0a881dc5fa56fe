//! The directories that say whose sessions are whose.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tower_keep::core::{
    CommitId, Finish, HeadChange, NewSession, Op, Open, Opened, Owner, Put, Secret, SessionId,
    SessionStore, Sweep, SystemClock, UserPage, Users,
};
use tower_keep_file::{Durability, FileStore};
use tower_keep_testkit::TestClock;

use crate::common::{entries, files, new_session, store};

fn session_of(user: &str) -> NewSession {
    NewSession {
        user: Some(user.into()),
        ..new_session(&Secret::generate().unwrap())
    }
}

/// Has the session end, or become another user's.
async fn finish(store: &FileStore, id: SessionId, op: Op) {
    let owner = Owner::unique();
    let open = Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: Some((owner, Duration::from_secs(10))),
    };
    let Opened::Granted(view) = store.open(&open).await.unwrap() else {
        panic!("not granted");
    };
    let finish = Finish {
        id,
        owner,
        version: view.head.version,
        commit: CommitId::unique(),
        op,
        next: None,
    };
    store.finish(&finish).await.unwrap();
}

#[tokio::test]
async fn an_entry_is_empty_private_and_named_after_nothing_that_a_user_chose() {
    let store = store(SystemClock::default(), Durability::Full);
    let new = session_of("../../../etc/passwd");
    store.create(&new).await.unwrap();
    let [entry] = &entries(store.dir())[..] else {
        panic!("one entry");
    };
    assert!(entry.starts_with(store.dir().join("users")));
    let user = entry.parent().unwrap();
    let name = user.file_name().unwrap().to_str().unwrap();
    assert!(name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(
        entry.file_name().unwrap().to_str(),
        Some(&*new.id.to_string())
    );
    assert_eq!(fs::metadata(entry).unwrap().len(), 0);
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(entry), 0o600);
    assert_eq!(mode(&user.to_owned()), 0o700);
}

#[tokio::test]
async fn nothing_is_left_of_a_user_without_sessions() {
    let clock = TestClock::new();
    let store = store(clock.clone(), Durability::Full);
    let sessions = [(); 5].map(|()| session_of("ada"));
    for new in &sessions {
        store.create(new).await.unwrap();
    }
    assert_eq!(entries(store.dir()).len(), 5);
    store.destroy(sessions[0].id).await.unwrap();
    finish(&store, sessions[1].id, Op::Destroy).await;
    let to_nobody = Op::Put(Put {
        head: HeadChange {
            user: Some(None),
            ..HeadChange::default()
        },
        data: None,
    });
    finish(&store, sessions[2].id, to_nobody).await;
    Users::revoke(&store, "ada", sessions[3].id).await.unwrap();
    assert_eq!(entries(store.dir()).len(), 1);
    clock.advance(Duration::from_secs(1_000_000));
    let swept = store.sweep(Sweep::default()).await.unwrap();
    assert_eq!(swept.expired.len(), 2);
    assert!(files(&store.dir().join("users")).is_empty());
}

#[tokio::test]
async fn a_shelf_that_is_missing_is_an_error_and_not_a_user_without_sessions() {
    let store = store(SystemClock::default(), Durability::Full);
    fs::rename(store.dir().join("users"), store.dir().join("away")).unwrap();
    let page = UserPage::default();
    store.list("ada", page).await.unwrap_err();
    store.revoke_all("ada", None).await.unwrap_err();
    store.create(&session_of("ada")).await.unwrap_err();
}

/// What one that was killed may leave: the entry of a session that never came to be.
#[tokio::test]
async fn an_entry_without_its_session_takes_nobodys_place() {
    let store = store(SystemClock::default(), Durability::Full);
    let cap = Some(tower_keep::UserCap::refuse(1));
    let first = NewSession {
        cap,
        ..session_of("ada")
    };
    store.create(&first).await.unwrap();
    fs::remove_file(&files(store.dir())[0]).unwrap();
    assert!(
        store
            .list("ada", UserPage::default())
            .await
            .unwrap()
            .is_empty()
    );
    let second = NewSession {
        cap,
        ..session_of("ada")
    };
    store.create(&second).await.unwrap();
    assert_eq!(entries(store.dir()).len(), 1);
}
