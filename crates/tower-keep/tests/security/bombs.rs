//! Decode bombs: small inputs that are large or deep when they are read, and keys that were chosen
//! to collide. Whoever may write the store, or an application that stores what clients send, can
//! bring them about.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use sha2::{Digest, Sha256};
use tower_keep::core::data::Data;
use tower_keep::core::{Record, SessionStore};
use tower_keep::{Codec, DataLimits, Error, Session, StoreErrorKind};

use crate::common::{Backend, id_of};

const MAX: usize = 64 * 1024;

fn kind(body: &[u8]) -> Option<StoreErrorKind> {
    Data::from_body(body, MAX).err().map(|error| error.kind())
}

fn refused(body: &[u8], what: &str) {
    let kind = kind(body);
    let known = [
        StoreErrorKind::Corrupt,
        StoreErrorKind::TooLarge,
        StoreErrorKind::Unsupported,
    ];
    assert!(
        kind.is_some_and(|kind| known.contains(&kind)),
        "{what}: {kind:?}"
    );
}

#[test]
fn deep_nesting_exhausts_no_stack_in_json() {
    for depth in [1_000, 30_000, 1_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            for closed in [true, false] {
                let end = if closed {
                    format!("1{close}}}}}")
                } else {
                    String::new()
                };
                let json = format!("{{\"data\":{{\"k\":{open}{end}");
                // Also where the caller says that any size will do.
                assert!(
                    Data::from_json(json.as_bytes(), usize::MAX).is_err(),
                    "{depth}"
                );
                refused(&[b"\x01", json.as_bytes()].concat(), "json");
            }
        }
    }
}

/// The same from an application that stores what a client sent.
#[tokio::test(start_paused = true)]
async fn deep_nesting_of_a_clients_value_is_a_typed_error() {
    async fn nest(session: Session, Path(depth): Path<usize>) -> Result<String, Error> {
        let value = (0..depth).fold(serde_json::json!(1), |inner, _| serde_json::json!([inner]));
        let refused = session.insert("k", &value).is_err();
        // By a path, which makes its maps as it goes.
        let path = vec!["a"; depth].join(".");
        let path_refused = session.insert(&*path, &1).is_err();
        // Dropping a deep value would also take stack; what is stored is never one.
        std::mem::forget(value);
        Ok(format!("{refused} {path_refused}"))
    }
    let backend = Backend::local();
    let client = backend.client(Router::new().route("/{depth}", get(nest)));
    assert_eq!(client.get("/10").await.text(), "false false");
    assert_eq!(client.get("/500").await.text(), "true true");
    assert_eq!(client.get("/10").await.text(), "false false");
}

