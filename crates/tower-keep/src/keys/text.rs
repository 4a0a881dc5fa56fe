//! Keys as text.

use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use super::KeyError;

const CONFIG: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// The texts between commas and white space.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_ascii_whitespace())
        .filter(|word| !word.is_empty())
}

/// The bytes that are written in hexadecimal or base64. A key of hexadecimal digits alone that is
/// meant as base64 is no accident that happens: 43 characters, all of them among 22 of 64.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, KeyError> {
    if text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return text.as_bytes().chunks_exact(2).map(hex).collect();
    }
    let engine = if text.contains(['-', '_']) {
        URL_SAFE
    } else {
        STANDARD
    };
    // What it was about is not said: it would be a part of the key.
    engine.decode(text).map_err(|_| KeyError::NotText)
}

fn hex(pair: &[u8]) -> Result<u8, KeyError> {
    let digit = |byte: u8| {
        char::from(byte)
            .to_digit(16)
            .and_then(|d| u8::try_from(d).ok())
    };
    match pair {
        [high, low] => digit(*high).zip(digit(*low)).map(|(h, l)| h << 4 | l),
        _ => None,
    }
    .ok_or(KeyError::NotText)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_and_every_base64() {
        let bytes: Vec<u8> = (0..32).map(|n| 255 - n * 7).collect();
        let hex = bytes
            .iter()
            .fold(String::new(), |text, b| format!("{text}{b:02x}"));
        let padded = STANDARD.encode(&bytes);
        let url = URL_SAFE.encode(&bytes);
        assert!(padded.ends_with('=') && padded.contains(['+', '/']) && url.contains(['-', '_']));
        for text in [
            &hex,
            &hex.to_uppercase(),
            &padded,
            padded.trim_end_matches('='),
            &url,
            url.trim_end_matches('='),
        ] {
            assert_eq!(decode(text).unwrap(), bytes, "{text}");
        }
        for text in ["a b", "=", "a+b_", "{}", "ü"] {
            assert!(matches!(decode(text), Err(KeyError::NotText)), "{text}");
        }
    }
}
