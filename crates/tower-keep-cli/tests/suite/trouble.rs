//! What goes wrong, and the status it ends with.

use serde_json::json;

use crate::app::{id, somebody};
use crate::place::{Place, keep, run, texts};

const NOBODY: &str = "018bcfe5-6800-7000-8000-000000000000";

#[tokio::test]
async fn f6_wrong_arguments_end_with_2() {
    for arguments in [
        &[][..],
        &["lsit"],
        &["show"],
        &["show", "1"],
        &["show", NOBODY, "--key-file", "keys"],
        &["revoke"],
        &["revoke", NOBODY, "--user", "ada"],
        &["revoke", NOBODY, "--except", NOBODY],
        &["list", "--limit", "many"],
        &["migrate", "--to-table", "t"],
        &["completions", "cmd"],
    ] {
        let mut command = keep();
        command.args(arguments).env("KEEP_STORE", "file:nowhere");
        let done = run(command).await;
        assert_eq!(
            (done.code, &*done.out),
            (Some(2), ""),
            "{arguments:?}: {done:?}"
        );
        assert!(!done.err.is_empty());
    }
    for (url, says) in [
        (
            None,
            "no store is named: give --store URL or set KEEP_STORE",
        ),
        (Some(""), "no store is named"),
        (Some("memory:"), "in the process that uses it"),
        (Some("sqlite::memory:"), "in the process that uses it"),
    ] {
        let mut command = keep();
        command.arg("list");
        if let Some(url) = url {
            command.env("KEEP_STORE", url);
        }
        let complaint = run(command).await.fails(2);
        assert!(complaint.contains(says), "{complaint}");
    }
    let place = Place::file();
    let complaint = place.keep(&["migrate", "--to"]).await.fails(2);
    assert!(complaint.contains("KEEP_STORE_TO"), "{complaint}");
}

#[tokio::test]
async fn f6_what_is_not_there_ends_with_3() {
    let place = Place::sqlite();
    place.keep(&["migrate"]).await.well();
    let complaint = place.keep(&["show", NOBODY]).await.fails(3);
    assert_eq!(complaint, format!("keep: there is no session {NOBODY}\n"));
    let revoked = place.keep(&["revoke", NOBODY, "--json"]).await;
    assert_eq!(
        revoked.out,
        format!("{{\"revoked\":[],\"not_found\":[\"{NOBODY}\"]}}\n")
    );
    revoked.fails(3);
    // Somebody who has no session is none that was asked for.
    let text = place.keep(&["revoke", "--user", "nobody"]).await.well();
    assert_eq!(text, "the user has no other live session\n");
}

#[tokio::test]
async fn f6_a_store_that_cannot_be_used_ends_with_1() {
    for (url, says) in [
        ("redis://127.0.0.1:1", "`redis:` store cannot be opened"),
        ("nonsense:", "no store has the scheme `nonsense`"),
        (
            "file:/nowhere/at/all",
            "there is no `file:` store at /nowhere/at/all",
        ),
    ] {
        let mut command = keep();
        command.args(["stats", "--store", url]);
        let complaint = run(command).await.fails(1);
        assert!(complaint.contains(says), "{complaint}");
    }
    let place = Place::file();
    place.store().await;
    let mut command = keep();
    command
        .args(["stats", "--table", "t"])
        .env("KEEP_STORE", &place.url);
    let complaint = run(command).await.fails(1);
    assert!(
        complaint.contains("the option `table` means nothing to a `file:` store"),
        "{complaint}"
    );
    // A directory that is another's is not made into a store.
    let mut command = keep();
    command
        .arg("list")
        .env("KEEP_STORE", format!("file:{}", place.dir.path().display()));
    run(command).await.fails(1);
    assert_eq!(std::fs::read_dir(&place.dir).unwrap().count(), 1);
}

#[tokio::test]
async fn f6_one_bad_record_is_named_and_the_others_are_there() {
    let place = Place::file();
    let good = id(&somebody(place.store().await, None).await).to_string();
    let bad = id(&somebody(place.store().await, None).await).to_string();
    let shard = &bad[bad.len() - 2..];
    let file = place.dir.path().join("sessions").join(shard).join(&bad);
    assert!(file.exists());
    std::fs::write(&file, "damage").unwrap();

    let list = place.keep(&["list", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    assert_eq!(texts(&json["sessions"], "id"), [&*good]);
    let damaged = json!([{ "id": bad, "error": "the stored session is damaged" }]);
    assert_eq!(json["unreadable"], damaged);
    assert!(list.fails(1).contains("1 session cannot be read"));
    let list = place.keep(&["list"]).await;
    assert!(
        list.out.contains(&good) && !list.out.contains(&bad),
        "{list:?}"
    );
    assert!(
        list.fails(1)
            .contains(&format!("{bad}: the stored session is damaged"))
    );

    let copied = place.copy(&Place::sqlite(), &["--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&copied.out).unwrap();
    assert_eq!((&json["copied"], &json["failed"]), (&json!(1), &damaged));
    copied.fails(1);
    let shown = place.keep(&["show", &bad]).await.fails(1);
    assert!(shown.contains("the stored session is damaged"), "{shown}");
}
