//! Data as a sealed entry, and back.
//!
//! # Format 1
//! The entry's value is a JSON string in base64url of: the format's number, 8 bytes that name the
//! key, a nonce of 24 random bytes, the data's stored form under XChaCha20-Poly1305
//! (draft-irtf-cfrg-xchacha) and its tag of 16 bytes. Associated with it are the number, the key's
//! name and the session's id, so that none of them can be exchanged for another.
//!
//! Nonces of 192 bits may be drawn at random for as many messages as there will ever be.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, Tag, XChaCha20Poly1305, XNonce};
use tower_keep_core::data::Data;
use tower_keep_core::{BoxError, SessionId, StoreError, StoreErrorKind};

use crate::keys::{KeyRing, SecretKey};

/// An entry of the library's own; no application's key begins with this character.
const ENTRY: &str = "\u{1}sealed";

const FORMAT: u8 = 1;
const NAME: usize = 8;
const NONCE: usize = 24;
const TAG: usize = 16;
/// What stands in front of the ciphertext.
const FRONT: usize = 1 + NAME + NONCE;

/// Whether these are the data of a session as an [`EncryptedStore`](crate::EncryptedStore) has put
/// them into the store that it is around: for tools that look into that store themselves.
pub fn is_encrypted(data: &Data) -> bool {
    data.get(ENTRY).is_some()
}

/// The keys, ready for use.
pub(super) struct Sealer {
    /// The first one seals.
    first: SealingKey,
    others: Vec<SealingKey>,
}

struct SealingKey {
    name: [u8; NAME],
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    fn of(key: &SecretKey) -> Self {
        let mut name = [0; NAME];
        name.copy_from_slice(&key.derive(b"tower-keep/encryption/name/v1")[..NAME]);
        let derived = key.derive(b"tower-keep/encryption/v1");
        Self {
            name,
            cipher: XChaCha20Poly1305::new((&*derived).into()),
        }
    }

    fn associated(&self, id: SessionId) -> [u8; 1 + NAME + 16] {
        let mut associated = [FORMAT; 1 + NAME + 16];
        associated[1..=NAME].copy_from_slice(&self.name);
        associated[1 + NAME..].copy_from_slice(id.as_bytes());
        associated
    }
}

impl Sealer {
    pub(super) fn new(ring: &KeyRing) -> Self {
        Self {
            first: SealingKey::of(ring.first()),
            others: ring.others().iter().map(SealingKey::of).collect(),
        }
    }

    /// The data as one entry, for this session alone.
    pub(super) fn seal(&self, id: SessionId, data: &Data) -> Result<Data, StoreError> {
        let key = &self.first;
        let mut sealed = Vec::with_capacity(FRONT + data.size() + TAG);
        sealed.push(FORMAT);
        sealed.extend(key.name);
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)
            .map_err(|error| StoreError::new(StoreErrorKind::Unavailable, error.to_string()))?;
        sealed.extend(nonce);
        sealed.extend(data.to_json());
        let text = sealed.get_mut(FRONT..).unwrap_or_default();
        let tag = key
            .cipher
            .encrypt_inout_detached(&nonce.into(), &key.associated(id), text.into())
            .map_err(|_| too_large("there are too many of them to be encrypted"))?;
        sealed.extend(tag);
        let json = format!(
            r#"{{"data":{{}},"keep":{{"sealed":"{}"}}}}"#,
            URL_SAFE_NO_PAD.encode(sealed)
        );
        Data::from_json(json.as_bytes(), usize::MAX).map_err(too_large)
    }

    /// The data that were sealed for this session. `None` if these are not sealed.
    pub(super) fn unseal(&self, id: SessionId, data: &Data) -> Result<Option<Data>, StoreError> {
        let Some(value) = data.get(ENTRY) else {
            return Ok(None);
        };
        if data.len() != 1 {
            return Err(corrupt("there is something beside its encrypted data"));
        }
        let [b'"', text @ .., b'"'] = value else {
            return Err(corrupt("its encrypted data are no text"));
        };
        let mut sealed = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| corrupt("its encrypted data are no base64url"))?;
        if let Some(format) = sealed.first().filter(|format| **format != FORMAT) {
            return Err(unsupported(format!("encryption format {format}")));
        }
        let short = || corrupt("its encrypted data are cut short");
        let (front, rest) = sealed.split_first_chunk_mut::<FRONT>().ok_or_else(short)?;
        let (text, tag) = rest.split_last_chunk_mut::<TAG>().ok_or_else(short)?;
        let key = self.key(&front[1..=NAME])?;
        let nonce = XNonce::try_from(&front[1 + NAME..]).map_err(|_| short())?;
        key.cipher
            .decrypt_inout_detached(&nonce, &key.associated(id), text.into(), &Tag::from(*tag))
            .map_err(|_| corrupt("its data were not encrypted for it, or were changed since"))?;
        match Data::from_json(text, usize::MAX) {
            Ok(data) => Ok(Some(data)),
            Err(error) => Err(StoreError::new(StoreErrorKind::Corrupt, error)),
        }
    }

    /// The key of this name.
    fn key(&self, name: &[u8]) -> Result<&SealingKey, StoreError> {
        let mut keys = std::iter::once(&self.first).chain(&self.others);
        keys.find(|key| key.name == name)
            .ok_or_else(|| unsupported("it is encrypted with a key that is not here".to_owned()))
    }
}

fn corrupt(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Corrupt, why)
}

fn too_large(why: impl Into<BoxError>) -> StoreError {
    StoreError::new(StoreErrorKind::TooLarge, why)
}

fn unsupported(what: String) -> StoreError {
    StoreError::new(StoreErrorKind::Unsupported, what)
}
