#![cfg_attr(feature = "v14", doc = include_str!("../README.md"))]
#![cfg_attr(
    not(feature = "v14"),
    doc = "Stores of tower-sessions under tower-keep; documented with the feature `v14`."
)]
#![allow(clippy::doc_markdown, reason = "the engines' names are no code")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg(any(feature = "v14", feature = "v15"))]

mod bridged;
mod builder;
mod entry;
mod error;
mod old;
mod serve;
mod theirs;
mod turns;
mod users;
mod versions;

pub use bridged::Bridged;
pub use builder::BridgedBuilder;
pub use error::BridgeError;
pub use old::OldTowerSessions;
#[cfg(feature = "v14")]
pub use serve::TowerSessions14Layer;
#[cfg(feature = "v15")]
pub use serve::TowerSessions15Layer;
pub use serve::{TowerSessionsFuture, TowerSessionsLayer, TowerSessionsService};
pub use users::axum_login_user;
#[cfg(feature = "v14")]
pub use versions::{Bridged14, Old14, V14};
#[cfg(feature = "v15")]
pub use versions::{Bridged15, Old15, V15};

/// Runs the examples of the migration guide as tests.
#[cfg(all(doctest, feature = "v14"))]
#[doc = include_str!("../../../docs/migrating-from-tower-sessions.md")]
struct Migrating;
