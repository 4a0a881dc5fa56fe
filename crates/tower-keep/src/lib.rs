//! Server-side sessions for [Tower] and [axum] that never lose a write, never leak a secret, and
//! cost nothing on requests that do not use them.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_keep::{Error, MemoryStore, ReadSession, Session, SessionLayer};
//!
//! // Locks the session, loads it, and saves it after the handler: concurrent requests of one
//! // visitor are counted one by one, without gaps.
//! async fn count(session: Session) -> Result<String, Error> {
//!     let visits = session.increment("visits", 1)?;
//!     Ok(format!("visit number {visits}"))
//! }
//!
//! // Only reads: never locks, never waits for a writer.
//! async fn show(session: ReadSession) -> Result<String, Error> {
//!     let visits: i64 = session.get_or("visits", 0)?;
//!     Ok(format!("{visits} visits so far"))
//! }
//!
//! let app: Router = Router::new()
//!     .route("/", get(count))
//!     .route("/show", get(show))
//!     // Does not mention a session: no cookie is parsed, no store is asked.
//!     .route("/about", get(async || "about us"))
//!     .layer(SessionLayer::new(MemoryStore::new()));
//! ```
//!
//! # What a handler asks for is what it gets
//!
//! | Extractor | Store work | May write |
//! |---|---|---|
//! | [`Session`] | lock and load at extraction, save and unlock after the handler | yes |
//! | [`ReadSession`] | load | no |
//! | [`MergeSession`] | load at extraction; save after the handler, merged with what others did | yes |
//! | `Option<Session>`, `Option<ReadSession>` | as above; `None` without a stored session | as above |
//! | [`Typed<T>`], [`ReadTyped<T>`] | as `Session` and `ReadSession`, for a type of the app's | as above |
//! | [`SessionHandle`] | none until asked: for tasks that outlive the request | through a `Session` |
//! | nothing | none | |
//!
//! Loading happens in the extraction, so everything after it is synchronous. All extractions of
//! one request share one session, so guards, middleware and handlers can each take it.
//!
//! # How a request ends
//!
//! After a session is opened exactly one of *commit* or *discard* happens, and the lock is given
//! up, however the request ends. A response below 500 (not 408) commits before its headers leave.
//! A response of 500 or above, 408, an error, a panic, or the request being dropped, discards. A
//! commit that fails changes nothing in the store and replaces the response by 503 or 409.
//! Rotation, destruction and changes of user belong to that one commit.
//!
//! # Identity
//!
//! The cookie holds a public id and a secret of 256 bits. The store is keyed by the id and keeps a
//! digest of the secret, so a leaked database logs nobody in. [`Session::set_user`] replaces the
//! secret in the same commit that saves the login.
//!
//! # Options
//!
//! The layer is configured by its [builder](SessionLayer::builder), or with the feature `config` from
//! files and the environment by `SessionConfig`. The feature `encryption` adds `EncryptedStore`,
//! which encrypts what any store keeps.
//!
//! # Without axum
//!
//! The layer works on every service of `http` requests whose response body can be made of
//! [`bytes::Bytes`]: take the session with [`Session::from_request`]. The feature `axum`, on by
//! default, adds the extractors and responses.
//!
//! [Tower]: https://docs.rs/tower
//! [axum]: https://docs.rs/axum

#![cfg_attr(docsrs, feature(doc_cfg))]

mod answer;
mod client_ip;
#[cfg(feature = "config")]
mod config;
pub mod cookie;
mod csrf;
mod deadline;
#[cfg(feature = "encryption")]
mod encryption;
mod error;
mod events;
mod extract;
mod fingerprint;
mod handle;
mod idle;
mod import;
pub mod keys;
mod layer;
mod lock;
mod memory;
mod merge;
mod migrating;
mod observe;
mod previous;
mod read;
#[cfg(feature = "axum")]
mod rejection;
mod request;
mod session;
mod sessions;
mod shared;
mod slot;
mod sweep;
mod sync;
#[cfg(feature = "temp")]
mod temp;
#[cfg(keep_shuttle)]
pub mod threads;
mod tokens;
mod transport;
mod typed;

pub use client_ip::{TrustedProxies, TrustedProxiesError};
#[cfg(feature = "config")]
pub use config::{ConfigError, SessionConfig};
pub use csrf::{
    CsrfConfigError, CsrfFuture, CsrfLayer, CsrfLayerBuilder, CsrfRefusal, CsrfService,
};
#[cfg(feature = "encryption")]
pub use encryption::{EncryptedStore, is_encrypted};
pub use error::{Conflict, Error};
pub use events::{EventKind, EventListener, EventStream, Missed, SessionEvent};
pub use extract::Keyed;
pub use fingerprint::{FingerprintConfig, IpBinding, OnMismatch};
pub use handle::SessionHandle;
pub use import::{Import, ImportError, OldCookie, OldSession, OldSessions};
pub use layer::{
    CompletionFuture, CompletionLayer, CompletionService, EagerFuture, EagerLayer, EagerService,
    LayerConfigError, ResponseFuture, SessionLayer, SessionLayerBuilder, SessionService,
};
pub use lock::LockConfig;
pub use memory::MemoryStore;
pub use merge::MergeSession;
pub use migrating::MigratingStore;
#[cfg(feature = "metrics")]
pub use observe::{METRICS, Metric, MetricKind, describe_metrics};
pub use previous::{PreviousUrlFuture, PreviousUrlLayer, PreviousUrlService, UrlFault};
pub use read::ReadSession;
#[cfg(feature = "axum")]
pub use rejection::SessionRejection;
pub use request::{RequestHead, RequestInfo};
pub use session::Session;
pub use sessions::{Sessions, Started, StoredSession, UserSessions};
pub use slot::Absence;
pub use sweep::{Lottery, sweep_every};
#[cfg(feature = "temp")]
pub use temp::{
    TempBody, TempDir, TempEntry, TempError, TempFile, TempFiles, TempFilesFuture, TempStorage,
    TempSwept,
};
pub use tower_keep_core as core;
pub use tower_keep_core::data::{AsKey, Codec, DataError, DataLimits, Key, Keys, Literal};
pub use tower_keep_core::{
    Clock, DynStore, Limits, SessionId, SessionStore, StoreError, StoreErrorKind, Timestamp,
    UserCap, UserPage, WhenFull,
};
pub use transport::{HeaderTransport, Transport, TransportError};
pub use typed::{ReadTyped, SessionData, Typed};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
