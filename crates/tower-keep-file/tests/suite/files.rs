//! What stands on the disk, and what happens when it does not stand there.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use tower_keep::core::{
    Created, Finish, Finished, Op, Open, Opened, Owner, Put, Scope, Secret, SessionStore, Sweep,
    SystemClock, Token,
};
use tower_keep::{StoreErrorKind, Timestamp};
use tower_keep_file::{Durability, FileError, FileStore};
use tower_keep_testkit::TestClock;

use crate::common::{file_of, files, new_session, store};

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn by_id(id: tower_keep::SessionId) -> Open {
    Open {
        id,
        secret: None,
        age: Duration::ZERO,
        touch: None,
        lease: None,
    }
}

#[tokio::test]
async fn only_the_server_reads_its_files() {
    let store = store(SystemClock::default(), Durability::Full);
    assert_eq!(store.scope(), Scope::Shared);
    let new = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    assert_eq!(mode(store.dir()), 0o700);
    for shard in fs::read_dir(store.dir()).unwrap() {
        assert_eq!(mode(&shard.unwrap().path()), 0o700);
    }
    let file = file_of(store.dir(), new.id);
    assert_eq!(mode(&file), 0o600);
    // Also after it was replaced, and nothing else is there.
    assert!(store.destroy(new.id).await.unwrap());
    assert_eq!(mode(&file), 0o600);
    assert_eq!(files(store.dir()), [file]);
}

#[test]
fn a_directory_that_everybody_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = FileStore::open(dir.path()).unwrap_err();
    assert!(matches!(error, FileError::Exposed { .. }), "{error}");
    assert!(error.to_string().contains("chmod o-w"), "{error}");
    let nobody_made = fs::read_dir(dir.path()).unwrap().next().is_none();
    assert!(nobody_made);
}

#[test]
fn what_is_in_the_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = FileStore::open(&file).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn nothing_on_the_disk_opens_a_session() {
    let store = store(SystemClock::default(), Durability::Full);
    let secret = Secret::generate().unwrap();
    let new = new_session(&secret);
    store.create(&new).await.unwrap();
    let cookie = Token::new(new.id, secret).encode("");
    // The last 32 of 48 bytes are the secret.
    let (dump, secret) = (
        fs::read(file_of(store.dir(), new.id)).unwrap(),
        &cookie[22..],
    );
    let text = String::from_utf8_lossy(&dump);
    assert!(!text.contains(&cookie) && !text.contains(&secret[..20]));
    let debug = format!("{store:?}");
    assert!(debug.contains("sessions") && !debug.contains("somebody"));
    for word in ["somebody", r#"{"n":1}"#] {
        assert!(text.contains(word), "the dump is one of the session");
    }
}

#[tokio::test]
async fn errors_tell_nothing_of_the_content() {
    let store = store(SystemClock::default(), Durability::Full);
    let new = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    let file = file_of(store.dir(), new.id);
    let mut bytes = fs::read(&file).unwrap();
    bytes[50] ^= 1;
    fs::write(&file, &bytes).unwrap();
    let error = store.look(new.id).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    let shown = format!("{error} {error:?} {source} {source:?}");
    assert!(
        !shown.contains("somebody") && !shown.contains(r#""n""#),
        "{shown}"
    );
}

#[tokio::test]
async fn a_file_that_cannot_be_read_stays_as_it_is() {
    let clock = TestClock::new();
    let store = store(clock.clone(), Durability::Full);
    let new = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    let file = file_of(store.dir(), new.id);
    let whole = fs::read(&file).unwrap();
    let mut newer_layout = whole.clone();
    newer_layout[3] = 9;
    let mut newer_record = whole.clone();
    newer_record[15] = 9;
    let cases = [
        (Vec::new(), StoreErrorKind::Corrupt),
        (whole[..whole.len() / 2].to_vec(), StoreErrorKind::Corrupt),
        (newer_layout, StoreErrorKind::Unsupported),
        (newer_record, StoreErrorKind::Unsupported),
    ];
    clock.advance(Duration::from_secs(1_000_000));
    for (bytes, kind) in cases {
        fs::write(&file, &bytes).unwrap();
        let lease = Some((Owner::unique(), Duration::from_secs(1)));
        let leasing = Open {
            lease,
            ..by_id(new.id)
        };
        let release = Finish {
            id: new.id,
            owner: Owner::unique(),
            version: 1,
            commit: new.commit,
            op: Op::Release,
            next: None,
        };
        let errors = [
            store.look(new.id).await.unwrap_err(),
            store.open(&by_id(new.id)).await.unwrap_err(),
            store.open(&leasing).await.unwrap_err(),
            store.finish(&release).await.unwrap_err(),
            store.create(&new).await.unwrap_err(),
            store.destroy(new.id).await.unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), kind, "{error:?}");
        }
        let swept = store.sweep(Sweep::default()).await.unwrap();
        assert_eq!(swept.removed(), 0);
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
}

