//! Every system call of every verb: in front of it the process is killed, or it fails.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tower_keep_core::{Created, NewSession, SessionId, StoreError, StoreErrorKind, UserCap};

use super::NOW;
use super::script::{Trouble, begin, end};
use super::verbs::{USER, VERBS, Verb, new_session, stored};
use crate::Durability;
use crate::shard::TEMPORARY;
use crate::steps::Steps;

const DIR: &str = "KEEP_FILE_TEST_DIR";
const VERB: &str = "KEEP_FILE_TEST_VERB";
const ID: &str = "KEEP_FILE_TEST_ID";
const NTH: &str = "KEEP_FILE_TEST_NTH";

const ENOSPC: i32 = 28;
const EIO: i32 = 5;

/// A directory in which the verb is about to happen.
fn prepared(verb: Verb) -> (tempfile::TempDir, SessionId) {
    // In memory if there is such a place: a disk takes minutes to make so many stores.
    let places = [PathBuf::from("/dev/shm"), std::env::temp_dir()];
    let place = places.iter().find(|place| place.is_dir()).unwrap();
    let (dir, id) = (tempfile::tempdir_in(place).unwrap(), SessionId::new(NOW));
    verb.prepare(dir.path(), id);
    (dir, id)
}

/// The system calls that the verb makes when nothing is wrong.
fn calls(verb: Verb, durability: Durability) -> Vec<&'static str> {
    let (dir, id) = prepared(verb);
    let steps = verb.steps(dir.path(), durability);
    begin(None);
    assert!(verb.run(&steps, id).unwrap(), "{verb:?}");
    let calls = end();
    assert!(verb.has_happened(stored(&steps, id).as_ref()), "{verb:?}");
    calls
}

fn bytes(dir: &Path, id: SessionId) -> Option<Vec<u8>> {
    let name = id.to_string();
    std::fs::read(dir.join(&name[34..]).join(name)).ok()
}

fn temporary(dir: &Path, id: SessionId) -> bool {
    dir.join(&id.to_string()[34..]).join(TEMPORARY).exists()
}

/// The index is never short.
fn found_if_theirs(steps: &Steps, id: SessionId, at: &str) {
    let theirs = Verb::Login.has_happened(stored(steps, id).as_ref());
    let page = tower_keep_core::UserPage::default();
    let found = steps.list(USER, page).unwrap().len();
    assert_eq!(found, usize::from(theirs), "{at}");
}

#[test]
fn a_step_syncs_before_it_renames_and_again_before_it_answers() {
    let load = ["open the directory", "lock", "stat", "open to read", "read"];
    let write = ["create", "write", "write the rest", "sync", "rename"];
    let passing = [&load[..], &write].concat();
    let lasting = [&passing[..], &["sync the directory"]].concat();
    for verb in VERBS {
        let found = calls(verb, Durability::Full);
        match verb {
            Verb::Sweep => assert!(!found.iter().any(|call| call.starts_with("sync"))),
            Verb::Create => {
                // Nothing to read, and a look whether the directory is there.
                let mut expected = lasting.clone();
                expected[4] = "stat";
                assert_eq!(found, expected);
            }
            Verb::Login => {
                // What finds the session later survives a power cut before the record does.
                assert!(found.ends_with(&lasting), "{found:?}");
                let entry = &found[..found.len() - lasting.len()];
                assert!(entry.contains(&"create"), "{found:?}");
                let synced = [
                    "open the directory",
                    "sync the directory",
                    "sync the directory",
                ];
                assert!(entry.ends_with(&synced), "{found:?}");
            }
            _ if verb.lasts() => assert_eq!(found, lasting, "{verb:?}"),
            _ => assert_eq!(found, passing, "{verb:?}"),
        }
        if verb == Verb::Login {
            // The directory of an entry is opened for nothing else.
            continue;
        }
        let without = calls(verb, Durability::NoSync);
        let unsynced = found.into_iter().filter(|call| !call.starts_with("sync"));
        assert!(unsynced.eq(without), "{verb:?}");
    }
}

#[test]
fn a_call_that_fails_leaves_the_old_record_or_the_new() {
    for verb in VERBS {
        let calls = calls(verb, Durability::Full);
        let rename = calls
            .iter()
            .position(|call| matches!(*call, "rename" | "remove"));
        for (nth, call) in calls.iter().enumerate() {
            for errno in [ENOSPC, EIO] {
                let at = format!("{verb:?}, call {nth} ({call}) fails with {errno}");
                let (dir, id) = prepared(verb);
                let before = bytes(dir.path(), id);
                let steps = verb.steps(dir.path(), Durability::Full);
                begin(Some((nth, Trouble::Fails(errno))));
                let error = verb.run(&steps, id).expect_err(&at);
                end();
                assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{at}");
                let happened = verb.has_happened(stored(&steps, id).as_ref());
                assert_eq!(happened, Some(nth) > rename, "{at}");
                if !happened {
                    assert_eq!(bytes(dir.path(), id), before, "{at}");
                }
                found_if_theirs(&steps, id, &at);
                assert!(!temporary(dir.path(), id), "{at}");

                begin(None);
                let answer = verb.run(&steps, id).unwrap();
                let again = end();
                assert!(answer || (happened && !verb.can_be_retried()), "{at}");
                assert!(verb.has_happened(stored(&steps, id).as_ref()), "{at}");
                if verb.lasts() {
                    // Also where the record was there already: it may not be on the disk.
                    assert!(again.contains(&"sync"), "{at}");
                    assert_eq!(again.last(), Some(&"sync the directory"), "{at}");
                }
            }
        }
    }
}

