//! The secret half of a session's identity, and both halves together.

mod base64url;

use std::fmt;

use ctutils::CtEq;
use sha2::{Digest, Sha256};

use crate::error::{StoreError, StoreErrorKind};
use crate::id::SessionId;

/// Hashed in front of every secret, so that a digest from here means nothing anywhere else.
/// Together with the secret it fits into one SHA-256 block.
const DOMAIN: &[u8; 20] = b"tower-keep/secret/v1";

/// 32 bytes from the operating system that prove the right to open a session.
///
/// The value exists in the client's cookie and, while a request runs, here; a store only ever
/// sees its [`SecretHash`]. There is no `PartialEq` (comparing secrets byte by byte leaks how far
/// they agree) and `Debug` does not show it.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A fresh secret of 256 bits from the operating system's generator.
    ///
    /// # Errors
    /// [`StoreErrorKind::Unavailable`] if the system has no randomness to give.
    pub fn generate() -> Result<Self, StoreError> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)
            .map_err(|e| StoreError::new(StoreErrorKind::Unavailable, e.to_string()))?;
        Ok(Self(bytes))
    }

    /// The digest that the store keeps: SHA-256 of a fixed domain and the secret.
    pub fn hash(&self) -> SecretHash {
        let digest = Sha256::new().chain_update(DOMAIN).chain_update(self.0);
        SecretHash(digest.finalize().into())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// What a store keeps of a [`Secret`]; the cookie cannot be made from it.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// A digest as a store reads it back.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest as a store writes it down.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are the same, in a time that does not depend on where they differ.
    pub fn matches(&self, other: &Self) -> bool {
        self.words().ct_eq(&other.words()).into()
    }

    /// Eight bytes at a time take an eighth of the steps.
    fn words(&self) -> [u64; 4] {
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(self.0.as_chunks().0) {
            *word = u64::from_ne_bytes(*bytes);
        }
        words
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(..)")
    }
}

/// What the client carries: base64url without padding of the id's 16 bytes and the secret's 32,
/// 64 characters, with an optional visible prefix in front.
///
/// ```
/// use tower_keep_core::{Secret, SessionId, Timestamp, Token};
///
/// let id = SessionId::new(Timestamp::from_millis(1_700_000_000_000));
/// let token = Token::new(id, Secret::generate().unwrap());
/// let text = token.encode("");
/// assert_eq!(text.len(), 64);
/// assert_eq!(Token::parse(text.as_bytes(), "").unwrap().id(), id);
/// assert!(!format!("{token:?}").contains(&text));
/// ```
#[derive(Clone)]
pub struct Token {
    id: SessionId,
    secret: Secret,
}

impl Token {
    /// Both halves together.
    pub const fn new(id: SessionId, secret: Secret) -> Self {
        Self { id, secret }
    }

    /// The public half.
    pub const fn id(&self) -> SessionId {
        self.id
    }

    /// The secret half.
    pub const fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The text for the cookie. This is the secret: it belongs into `Set-Cookie` and nowhere else.
    pub fn encode(&self, prefix: &str) -> String {
        let mut bytes = [0; base64url::BYTES];
        bytes[..16].copy_from_slice(self.id.as_bytes());
        bytes[16..].copy_from_slice(&self.secret.0);
        let mut text = String::with_capacity(prefix.len() + base64url::CHARS);
        text.push_str(prefix);
        // The alphabet is ASCII.
        text.push_str(std::str::from_utf8(&base64url::encode(&bytes)).unwrap_or_default());
        text
    }

    /// Reads a cookie's value: the exact prefix, then exactly 64 characters of canonical base64url
    /// whose first 16 bytes are a session id.
    pub fn parse(text: &[u8], prefix: &str) -> Result<Self, ParseTokenError> {
        // 48 bytes are 64 characters without a bit to spare, so there is one spelling of each.
        let bytes = text
            .strip_prefix(prefix.as_bytes())
            .and_then(|text| base64url::decode(text.try_into().ok()?))
            .ok_or(ParseTokenError(()))?;
        let (mut id, mut secret) = ([0; 16], [0; 32]);
        id.copy_from_slice(&bytes[..16]);
        secret.copy_from_slice(&bytes[16..]);
        let id = SessionId::from_bytes(id).map_err(|_| ParseTokenError(()))?;
        Ok(Self::new(id, Secret(secret)))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// The text is not a token; the message does not repeat it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a session token: expected the prefix and 64 characters of base64url")]
pub struct ParseTokenError(());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn token() -> Token {
        let id = SessionId::new(Timestamp::from_millis(1_700_000_000_000));
        Token::new(id, Secret::generate().unwrap())
    }

    #[test]
    fn a_token_survives_its_text() {
        let token = token();
        for prefix in ["", "ml_sess_"] {
            let back = Token::parse(token.encode(prefix).as_bytes(), prefix).unwrap();
            assert_eq!(back.id(), token.id());
            assert!(back.secret().hash().matches(&token.secret().hash()));
        }
    }

    #[test]
    fn every_other_spelling_is_refused() {
        let text = token().encode("");
        let refused = [
            String::new(),
            format!("{text}="),
            format!(" {text}"),
            text[..63].to_owned(),
            format!("{text}A"),
            format!("{}+", &text[..63]),
            format!("{}/", &text[..63]),
            format!("{}\u{e9}", &text[..62]),
            "A".repeat(64), // 16 zero bytes are no UUID v7
        ];
        for bad in refused {
            assert!(Token::parse(bad.as_bytes(), "").is_err(), "{bad}");
        }
        assert!(Token::parse(text.as_bytes(), "keep_").is_err());
        assert!(Token::parse(format!("Keep_{text}").as_bytes(), "keep_").is_err());
    }

    #[test]
    fn one_other_byte_is_another_digest() {
        let digest = SecretHash::from_bytes([7; 32]);
        assert!(digest.matches(&digest));
        for at in 0..32 {
            let mut bytes = [7; 32];
            bytes[at] ^= 0x10;
            assert!(!digest.matches(&SecretHash::from_bytes(bytes)), "byte {at}");
        }
    }

    #[test]
    fn nothing_prints_the_secret() {
        let token = token();
        let shown = format!("{token:?} {:?} {:?}", token.secret(), token.secret().hash());
        assert!(!shown.contains(&token.encode("")));
        assert_eq!(
            shown,
            format!(
                "Token {{ id: {}, .. }} Secret(..) SecretHash(..)",
                token.id()
            )
        );
    }

    #[test]
    fn the_digest_is_sha_256_of_domain_and_secret() {
        let digest = Secret([7; 32]).hash();
        let mut plain = DOMAIN.to_vec();
        plain.extend([7; 32]);
        assert_eq!(
            digest.as_bytes().as_slice(),
            Sha256::digest(&plain).as_slice()
        );
        assert!(plain.len() <= 55, "one block with its padding");
    }
}
