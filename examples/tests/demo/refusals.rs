//! What the program does not start with.

use tempfile::TempDir;
use tokio::time::timeout;

use crate::PATIENCE;
use crate::program::demo;

/// The exit code of a demo that cannot open, and what it says.
async fn refuses(arguments: &[&str]) -> (Option<i32>, String) {
    let dir = TempDir::new().unwrap();
    let output = demo(dir.path(), arguments).output();
    let output = timeout(PATIENCE, output).await;
    let output = output.unwrap_or_else(|_| panic!("it opened with {arguments:?}"));
    let output = output.unwrap();
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("pass-123"), "{told}");
    (output.status.code(), told)
}

#[tokio::test]
async fn a_store_that_is_none_is_a_mistake_of_the_caller() {
    for (url, why) in [
        ("sqllite:keep.db", "no store has the scheme `sqllite`"),
        ("keep.db", "must begin with its scheme"),
        ("sqlite:", "lacks a path"),
        ("postgres://ann:pass-123@/shop", "lacks a host"),
        ("memory:keep", "nothing comes behind"),
    ] {
        let (code, told) = refuses(&["--store", url]).await;
        assert_eq!(code, Some(2), "{url}: {told}");
        assert!(told.starts_with("error: --store: "), "{told}");
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn nodes_take_a_store_and_an_address_that_they_can_share() {
    for (option, value, why) in [
        (
            "--store",
            "memory:",
            "error: --nodes: each node would have sessions of its own",
        ),
        (
            "--store",
            "sqlite::memory:",
            "error: --nodes: each node would have",
        ),
        (
            "--host",
            "0.0.0.0",
            "error: --host: the pages of several nodes name one another",
        ),
    ] {
        let (code, told) = refuses(&["--nodes", "2", option, value]).await;
        assert_eq!(code, Some(2), "{told}");
        assert!(told.starts_with(why), "{told}");
    }
    let (code, _) = refuses(&["--nodes", "0"]).await;
    assert_eq!(code, Some(2));
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_told_with_the_reason() {
    let (code, told) = refuses(&["--store", "redis://ann:pass-123@127.0.0.1:1"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("the connection to Redis failed"), "{told}");
}