#[tokio::test]
async fn a_copy_of_a_session_under_another_name_is_none() {
    let store = store(SystemClock::default(), Durability::Full);
    let new = new_session(&Secret::generate().unwrap());
    let other = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    fs::copy(file_of(store.dir(), new.id), file_of(store.dir(), other.id)).unwrap();
    let error = store.look(other.id).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
}

#[tokio::test]
async fn a_directory_that_is_gone_is_not_an_empty_store() {
    let store = store(SystemClock::default(), Durability::Full);
    let new = new_session(&Secret::generate().unwrap());
    store.create(&new).await.unwrap();
    let away = store.dir().with_extension("unmounted");
    fs::rename(store.dir(), &away).unwrap();
    let errors = [
        store.ping().await.unwrap_err(),
        store.open(&by_id(new.id)).await.unwrap_err(),
        store
            .create(&new_session(&Secret::generate().unwrap()))
            .await
            .unwrap_err(),
        store.sweep(Sweep::default()).await.unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error:?}");
    }
    fs::rename(&away, store.dir()).unwrap();
    let opened = store.open(&by_id(new.id)).await.unwrap();
    assert!(matches!(opened, Opened::Granted(_)), "{opened:?}");
}

#[tokio::test]
async fn foreign_files_are_left_alone() {
    let store = store(SystemClock::default(), Durability::Full);
    let new = new_session(&Secret::generate().unwrap());
    let other = store.dir().join(if new.id.to_string().ends_with("00") {
        "01"
    } else {
        "00"
    });
    let foreign = [
        store.dir().join("00/README"),
        store.dir().join("00/.hidden"),
        other.join(new.id.to_string()),
    ];
    for file in &foreign {
        fs::write(file, "mine").unwrap();
    }
    store.sweep(Sweep::default()).await.unwrap();
    for file in &foreign {
        assert_eq!(fs::read(file).unwrap(), b"mine");
    }
}

#[tokio::test]
async fn a_sweep_removes_what_the_dead_were_writing() {
    let store = store(SystemClock::default(), Durability::Full);
    let left = store.dir().join("7f/.new");
    fs::write(&left, "half a rec").unwrap();
    store.sweep(Sweep::default()).await.unwrap();
    assert_eq!(files(store.dir()).len(), 0);
}

#[tokio::test]
async fn a_sweep_with_a_limit_goes_on_where_it_stopped() {
    let clock = TestClock::at(Timestamp::from_millis(1_700_000_000_000));
    let store = store(clock.clone(), Durability::NoSync);
    let mut in_last = new_session(&Secret::generate().unwrap());
    for _ in 0..20 {
        let new = new_session(&Secret::generate().unwrap());
        store.create(&new).await.unwrap();
        in_last = if new.id.as_bytes()[15] > in_last.id.as_bytes()[15] {
            new
        } else {
            in_last
        };
    }
    clock.advance(Duration::from_secs(100_000));
    let few = Sweep {
        limit: 3,
        ..Sweep::default()
    };
    let mut rounds = Vec::new();
    loop {
        let swept = store.sweep(few).await.unwrap();
        rounds.push(swept.expired.len());
        if !swept.more {
            break;
        }
    }
    assert_eq!(rounds, [3, 3, 3, 3, 3, 3, 2]);
    assert_eq!(files(store.dir()).len(), 0);
}

#[tokio::test]
async fn data_over_the_cap_are_refused_before_anything_is_written() {
    let small = store(SystemClock::default(), Durability::Full);
    let small = FileStore::builder(small.dir()).max_data(15).open().unwrap();
    let mut new = new_session(&Secret::generate().unwrap());
    assert_eq!(new.data.size(), 16);
    let error = small.create(&new).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(files(small.dir()).len(), 0);

    let large = std::mem::take(&mut new.data);
    assert!(matches!(
        small.create(&new).await.unwrap(),
        Created::Done(_)
    ));
    let owner = Owner::unique();
    let leasing = Open {
        lease: Some((owner, Duration::from_secs(60))),
        ..by_id(new.id)
    };
    small.open(&leasing).await.unwrap();
    let before = fs::read(file_of(small.dir(), new.id)).unwrap();
    let mut put = Finish {
        id: new.id,
        owner,
        version: 1,
        commit: tower_keep::core::CommitId::unique(),
        op: Op::Put(Put {
            data: Some(large),
            ..Put::default()
        }),
        next: None,
    };
    let error = small.finish(&put).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::TooLarge);
    assert_eq!(fs::read(file_of(small.dir(), new.id)).unwrap(), before);
    put.op = Op::Put(Put::default());
    let done = small.finish(&put).await.unwrap();
    assert!(
        matches!(done, Finished::Done { version: 2, .. }),
        "{done:?}"
    );
}

#[tokio::test]
async fn a_relative_directory_stays_the_same_one() {
    let here = std::env::current_dir().unwrap();
    let dir = tempfile::tempdir_in(&here).unwrap();
    let relative = dir.path().strip_prefix(&here).unwrap();
    let store = FileStore::open(relative).unwrap();
    assert_eq!(store.dir(), fs::canonicalize(dir.path()).unwrap());
}
