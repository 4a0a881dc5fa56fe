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
//! # Without axum
//!
//! The layer works on every service of `http` requests whose response body can be made of
//! [`bytes::Bytes`]: take the session with [`Session::from_request`]. The feature `axum`, on by
//! default, adds the extractors and responses.
//!
//! [Tower]: https://docs.rs/tower
//! [axum]: https://docs.rs/axum

mod answer;
pub mod cookie;
mod deadline;
mod error;
mod extract;
mod handle;
mod layer;
mod lock;
mod memory;
mod migrating;
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
mod typed;

pub use error::{Conflict, Error};
pub use extract::Keyed;
pub use handle::SessionHandle;
pub use layer::{
    CompletionFuture, CompletionLayer, CompletionService, EagerFuture, EagerLayer, EagerService,
    LayerConfigError, ResponseFuture, SessionLayer, SessionLayerBuilder, SessionService,
};
pub use lock::LockConfig;
pub use memory::MemoryStore;
pub use migrating::MigratingStore;
pub use previous::{PreviousUrlFuture, PreviousUrlLayer, PreviousUrlService, UrlFault};
pub use read::ReadSession;
#[cfg(feature = "axum")]
pub use rejection::SessionRejection;
pub use request::{RequestHead, RequestInfo};
pub use session::Session;
pub use sessions::{Sessions, Started, StoredSession, UserSessions};
pub use slot::Absence;
pub use sweep::{Lottery, sweep_every};
pub use tower_keep_core as core;
pub use tower_keep_core::data::{AsKey, Codec, DataError, DataLimits, Key, Keys, Literal};
pub use tower_keep_core::{
    Clock, DynStore, Limits, SessionId, SessionStore, StoreError, StoreErrorKind, Timestamp,
    UserCap, UserPage, WhenFull,
};
pub use typed::{ReadTyped, SessionData, Typed};

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
