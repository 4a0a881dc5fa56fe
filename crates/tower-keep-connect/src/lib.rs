#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(clippy::doc_markdown, reason = "the engines' names are no code")]
#![cfg_attr(
    not(any(
        feature = "file",
        feature = "sqlite",
        feature = "postgres",
        feature = "mysql",
        feature = "redis"
    )),
    allow(
        dead_code,
        clippy::unused_async,
        reason = "a store in memory waits for nothing and cannot fail"
    )
)]

mod config;
mod error;
mod scheme;
mod session;
mod stores;
mod vars;

use tower_keep::DynStore;

pub use config::{StoreConfig, Upgrade};
pub use error::ConnectError;
pub use session::Config;

/// Opens the store at `url` with its defaults. See the [crate] for what URLs there are, and
/// [`StoreConfig`] for more than a URL.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_keep::SessionLayer;
/// use tower_keep_connect::connect;
///
/// let store = connect("memory:").await?;
/// let sessions = SessionLayer::new(store);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// As [`StoreConfig::connect`].
pub async fn connect(url: &str) -> Result<DynStore, ConnectError> {
    StoreConfig::new(url).connect().await
}