/// Lengths that promise more than there is: nothing is reserved for them.
#[cfg(feature = "messagepack")]
#[test]
fn huge_lengths_and_deep_nesting_are_refused_in_messagepack() {
    let data = Data::from_json(br#"{"data":{"views":[1,"two",{"three":3}]}}"#, MAX).unwrap();
    let whole = data.to_body(Codec::MessagePack);
    assert!(kind(&whole).is_none());
    // Strings, binaries, arrays, maps and extensions with 16 and 32 bits of length.
    for marker in [
        0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf,
    ] {
        for at in 1..whole.len() {
            let mut bomb = whole[..at].to_vec();
            bomb.push(marker);
            bomb.extend([0xff; 4]);
            refused(&bomb, &format!("{marker:x} at {at}"));
            bomb.extend(&whole[at..]);
            // With something behind it, it may be long enough to be anything but must not panic.
            kind(&bomb);
        }
    }
    for nest in [
        &[0x91_u8][..],
        &[0xdc, 0, 1],
        &[0xdd, 0, 0, 0, 1],
        &[0x81, 0xa1, b'a'],
    ] {
        for depth in [1_000, 1_000_000] {
            let mut bomb = whole[..2].to_vec();
            bomb.extend(nest.repeat(depth));
            refused(&bomb, "nested");
            refused(&[&[2][..], &nest.repeat(depth)].concat(), "nested");
        }
    }
}

/// A record whose inner lengths lie, with a checksum that fits.
#[tokio::test(start_paused = true)]
async fn huge_lengths_in_a_record_are_refused() {
    let backend = Backend::local();
    let client = backend.client(crate::common::app(crate::common::Gates::default()));
    client.get("/login/ann").await;
    client.get("/add").await;
    let whole = backend.memory.record(id_of(&client)).unwrap().to_bytes();
    assert!(Record::from_bytes(&whole, MAX).is_ok());
    let check = Sha256::digest(&whole[..0]).len().min(16);
    // How long the checksum is shows where it begins to fit.
    let check = (4..=check.max(32))
        .find(|len| {
            let (content, end) = whole.split_at(whole.len() - len);
            Sha256::digest(content)[..*len] == *end
        })
        .unwrap();
    let content = &whole[..whole.len() - check];
    let mut read = 0;
    for at in 4..content.len() {
        for lie in [
            &[0xff; 8][..],
            &[0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0],
            &[0; 8],
            &[0xff],
        ] {
            let mut bomb = content.to_vec();
            for (to, from) in bomb[at..].iter_mut().zip(lie) {
                *to = *from;
            }
            let sum = Sha256::digest(&bomb);
            bomb.extend(&sum[..check]);
            // Most bytes are digests and instants, which may be anything; none may be a panic.
            read += usize::from(Record::from_bytes(&bomb, MAX).is_ok());
        }
    }
    assert!(read > 0, "the checksum was not made to fit");
}

/// More than the limit, judged before it is decoded, in every codec and in a record.
#[test]
fn a_body_over_the_limit_is_not_decoded() {
    let text = "x".repeat(2 * MAX);
    let json = format!("{{\"data\":{{\"text\":\"{text}\"}}}}");
    let data = Data::from_json(json.as_bytes(), usize::MAX).unwrap();
    for codec in Codec::ALL {
        assert_eq!(
            kind(&data.to_body(*codec)),
            Some(StoreErrorKind::TooLarge),
            "{codec:?}"
        );
    }
}

/// 20,000 keys that were chosen to collide in a table that is hashed without a key, and to differ
/// only in their last bytes. They are kept in order and found by bisection: there is no hash.
#[test]
fn keys_that_were_chosen_to_collide_are_found_as_fast_as_others() {
    // For FNV-like and multiplicative hashes, strings of "Aa" and "BB" collide (as in Java's).
    let key = |n: usize| -> String {
        (0..15)
            .map(|bit| if n >> bit & 1 == 0 { "Aa" } else { "BB" })
            .collect()
    };
    let entries: Vec<_> = (0..20_000).map(|n| format!("\"{}\":{n}", key(n))).collect();
    let json = format!("{{\"data\":{{{}}}}}", entries.join(","));
    let data = Data::from_json(json.as_bytes(), usize::MAX).unwrap();
    assert_eq!(data.len(), 20_000);
    for codec in Codec::ALL {
        let read = Data::from_body(&data.to_body(*codec), usize::MAX).unwrap();
        for n in (0..20_000).step_by(997) {
            assert_eq!(
                read.get(&key(n)),
                Some(n.to_string().as_bytes()),
                "{codec:?}"
            );
        }
    }
    // The layer's own limit is far below that.
    assert!(json.len() > 4 * DataLimits::default().max_size);
}

/// A bomb in the store is a damaged session: the visitor may start anew, the process goes on.
#[tokio::test(start_paused = true)]
async fn a_session_that_grew_beyond_the_limit_breaks_no_process() {
    let backend = Backend::remote();
    let client = backend.client(crate::common::app(crate::common::Gates::default()));
    client.get("/login/ann").await;
    let id = id_of(&client);
    let (mut record, revision) = backend.memory.look(id).await.unwrap().record.unwrap();
    let json = format!("{{\"data\":{{\"text\":\"{}\"}}}}", "x".repeat(2 * MAX));
    record.data = Data::from_json(json.as_bytes(), usize::MAX).unwrap();
    let expect = tower_keep::core::Expect::Revision(revision);
    assert!(backend.memory.cas(id, expect, &record).await.unwrap());
    for path in ["/n", "/who", "/add"] {
        let answer = client.get(path).await;
        assert!(answer.set_cookies().is_empty(), "{path}");
        assert!(
            matches!(answer.status().as_u16(), 200 | 500 | 503),
            "{path}: {answer:?}"
        );
    }
    let other = client.fork();
    other.clear_cookies();
    assert_eq!(other.get("/add").await.text(), "1");
}
