//! How a secret could be written down.

use std::fmt::Write as _;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

pub(crate) fn contains(dump: &[u8], what: &[u8]) -> bool {
    dump.windows(what.len()).any(|part| part == what)
}

/// The cookie, its secret, and the secret's bytes in hexadecimal digits, in a list, and raw.
pub(crate) fn spellings(cookie: &str) -> Vec<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(cookie).unwrap();
    let secret = &bytes[16..];
    let hex = secret.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    });
    let list = format!("{secret:?}");
    // The first character of the secret's half also has bits of the id.
    [cookie, &cookie[22..], &hex, list.trim_matches(['[', ']'])]
        .map(|text| text.as_bytes().to_vec())
        .into_iter()
        .chain([
            secret.to_vec(),
            STANDARD.encode(secret).into_bytes(),
            STANDARD.encode(&bytes).into_bytes(),
        ])
        .collect()
}
