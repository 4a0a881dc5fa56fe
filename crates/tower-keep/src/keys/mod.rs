//! Secret keys and rings of them, for [`token_keys`](crate::SessionLayerBuilder::token_keys) and
//! `EncryptedStore`.
//!
//! A key is at least 32 random bytes. What signs or encrypts is never the key itself but one
//! derived from it for that purpose alone, so one key may serve several purposes. Keys are
//! overwritten in memory when they are dropped, and `Debug` does not show them.

mod error;
mod text;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

pub use error::KeyError;

/// What signs: it is overwritten when it is dropped.
pub(crate) type HmacSha256 = Hmac<Sha256>;

/// The fewest bytes of a key: 256 bits, the strength of everything that is derived from it.
const LEAST: usize = 32;

/// At least 32 random bytes that nobody else knows.
///
/// As text (`parse`, files, configuration) it is in hexadecimal or in base64, as these write it:
///
/// ```sh
/// openssl rand -hex 32
/// openssl rand -base64 32
/// ```
///
/// ```
/// use tower_keep::keys::SecretKey;
///
/// let key: SecretKey = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596".parse()?;
/// assert_eq!(format!("{key:?}"), "SecretKey(..)");
/// assert!("correct horse battery staple".parse::<SecretKey>().is_err());
/// # Ok::<(), tower_keep::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SecretKey(Zeroizing<Vec<u8>>);

impl SecretKey {
    /// A key of these bytes. They must come from a random generator: a password is no key, however
    /// long.
    ///
    /// # Errors
    /// [`KeyError::TooShort`] if there are fewer than 32.
    pub fn from_bytes(bytes: impl Into<Vec<u8>>) -> Result<Self, KeyError> {
        let bytes = Zeroizing::new(bytes.into());
        if bytes.len() < LEAST {
            return Err(KeyError::TooShort { bytes: bytes.len() });
        }
        Ok(Self(bytes))
    }

    /// The key for one purpose alone: a block of HKDF-Expand (RFC 5869, section 2.3) from this one.
    pub(crate) fn derive(&self, purpose: &[u8]) -> Zeroizing<[u8; 32]> {
        let mut mac = Self::mac(&self.0);
        mac.update(purpose);
        mac.update(&[1]);
        Zeroizing::new(mac.finalize().into_bytes().into())
    }

    /// An HMAC under the key for one purpose alone.
    pub(crate) fn signer(&self, purpose: &[u8]) -> HmacSha256 {
        Self::mac(&*self.derive(purpose))
    }

    /// An HMAC takes a key of any length (RFC 2104, section 2): one that is longer than its block
    /// stands for its digest. Done here, where nothing can fail.
    fn mac(key: &[u8]) -> HmacSha256 {
        let mut block = Zeroizing::new([0; 64]);
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        HmacSha256::new((&*block).into())
    }
}

impl FromStr for SecretKey {
    type Err = KeyError;

    /// Reads hexadecimal or base64 (either alphabet, with or without padding). Text of hexadecimal
    /// digits alone is taken for such.
    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::from_bytes(text::decode(text)?)
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

/// A key in use and those before it that are still accepted.
///
/// The first one signs and encrypts, all of them verify and decrypt. To replace a key, put the new
/// one behind the old one on every server, then in front of it; take the old one out when nothing
/// made with it is left: for tokens that is after the longest absolute timeout.
///
/// As text it is the keys, the first one first, with commas or white space between them.
///
/// ```
/// use tower_keep::keys::{KeyRing, SecretKey};
///
/// # let (new_key, old_key) = ([1; 32], [2; 32]);
/// let ring = KeyRing::new(SecretKey::from_bytes(new_key)?).and(SecretKey::from_bytes(old_key)?);
/// assert_eq!(format!("{ring:?}"), "KeyRing(2 keys)");
/// # Ok::<(), tower_keep::keys::KeyError>(())
/// ```
#[derive(Clone)]
pub struct KeyRing {
    first: SecretKey,
    others: Arc<[SecretKey]>,
}

impl KeyRing {
    /// One key for everything.
    pub fn new(first: SecretKey) -> Self {
        Self {
            first,
            others: Arc::default(),
        }
    }

    /// Accepts another key beside those that are there; it neither signs nor encrypts.
    #[must_use]
    pub fn and(self, other: SecretKey) -> Self {
        let others = self.others.iter().cloned().chain([other]);
        Self {
            first: self.first,
            others: others.collect(),
        }
    }

