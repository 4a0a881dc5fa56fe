//! Malformed cookies: whatever a client sends, nothing panics, and only what is well-formed
//! reaches the store.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::convert::Infallible;

use bytes::Bytes;
use common::COOKIE;
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, Service, service_fn};
use tower_keep::{MemoryStore, ReadSession, SessionLayer};
use tower_keep_testkit::{FaultStore, Rng, seed_or};

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[expect(clippy::cast_possible_truncation, reason = "any byte will do")]
fn byte(rng: &mut Rng) -> u8 {
    rng.next_u64() as u8
}

fn bytes(rng: &mut Rng, at_most: u64) -> Vec<u8> {
    (0..rng.below(at_most + 1)).map(|_| byte(rng)).collect()
}

fn base64url(rng: &mut Rng, length: u64) -> Vec<u8> {
    let draw = |_| ALPHABET[usize::from(byte(rng) & 63)];
    (0..length).map(draw).collect()
}

/// A token of a version-7 UUID and a made-up secret.
fn well_formed(rng: &mut Rng) -> Vec<u8> {
    let mut text = base64url(rng, 64);
    // The version is in bits 48 to 51, the variant in bits 64 and 65.
    text[8] = b'c';
    text[10] = b'i';
    text
}

/// Something near a token, or far from one.
fn value(rng: &mut Rng) -> Vec<u8> {
    match rng.below(10) {
        0..3 => well_formed(rng),
        3..6 => {
            let mut text = well_formed(rng);
            let at = usize::try_from(rng.below(64)).unwrap();
            match rng.below(4) {
                0 => text[at] = byte(rng),
                1 => drop(text.remove(at)),
                2 => text.insert(at, byte(rng)),
                _ => text.truncate(at),
            }
            text
        }
        6 => bytes(rng, 80),
        7 => base64url(rng, 64),
        8 => [b"\"", &well_formed(rng)[..], b"\""].concat(),
        _ => [&well_formed(rng)[..], b"%3D"].concat(),
    }
}

fn pair(rng: &mut Rng) -> Vec<u8> {
    let name: &[u8] = match rng.below(8) {
        0 => b"__host-id",
        1 => b"__Host-id2",
        2 => &bytes(rng, 8),
        _ => COOKIE.as_bytes(),
    };
    let equals: &[u8] = rng.pick(&[&b"="[..], b"=", b"=", b" =\t", b""]).unwrap();
    [name, equals, &value(rng)].concat()
}

/// One or two `Cookie` fields of up to five pairs.
fn fields(rng: &mut Rng) -> Vec<HeaderValue> {
    let mut fields = Vec::new();
    for _ in 0..=rng.below(2) {
        let pairs: Vec<_> = (0..rng.below(6)).map(|_| pair(rng)).collect();
        let between: &[u8] = rng
            .pick(&[&b"; "[..], b"; ", b";", b" ;\t", b",", b";;"])
            .unwrap();
        // What no field can have in it does not arrive either.
        fields.extend(HeaderValue::from_bytes(&pairs.join(between)));
    }
    fields
}

/// How many different values may be asked for, by a reading of the headers of its own.
fn well_formed_values(fields: &[HeaderValue]) -> usize {
    let mut values: Vec<&[u8]> = Vec::new();
    for pair in fields
        .iter()
        .flat_map(|field| field.as_bytes().split(|byte| *byte == b';'))
    {
        let Some(equals) = pair.iter().position(|byte| *byte == b'=') else {
            continue;
        };
        let (name, value) = (trimmed(&pair[..equals]), trimmed(&pair[equals + 1..]));
        let inner = value
            .strip_prefix(b"\"")
            .and_then(|value| value.strip_suffix(b"\""));
        let value = inner.unwrap_or(value);
        if name == COOKIE.as_bytes() && !values.contains(&value) {
            values.push(value);
        }
    }
    values
        .into_iter()
        .take(4)
        .filter(|value| is_token(value))
        .count()
}

fn trimmed(text: &[u8]) -> &[u8] {
    let shown = |byte: &u8| !matches!(byte, b' ' | b'\t');
    let from = text.iter().position(shown).unwrap_or(text.len());
    let to = text.iter().rposition(shown).map_or(from, |last| last + 1);
    &text[from..to]
}

fn is_token(text: &[u8]) -> bool {
    let digits: Vec<_> = text
        .iter()
        .map_while(|b| ALPHABET.iter().position(|a| a == b))
        .collect();
    text.len() == 64
        && digits.len() == 64
        && digits[8] & 0b11_1100 == 0b01_1100
        && digits[10] & 0b11 == 0b10
}

#[tokio::test]
async fn a27_100_000_generated_cookie_headers() {
    let seed = seed_or(27);
    println!("seed {seed}");
    let store = FaultStore::new(MemoryStore::new());
    let handler = async |request: Request<()>| -> Result<Response<Full<Bytes>>, Infallible> {
        let (parts, ()) = request.into_parts();
        let session = ReadSession::from_request(&parts).await.unwrap();
        assert!(session.is_new());
        Ok(Response::new(Full::default()))
    };
    let mut service = SessionLayer::new(store.clone()).layer(service_fn(handler));
    let (mut asked, mut spared) = (0, 0);
    let mut rng = Rng::new(seed);
    for case in 0..100_000 {
        let fields = fields(&mut rng);
        let mut request = Request::new(());
        for field in &fields {
            request.headers_mut().append("cookie", field.clone());
        }
        store.calls().clear();
        let response = service.call(request).await.unwrap();
        let what = || format!("seed {seed} case {case}: {fields:?}");
        assert_eq!(response.status(), StatusCode::OK, "{}", what());
        assert!(!response.headers().contains_key("set-cookie"), "{}", what());
        let expected = well_formed_values(&fields);
        assert_eq!(store.calls().total(), expected, "{}", what());
        asked += u32::from(expected > 0);
        spared += u32::from(expected == 0);
    }
    println!("{asked} reached the store, {spared} did not");
    assert!(asked > 10_000 && spared > 10_000);
}
