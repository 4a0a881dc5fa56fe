//! What a copy of the store is worth: no session can be opened with it.

use std::fs;
use std::path::Path;

use axum::Router;
use axum::routing::get;
use tower_keep::core::Token;
use tower_keep::{Codec, DynStore, Error, MemoryStore, Session, SessionLayer};
use tower_keep_file::{Durability, FileStore};
use tower_keep_testkit::TestClient;

use crate::common::{COOKIE, Client, Gates, app, id_of};
use crate::{BASE64URL, bytes_of, contains, hex};

/// Every file below, names included.
fn dump(dir: &Path) -> Vec<u8> {
    let (mut bytes, mut left) = (Vec::new(), vec![dir.to_path_buf()]);
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            bytes.extend(path.to_str().unwrap().as_bytes());
            if path.is_dir() {
                left.push(path);
            } else {
                bytes.extend(fs::read(path).unwrap());
            }
        }
    }
    bytes
}

/// The ways to write a cookie's secret down.
fn spellings(cookie: &str) -> Vec<Vec<u8>> {
    let secret = &bytes_of(cookie)[16..];
    let upper = hex(secret).to_uppercase();
    let standard = cookie[22..].replace('-', "+").replace('_', "/");
    vec![
        // Of the text the first character is half the id's; the rest is the secret's alone.
        cookie.as_bytes()[22..].to_vec(),
        standard.into_bytes(),
        secret.to_vec(),
        hex(secret).into_bytes(),
        upper.into_bytes(),
        // Half of it is too much, too.
        secret[..16].to_vec(),
        secret[16..].to_vec(),
    ]
}

fn routes() -> Router {
    let write = async |session: Session| -> Result<String, Error> {
        session.insert("card", &"4111-1111")?;
        session.flash("note", &"hello")?;
        session.csrf_token()
    };
    app(Gates::default()).route("/write", get(write))
}

/// A life with every kind of change. Gives all the cookies there were, the last one being live.
async fn live(client: &Client) -> Vec<String> {
    let mut cookies = Vec::new();
    for path in [
        "/add",
        "/write",
        "/login/ann",
        "/rotate",
        "/write",
        "/fail",
        "/add",
    ] {
        client.get(path).await;
        let cookie = client.cookie(COOKIE).unwrap();
        if cookies.last() != Some(&cookie) {
            cookies.push(cookie);
        }
    }
    let ended = client.fork();
    ended.clear_cookies();
    ended.get("/add").await;
    cookies.insert(0, ended.cookie(COOKIE).unwrap());
    ended.get("/logout").await;
    cookies
}

/// As many bytes as a token has, as the text of one.
fn token_of(bytes: &[u8]) -> String {
    let digits = |three: &[u8]| {
        let word = three
            .iter()
            .fold(0, |word, byte| word << 8 | usize::from(*byte));
        [18, 12, 6, 0].map(|shift| char::from(BASE64URL[word >> shift & 63]))
    };
    bytes.chunks(3).flat_map(digits).collect()
}

/// Databases have the same test in their crates (`a_dump_opens_nothing`).
#[tokio::test]
async fn no_stored_byte_holds_a_secret() {
    let dir = tempfile::tempdir().unwrap();
    let files = FileStore::builder(dir.path().join("sessions"))
        .durability(Durability::NoSync)
        .open()
        .unwrap();
    let memory = MemoryStore::new();
    for (name, store) in [
        ("file", DynStore::new(files)),
        ("memory", DynStore::new(memory.clone())),
    ] {
        let client: Client = TestClient::with_body(routes().layer(SessionLayer::new(store)));
        let cookies = live(&client).await;
        assert_eq!(cookies.len(), 4, "{name}");
        let dump = match name {
            "file" => dump(dir.path()),
            // In every form in which a store might write it down.
            _ => Codec::ALL
                .iter()
                .flat_map(|codec| memory.ids().into_iter().map(move |id| (id, *codec)))
                .flat_map(|(id, codec)| memory.record(id).unwrap().to_bytes_in(codec))
                .collect(),
        };
        for shown in ["4111-1111", "ann"] {
            assert!(
                contains(&dump, shown.as_bytes()),
                "{name}: this shows nothing"
            );
        }
        for cookie in &cookies {
            for spelling in spellings(cookie) {
                assert!(!contains(&dump, &spelling), "{name}: {cookie}");
            }
        }
        // What is there is the digest of the last one, and it opens nothing in its place.
        let token = Token::parse(cookies[3].as_bytes(), "").unwrap();
        let digest = token.secret().hash();
        assert!(contains(&dump, digest.as_bytes()), "{name}");
        let thief = client.fork();
        let id = id_of(&client);
        thief.set_cookie(
            COOKIE,
            &token_of(&[id.as_bytes(), &digest.as_bytes()[..]].concat()),
        );
        let seen = thief.get("/who").await.text();
        assert!(seen.starts_with("nobody 0 "), "{name}: {seen}");
        assert_eq!(client.get("/who").await.text(), "ann 2", "{name}");
    }
}
