//! What `--json` writes, and what people see.

use std::io;

use serde_json::{Value, json};

use crate::app::{id, somebody};
use crate::place::{Place, keep, run};

/// Sorted, as a `Map` has them.
fn keys(object: &Value) -> Vec<&str> {
    object
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

const SESSION: [&str; 17] = [
    "absolute_deadline",
    "absolute_limit_ms",
    "authenticated",
    "created",
    "expires",
    "expires_in_ms",
    "generation",
    "id",
    "idle_deadline",
    "idle_limit_ms",
    "ip",
    "last_seen",
    "remember",
    "state",
    "user",
    "user_agent",
    "version",
];

#[tokio::test]
async fn f6_json_has_the_shape_that_is_documented() {
    let place = Place::file();
    let ada = id(&somebody(place.store().await, Some("ada")).await).to_string();
    let none = id(&somebody(place.store().await, None).await).to_string();
    let list = place.keep(&["list", "--json"]).await.json();
    assert_eq!(keys(&list), ["more", "sessions", "unreadable"]);
    let sessions = list["sessions"].as_array().unwrap();
    assert_eq!(sessions.len(), 2);
    assert!(
        sessions.iter().all(|session| keys(session) == SESSION),
        "{list}"
    );

    let shown = place.keep(&["show", &ada, "--json"]).await.json();
    let mut expected = [
        &SESSION[..],
        &["rotated", "lease", "waiting", "size", "encrypted"],
    ]
    .concat();
    expected.sort_unstable();
    assert_eq!(keys(&shown), expected);
    assert_eq!(shown["user"], "ada");
    assert_eq!(
        (&shown["lease"], &shown["waiting"]),
        (&Value::Null, &json!(false))
    );
    assert_eq!(
        (&shown["version"], &shown["generation"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(shown["idle_limit_ms"], 7_200_000);
    assert_eq!(shown["absolute_limit_ms"], 86_400_000);
    let instant = shown["created"].as_str().unwrap();
    assert!(instant.len() == 24 && instant.ends_with('Z'), "{instant}");
    assert_eq!(shown["expires"], shown["idle_deadline"]);
    assert!(
        shown["authenticated"].is_string() && shown["rotated"].is_string(),
        "{shown}"
    );
    let shown = place
        .keep(&["show", &none, "--json", "--data"])
        .await
        .json();
    assert!(
        shown["user"].is_null() && shown["authenticated"].is_null(),
        "{shown}"
    );
    assert_eq!(shown["data"], json!({ "cart": { "items": 1 } }));

    let revoked = place.keep(&["revoke", &none, "--json"]).await.json();
    assert_eq!(revoked, json!({ "revoked": [none], "not_found": [] }));
    let shown = place.keep(&["show", &none, "--json"]).await.json();
    assert_eq!(keys(&shown), ["ended", "id", "state"]);
    assert_eq!(shown["state"], "ended");
    let everything = place
        .keep(&["revoke", "--user", "ada", "--json"])
        .await
        .json();
    assert_eq!(everything["revoked"], json!([ada]));
    let empty = place.keep(&["list", "--json"]).await.well();
    assert_eq!(
        empty,
        "{\"sessions\":[],\"unreadable\":[],\"more\":false}\n"
    );
    let empty = place.keep(&["list"]).await;
    assert_eq!((&*empty.out, &*empty.err), ("", "keep: no live session\n"));
}

#[tokio::test]
async fn f6_a_limit_says_whether_there_may_be_more() {
    let place = Place::sqlite();
    for _ in 0..3 {
        somebody(place.store().await, Some("ada")).await;
    }
    for user in [&[][..], &["--user", "ada"]] {
        for (limit, count, more) in [
            ("2", 2, true),
            ("3", 3, false),
            ("0", 0, true),
            ("9", 3, false),
        ] {
            let arguments = [&["list", "--json", "--limit", limit][..], user].concat();
            let list = place.keep(&arguments).await.json();
            assert_eq!(list["sessions"].as_array().unwrap().len(), count, "{limit}");
            assert_eq!(list["more"], more, "{limit}");
        }
    }
}

#[tokio::test]
async fn f6_what_users_call_themselves_does_nothing_to_a_terminal() {
    let place = Place::sqlite();
    let store = place.store().await;
    let name = "ann\u{1b}[2J\u{9b}1m\u{202e}";
    let sessions = tower_keep::SessionLayer::new(store).sessions();
    let started = sessions
        .create(Some(name), [("x", "\u{9b}")])
        .await
        .unwrap();
    let id = started.id.to_string();
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["show", &id, "--data"],
        &["show", &id, "--data", "--json"],
    ] {
        let text = place.keep(arguments).await.well();
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!text.contains(harmful), "{text:?}");
        assert!(text.contains("ann"), "{text:?}");
    }
    let shown = place.keep(&["show", &id, "--data", "--json"]).await.json();
    assert_eq!(
        (&shown["user"], &shown["data"]),
        (&json!(name), &json!({ "x": "\u{9b}" }))
    );
}

#[tokio::test]
async fn f6_a_reader_who_has_seen_enough_is_no_failure() {
    let place = Place::file();
    somebody(place.store().await, None).await;
    for arguments in [
        &["list"][..],
        &["list", "--json"],
        &["stats"],
        &["completions", "zsh"],
    ] {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let mut command = keep();
        command
            .args(arguments)
            .env("KEEP_STORE", &place.url)
            .stdout(writer);
        let done = run_with(command).await;
        assert_eq!((done.0, &*done.1), (Some(0), ""), "{arguments:?}");
    }
}

/// Status and complaint of a command whose output goes elsewhere.
async fn run_with(mut command: std::process::Command) -> (Option<i32>, String) {
    let run = tokio::task::spawn_blocking(move || {
        let child = command.stderr(std::process::Stdio::piped()).spawn();
        let output = child.unwrap().wait_with_output().unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    });
    run.await.unwrap()
}

#[tokio::test]
async fn f6_help_and_completions_know_every_command() {
    let commands = [
        "list",
        "show",
        "revoke",
        "sweep",
        "stats",
        "migrate",
        "completions",
    ];
    let mut command = keep();
    command.arg("help");
    let help = run(command).await.well();
    for name in commands {
        assert!(help.contains(&format!("\n  {name}")), "{help}");
        let mut command = keep();
        command.args([name, "--help"]);
        assert!(run(command).await.well().contains("Usage: keep"), "{name}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let mut command = keep();
        command.args(["completions", shell]);
        let script = run(command).await.well();
        assert!(commands.iter().all(|name| script.contains(name)), "{shell}");
    }
}
