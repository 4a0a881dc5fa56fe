#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg(unix)]

mod error;
mod file;
mod scan;
mod shard;
mod steps;
mod store;
mod sweep;
mod sys;
#[cfg(test)]
mod tests;
mod users;

pub use error::FileError;
pub use store::{Durability, FileStore, FileStoreBuilder};