    /// Reads a file with the keys as text, the first one first: one a line, as a rule. Lines that
    /// begin with `#` are comments.
    ///
    /// # Errors
    /// [`KeyError::File`] if it cannot be read, else as `parse`. None repeats what the file says.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, KeyError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|source| KeyError::File {
            path: path.to_owned(),
            source,
        })?;
        let text = Zeroizing::new(text);
        let lines = text
            .lines()
            .filter(|line| !line.trim_start().starts_with('#'));
        Self::parse(lines.flat_map(text::words))
    }

    fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self, KeyError> {
        let mut keys = words.map(str::parse);
        Ok(Self {
            first: keys.next().ok_or(KeyError::Empty)??,
            others: keys.collect::<Result<_, _>>()?,
        })
    }

    /// What signs and encrypts.
    pub(crate) const fn first(&self) -> &SecretKey {
        &self.first
    }

    /// What else verifies and decrypts.
    pub(crate) fn others(&self) -> &[SecretKey] {
        &self.others
    }
}

impl From<SecretKey> for KeyRing {
    fn from(key: SecretKey) -> Self {
        Self::new(key)
    }
}

impl FromStr for KeyRing {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        Self::parse(text::words(text))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyRing({} keys)", 1 + self.others.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEX: &str = "9f2b0c4d8e1a7365f00d1e2c3b4a59687f8e9dacbbca0d1e2f30415263748596";

    #[test]
    fn what_signs_and_encrypts_is_overwritten_when_dropped() {
        const fn overwritten<T: zeroize::ZeroizeOnDrop>() {}
        // What an HMAC is made of.
        overwritten::<Sha256>();
        overwritten::<Zeroizing<Vec<u8>>>();
        #[cfg(feature = "encryption")]
        overwritten::<chacha20poly1305::XChaCha20Poly1305>();
    }

    #[test]
    fn a_derived_key_is_a_block_of_hkdf_expand() {
        // RFC 5869, A.1: the first block is HMAC(PRK, info | 0x01).
        let hex = |text| text::decode(text).unwrap();
        let prk = "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5";
        let key = SecretKey::from_bytes(hex(prk)).unwrap();
        let derived = key.derive(&hex("f0f1f2f3f4f5f6f7f8f9"));
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf";
        assert_eq!(derived.as_slice(), hex(expected));
    }

    #[test]
    fn keys_of_any_length_are_those_of_hmac() {
        for len in [32, 33, 63, 64, 65, 200] {
            let bytes = vec![7; len];
            let ours = SecretKey::mac(&bytes).chain_update("x").finalize();
            let theirs = HmacSha256::new_from_slice(&bytes).unwrap();
            assert_eq!(ours, theirs.chain_update("x").finalize(), "{len}");
        }
    }

    #[test]
    fn another_purpose_and_another_key_derive_another_key() {
        let key: SecretKey = HEX.parse().unwrap();
        assert_eq!(key.derive(b"a"), key.derive(b"a"));
        assert_ne!(key.derive(b"a"), key.derive(b"b"));
        let other = SecretKey::from_bytes([7; 32]).unwrap();
        assert_ne!(key.derive(b"a"), other.derive(b"a"));
    }

    #[test]
    fn rings_are_read_from_text_and_files() {
        let other = "BASE64".repeat(8);
        for (text, keys) in [
            (HEX.to_owned(), 1),
            (format!("{HEX},{other}"), 2),
            (format!("  {HEX} ,\n{other}\t{HEX}\n"), 3),
        ] {
            let ring: KeyRing = text.parse().unwrap();
            assert_eq!(1 + ring.others().len(), keys);
            let first: SecretKey = HEX.parse().unwrap();
            assert_eq!(ring.first().derive(b""), first.derive(b""));
        }
        for text in ["", " \n", ","] {
            assert!(matches!(text.parse::<KeyRing>(), Err(KeyError::Empty)));
        }

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        std::fs::write(&path, format!("# of May\n{HEX}\n\n # before\n{other}\n")).unwrap();
        assert_eq!(KeyRing::from_file(&path).unwrap().others().len(), 1);
        std::fs::write(&path, "# none\n").unwrap();
        assert!(matches!(KeyRing::from_file(&path), Err(KeyError::Empty)));
        let missing = KeyRing::from_file(dir.path().join("missing"));
        assert!(missing.unwrap_err().to_string().contains("missing"));
    }

    #[test]
    fn nothing_shows_a_key() {
        let ring: KeyRing = HEX.parse().unwrap();
        assert_eq!(format!("{ring:?}"), "KeyRing(1 keys)");
        let refused = [&HEX[..62], &HEX[..63], "hunter2 hunter2", "é"];
        for text in refused {
            let error = text.parse::<KeyRing>().unwrap_err();
            let shown = format!("{error:?} {error}");
            assert!(
                !shown.contains(text) && !shown.contains("hunter"),
                "{shown}"
            );
        }
    }
}
