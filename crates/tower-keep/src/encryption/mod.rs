//! Encryption at rest.
//!
//! Invariants:
//! 1. The data of a live record in the store are one entry, which is sealed for the record's id. Only
//!    tombstones, which have none, are without.
//! 2. Data that cannot be unsealed are an error, never other data and never none.
//! 3. No nonce is used twice under one key: each is 24 random bytes.

mod seal;
mod store;
mod users;

pub use seal::is_encrypted;
pub use store::EncryptedStore;
