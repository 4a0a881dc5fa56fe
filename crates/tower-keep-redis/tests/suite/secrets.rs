//! What a copy of the server's disk shows.

use axum::http::StatusCode;
use tower_keep_core::Token;
use tower_keep_redis::RedisStore;

use crate::app::{COOKIE, client};
use crate::server::Server;

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_opens_nothing() {
    let server = Server::start(&["--rdbcompression", "no", "--appendonly", "yes"]);
    let store = RedisStore::connect(&server.url()).await.unwrap();
    let client = client(&store, tower_keep::LockConfig::default());
    let mut cookies = Vec::new();
    for path in ["/own/marker-123", "/rotate", "/login"] {
        assert_eq!(client.get(path).await.status(), StatusCode::OK);
        cookies.push(client.cookie(COOKIE).unwrap());
    }
    let save = redis::cmd("SAVE")
        .exec_async(&mut server.client().await)
        .await;
    save.unwrap();
    let mut dump = std::fs::read(server.dir().join("dump.rdb")).unwrap();
    for file in std::fs::read_dir(server.dir().join("appendonlydir")).unwrap() {
        dump.extend(std::fs::read(file.unwrap().path()).unwrap());
    }
    let id = Token::parse(cookies[0].as_bytes(), "").unwrap().id();
    for shown in [id.to_string().as_str(), "marker-123", "ada-lovelace"] {
        assert!(
            contains(&dump, shown.as_bytes()),
            "no {shown}, so this shows nothing"
        );
    }
    for cookie in cookies {
        assert!(!contains(&dump, cookie.as_bytes()));
        // The secret alone, as text or in bytes; the id takes up the first 16 of 48 bytes.
        assert!(!contains(&dump, &cookie.as_bytes()[22..]));
        let bytes = base64(&cookie);
        assert_eq!(bytes[..16], id.as_bytes()[..]);
        assert!(!contains(&dump, &bytes[16..]));
        let hash = Token::parse(cookie.as_bytes(), "").unwrap().secret().hash();
        let digest = hash.as_bytes();
        assert!(contains(&dump, digest), "the digest is what is stored");
    }
}

fn base64(text: &str) -> Vec<u8> {
    let value = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'-' => 62,
        _ => 63,
    };
    let word = |four: &[u8]| {
        four.iter()
            .fold(0, |word, c| word << 6 | u32::from(value(*c)))
    };
    let words = text.as_bytes().chunks(4).map(word);
    words
        .flat_map(|word| word.to_be_bytes()[1..].to_vec())
        .collect()
}