/// A session of the user's, from before.
fn older(steps: &Steps) -> SessionId {
    let id = SessionId::new(NOW);
    let new = NewSession {
        user: Some(USER.into()),
        ..new_session(id)
    };
    assert!(matches!(steps.start(&new).unwrap(), Created::Done(_)));
    id
}

/// Fails at every sync of a step in turn, and does it again: if the older session was destroyed by
/// then, its tombstone is synced again.
fn retried(step: impl Fn(&Steps) -> Result<(), StoreError>) {
    let fresh = || {
        let (dir, _) = prepared(Verb::Create);
        let steps = Verb::Create.steps(dir.path(), Durability::Full);
        let older = older(&steps);
        (dir, steps, older)
    };
    let (_dir, steps, _) = fresh();
    begin(None);
    step(&steps).unwrap();
    let calls = end();
    let mut settled = 0;
    for (nth, call) in calls.iter().enumerate() {
        if !call.starts_with("sync") {
            continue;
        }
        let (_dir, steps, older) = fresh();
        begin(Some((nth, Trouble::Fails(EIO))));
        step(&steps).unwrap_err();
        end();
        let gone = stored(&steps, older).is_some_and(|found| found.record.gone_at.is_some());
        let revision = || stored(&steps, older).map(|found| found.revision);
        let before = revision();
        begin(None);
        step(&steps).unwrap();
        assert!(end().contains(&"sync the directory"), "{call} {nth}");
        if gone {
            assert_ne!(revision(), before, "{call} {nth}: not written anew");
            settled += 1;
        }
    }
    assert!(settled > 0);
}

#[test]
fn who_had_to_make_room_does_not_come_back_with_the_power() {
    let id = SessionId::new(NOW);
    retried(|steps| {
        let new = NewSession {
            user: Some(USER.into()),
            cap: Some(UserCap::evict_oldest(1)),
            ..new_session(id)
        };
        steps.start(&new).map(drop)
    });
}

#[test]
fn who_was_revoked_does_not_come_back_with_the_power() {
    retried(|steps| steps.revoke_all(USER, None).map(drop));
}

/// Does one verb, and is killed in front of its nth system call.
#[test]
#[ignore = "a part of `a_process_that_is_killed_leaves_the_old_record_or_the_new`, which starts it"]
fn child() {
    let var = |name| std::env::var(name);
    let (Ok(dir), Ok(verb), Ok(id), Ok(nth)) = (var(DIR), var(VERB), var(ID), var(NTH)) else {
        return;
    };
    let verb = VERBS
        .into_iter()
        .find(|v| format!("{v:?}") == verb)
        .unwrap();
    let steps = verb.steps(dir.as_ref(), Durability::Full);
    begin(Some((nth.parse().unwrap(), Trouble::Kill)));
    assert!(verb.run(&steps, id.parse().unwrap()).unwrap());
    end();
}

#[test]
fn a_process_that_is_killed_leaves_the_old_record_or_the_new() {
    for verb in VERBS {
        let calls = calls(verb, Durability::Full);
        let rename = calls
            .iter()
            .position(|call| matches!(*call, "rename" | "remove"));
        for nth in 0..=calls.len() {
            let at = format!("{verb:?}, killed in front of call {nth} of {calls:?}");
            let (dir, id) = prepared(verb);
            let before = bytes(dir.path(), id);
            let status = Command::new(std::env::current_exe().unwrap())
                .args([
                    "--ignored",
                    "--exact",
                    "tests::trouble::child",
                    "--nocapture",
                ])
                .env(DIR, dir.path())
                .env(VERB, format!("{verb:?}"))
                .env(ID, id.to_string())
                .env(NTH, nth.to_string())
                .output()
                .unwrap()
                .status;
            let acknowledged = nth == calls.len();
            assert_eq!(status.success(), acknowledged, "{at}: {status}");
            assert_eq!(
                status.signal(),
                (!acknowledged).then_some(9),
                "{at}: {status}"
            );

            let steps = verb.steps(dir.path(), Durability::Full);
            let happened = verb.has_happened(stored(&steps, id).as_ref());
            assert_eq!(happened, Some(nth) > rename, "{at}");
            if !happened {
                assert_eq!(bytes(dir.path(), id), before, "{at}");
            }
            found_if_theirs(&steps, id, &at);
            // Nobody is kept waiting by what the dead one held or left.
            let answer = verb.run(&steps, id).unwrap();
            assert!(answer || (happened && !verb.can_be_retried()), "{at}");
            assert!(verb.has_happened(stored(&steps, id).as_ref()), "{at}");
            steps.sweep(tower_keep_core::Sweep::default()).unwrap();
            assert!(!temporary(dir.path(), id), "{at}");
        }
    }
}

/// A reader neither locks nor writes, unless it is time for a touch.
#[test]
fn readers_take_no_lock() {
    let (dir, id) = prepared(Verb::Destroy);
    let steps = Verb::Destroy.steps(dir.path(), Durability::Full);
    let mut open = tower_keep_core::Open {
        id,
        secret: None,
        age: std::time::Duration::ZERO,
        touch: Some(std::time::Duration::from_secs(60)),
        lease: None,
    };
    begin(None);
    let opened = steps.read(&open).unwrap();
    assert!(matches!(opened, Some(tower_keep_core::Opened::Granted(_))));
    steps.look(id).unwrap();
    assert_eq!(end(), ["open to read", "read", "open to read", "read"]);
    open.touch = Some(std::time::Duration::ZERO);
    assert!(steps.read(&open).unwrap().is_none());
}
