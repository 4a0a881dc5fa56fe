//! What a copy of the database shows.

use axum::http::StatusCode;
use sqlx::{MySqlPool, PgPool, Row, ValueRef};
use tower_keep_core::{SessionStore, StoreErrorKind, Token};

use crate::app::{COOKIE, client};
use crate::place::{ENGINES, Engine, Place};
use crate::storage::new_session;

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// Everything in the table, bytes as bytes.
async fn dump(place: &Place) -> Vec<u8> {
    match place.engine {
        Engine::Sqlite => place.files(),
        Engine::Postgres => {
            let pool = PgPool::connect(&place.url).await.unwrap();
            let sql = format!("SELECT * FROM {}", place.table);
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                .fetch_all(&pool)
                .await
                .unwrap();
            let value = |row: &sqlx::postgres::PgRow, at| {
                let value = row.try_get_raw(at).unwrap();
                if value.is_null() {
                    vec![]
                } else {
                    value.as_bytes().unwrap().to_vec()
                }
            };
            rows.iter()
                .flat_map(|row| (0..row.len()).flat_map(move |at| value(row, at)))
                .collect()
        }
        Engine::MariaDb => {
            let pool = MySqlPool::connect(&place.url).await.unwrap();
            let sql = format!("SELECT * FROM {}", place.table);
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
                .fetch_all(&pool)
                .await
                .unwrap();
            let value = |row: &sqlx::mysql::MySqlRow, at| {
                let value: Option<Vec<u8>> = row.try_get_unchecked(at).unwrap_or_default();
                value.unwrap_or_default()
            };
            rows.iter()
                .flat_map(|row| (0..row.len()).flat_map(move |at| value(row, at)))
                .collect()
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dump_opens_nothing() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let client = client(&place.store().await, tower_keep::LockConfig::default());
        let mut cookies = Vec::new();
        for path in ["/own/marker-123", "/rotate", "/login"] {
            assert_eq!(client.get(path).await.status(), StatusCode::OK);
            cookies.push(client.cookie(COOKIE).unwrap());
        }
        let dump = dump(&place).await;
        for shown in ["marker-123", "ada-lovelace"] {
            let found = contains(&dump, shown.as_bytes());
            assert!(found, "{engine:?}: no {shown}, so this shows nothing");
        }
        let last = cookies.len() - 1;
        for (number, cookie) in cookies.iter().enumerate() {
            // The id takes up the first 16 of 48 bytes; the secret as text and as bytes.
            assert!(!contains(&dump, &cookie.as_bytes()[22..]), "{engine:?}");
            let bytes = base64(cookie);
            assert!(!contains(&dump, &bytes[16..]), "{engine:?}");
            let token = Token::parse(cookie.as_bytes(), "").unwrap();
            assert_eq!(bytes[..16], token.id().as_bytes()[..]);
            if number == last {
                let digest = contains(&dump, token.secret().hash().as_bytes());
                assert!(digest, "{engine:?}: the digest is what is stored");
            }
        }
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
        let bits = four
            .iter()
            .fold(0_u32, |bits, c| bits << 6 | u32::from(value(*c)));
        bits.to_be_bytes()[1..].to_vec()
    };
    text.as_bytes().chunks(4).flat_map(word).collect()
}

/// The view shows people the living, with their data as JSON of the engine.
#[tokio::test]
async fn the_view_is_readable() {
    for engine in ENGINES {
        let place = Place::new(engine);
        let store = place.store().await;
        let [living, destroyed] = [new_session(), new_session()];
        for new in [&living, &destroyed] {
            store.create(new).await.unwrap();
        }
        store.destroy(destroyed.id).await.unwrap();
        let (view, id) = (format!("{}_view", place.table), living.id);
        let all = format!("SELECT COUNT(*) FROM {view}");
        assert_eq!(place.count(&all).await, 1, "{engine:?}");
        let n = match engine {
            Engine::Sqlite => "data ->> '$.n'",
            Engine::Postgres => "CAST(data ->> 'n' AS bigint)",
            Engine::MariaDb => "JSON_EXTRACT(data, '$.n')",
        };
        let found = format!("SELECT COUNT(*) FROM {view} WHERE {n} = 0 AND id = '{id}'");
        assert_eq!(place.count(&found).await, 1, "{engine:?}");
    }
}

/// A server may quote in its message what it refuses.
#[tokio::test]
async fn errors_quote_nothing_that_is_stored() {
    for engine in [Engine::Postgres, Engine::MariaDb] {
        let place = Place::new(engine);
        let store = place.store().await;
        let mut new = new_session();
        // Too long for the one and not a text for the other.
        let name = match engine {
            Engine::MariaDb => format!("secret-name{}", "x".repeat(2_800)),
            _ => "secret-name\0".to_owned(),
        };
        new.user = Some(name.into());
        let error = store.create(&new).await.unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        println!("{engine:?}: {error}: {source}");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(!format!("{error:?} {error} {source}").contains("secret-name"));
    }
}
