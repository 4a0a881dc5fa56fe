//! Tokens and session ids. The first line of the input is the prefix that a token must have.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use tower_keep_core::{SessionId, Token};
use uuid::Uuid;

use crate::{split, tells};

pub(crate) fn check(input: &[u8]) {
    let (prefix, text) = split(input, b'\n');
    if let Ok(prefix) = std::str::from_utf8(prefix) {
        parse(text, prefix);
        made(text, prefix);
    }
    if let Ok(text) = std::str::from_utf8(text) {
        id(text);
    }
}

/// What is read is written the same, for there is one spelling.
fn parse(text: &[u8], prefix: &str) {
    match Token::parse(text, prefix) {
        Ok(token) => {
            let again = token.encode(prefix);
            assert_eq!(again.as_bytes(), text);
            let raw = URL_SAFE_NO_PAD.decode(&again[prefix.len()..]).unwrap();
            assert_eq!(token.id().as_bytes(), &raw[..16]);
            assert!(!format!("{token:?}").contains(&again[again.len() - 40..]));
        }
        Err(error) => assert!(!tells(&format!("{error} {error:?}"))),
    }
}

/// A token of the first 48 bytes, which must be of a version 7 UUID, and everything near it.
fn made(bytes: &[u8], prefix: &str) {
    let Some(raw) = bytes.first_chunk::<48>() else {
        return;
    };
    let mut raw = *raw;
    raw[6] = 0x70 | raw[6] & 0x0f;
    raw[8] = 0x80 | raw[8] & 0x3f;
    let text = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(raw));
    let token = Token::parse(text.as_bytes(), prefix).unwrap();
    assert_eq!(token.id().as_bytes(), &raw[..16]);
    assert_eq!(token.encode(prefix), text);
    for end in 0..text.len() {
        assert!(Token::parse(&text.as_bytes()[..end], prefix).is_err());
    }
    for more in ["A", "=", " ", ";"] {
        assert!(Token::parse(format!("{text}{more}").as_bytes(), prefix).is_err());
    }
    // Another version is no session's.
    raw[6] = 0x40 | raw[6] & 0x0f;
    let other = format!("{prefix}{}", URL_SAFE_NO_PAD.encode(raw));
    assert!(Token::parse(other.as_bytes(), prefix).is_err());
}

/// As the crate `uuid` reads them, of version 7 and in one spelling.
fn id(text: &str) {
    let theirs = Uuid::try_parse(text).ok().filter(|uuid| {
        uuid.get_version_num() == 7
            && uuid.get_variant() == uuid::Variant::RFC4122
            && uuid.hyphenated().to_string() == text
    });
    let ours = text.parse::<SessionId>();
    assert_eq!(ours.is_ok(), theirs.is_some(), "{text}");
    match (ours, theirs) {
        (Ok(ours), Some(theirs)) => {
            assert_eq!(ours.as_bytes(), theirs.as_bytes());
            assert_eq!(ours.to_string(), text);
        }
        (Err(error), _) => assert!(!tells(&format!("{error} {error:?}"))),
        (Ok(_), None) => {}
    }
}
