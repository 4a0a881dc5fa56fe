#![cfg_attr(feature = "v14", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "v14"),
    doc = "Stores of tower-sessions under tower-keep; documented with the feature `v14`."
)]
#![cfg(any(feature = "v14", feature = "v15"))]

mod bridged;
mod builder;
mod entry;
mod error;
mod theirs;
mod turns;
mod versions;

pub use bridged::Bridged;
pub use builder::BridgedBuilder;
pub use error::BridgeError;
#[cfg(feature = "v14")]
pub use versions::{Bridged14, V14};
#[cfg(feature = "v15")]
pub use versions::{Bridged15, V15};
