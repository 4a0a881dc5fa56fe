//! What must not happen. Each module is a way to attack sessions, each test is named after what an
//! attacker does not get; `docs/security.md` maps them, with the tests of the other suites, to the
//! requirements of OWASP ASVS and to the classes of known vulnerabilities.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "the helpers of tests are tests too"
)]

#[path = "../common/mod.rs"]
mod common;

mod adoption;
mod at_rest;
mod bombs;
mod caching;
mod comparing;
mod crossing;
mod csrf;
mod denial;
#[cfg(feature = "encryption")]
mod encryption;
mod fixation;
mod floods;
#[cfg(all(feature = "encryption", feature = "temp"))]
mod leaks;
mod paths;
mod proxies;
mod resurrection;
mod revoking;
mod rotation;
mod tossing;

use tower_keep::SessionId;
use tower_keep::core::{Secret, Token};
use tower_keep_testkit::Rng;

/// A well-formed token for this session whose secret nobody gave out.
fn forged(id: SessionId) -> String {
    Token::new(id, Secret::generate().unwrap()).encode("")
}

/// The characters of a token.
const BASE64URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// The 48 bytes of a token's text.
fn bytes_of(token: &str) -> Vec<u8> {
    let digit = |c: &u8| BASE64URL.iter().position(|d| d == c).unwrap();
    let word = |four: &[u8]| {
        let word = four.iter().fold(0, |word, c| word << 6 | digit(c));
        [word >> 16, word >> 8, word].map(|byte| u8::try_from(byte & 255).unwrap())
    };
    token.as_bytes().chunks(4).flat_map(word).collect()
}

/// Every byte percent-encoded.
fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::new(), |mut encoded, byte| {
        write!(encoded, "%{byte:02X}").unwrap();
        encoded
    })
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn contains(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// Lets the scheduler turn so often.
async fn turns(rng: &mut Rng, below: u64) {
    for _ in 0..rng.below(below) {
        tokio::task::yield_now().await;
    }
}
