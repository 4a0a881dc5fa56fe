//! What is never shown.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use tower_keep::SessionStore;
use tower_keep::core::{Open, Opened, Owner};

use crate::app::{id, somebody, token};
use crate::place::{Place, keep, run};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

#[tokio::test]
async fn f6_neither_digest_nor_owner_nor_csrf_token_is_shown() {
    for place in [Place::file(), Place::sqlite()] {
        let store = place.store().await;
        let ada = somebody(store.clone(), Some("ada")).await;
        let (id, text) = (id(&ada), id(&ada).to_string());
        let (owner, lease) = (Owner::unique(), Duration::from_mins(10));
        let open = Open {
            id,
            secret: None,
            age: Duration::ZERO,
            touch: None,
            lease: Some((owner, lease)),
        };
        assert!(matches!(
            store.open(&open).await.unwrap(),
            Opened::Granted(_)
        ));
        let record = store.look(id).await.unwrap().record.unwrap().0;
        let digest = record.secret.as_bytes();
        let owner = owner.to_u128();
        let secrets = [
            hex(digest),
            format!("{digest:?}"),
            hex(&owner.to_be_bytes()),
            owner.to_string(),
            ada.cookie("__Host-id").unwrap(),
        ];
        assert_eq!(token(&ada).id(), id);
        for arguments in [
            &["list"][..],
            &["list", "--json"],
            &["show", &text, "--data"],
            &["show", &text, "--data", "--json"],
        ] {
            let shown = place.keep(arguments).await.well().to_lowercase();
            for secret in &secrets {
                assert!(!shown.contains(&secret.to_lowercase()), "{arguments:?}");
            }
            assert!(
                !shown.contains("csrf") && !shown.contains("\\u0001"),
                "{shown}"
            );
        }
    }
}

/// The URL of a server that is none, and which commands meet it.
const URLS: [(&str, &[&str]); 6] = [
    ("postgres://ann:pass-123@SERVER/shop", &["list"]),
    ("mysql://ann:pass-123@SERVER/shop", &["migrate"]),
    ("redis://ann:pass-123@SERVER/0", &["list", "to"]),
    ("redis+cluster://ann:pass-123@SERVER", &["stats"]),
    ("nonsense://ann:pass-123@SERVER", &["list", "migrate", "to"]),
    ("pass-123", &["list", "migrate", "to"]),
];

/// The address of one who hangs up on everybody. Where nobody listens, drivers would try for
/// seconds.
fn unkind_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    // It ends with the test's process.
    thread::spawn(move || listener.incoming().for_each(drop));
    address
}

#[tokio::test]
async fn f6_a_password_in_the_url_is_never_shown() {
    let place = Place::file();
    place.store().await;
    let server = unkind_server();
    let mut running = Vec::new();
    for (url, commands) in URLS {
        let url = &*url.replace("SERVER", &server);
        for name in commands {
            let mut command = keep();
            if *name == "to" {
                command.args(["migrate", "--to", url]);
                command.env("KEEP_STORE", &place.url);
            } else {
                command.arg(name).env("KEEP_STORE", url);
            }
            running.push(tokio::spawn(run(command)));
        }
        for arguments in [&["--help"][..], &["help"], &["migrate", "--help"]] {
            let mut command = keep();
            command.args(arguments);
            command.env("KEEP_STORE", url).env("KEEP_STORE_TO", url);
            let help = run(command).await.well();
            assert!(!help.contains("pass-123"), "{arguments:?}");
        }
    }
    for done in running {
        let done = done.await.unwrap();
        assert!(!format!("{done:?}").contains("pass-123"), "{done:?}");
        done.fails(1);
    }
}
