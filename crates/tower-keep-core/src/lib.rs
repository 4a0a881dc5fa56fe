//! The data, the rules and the store contract of [tower-keep] sessions: no I/O, no HTTP.
//!
//! Applications depend on `tower-keep`, which re-exports what they need from here. Authors of
//! stores depend on this crate alone:
//!
//! - [`SessionStore`] is the contract. [`look`](SessionStore::look) and
//!   [`cas`](SessionStore::cas) make a correct store; the other verbs make it a fast one.
//! - [`Record`] is what a store keeps, and its methods *are* the rules of every verb, as pure
//!   functions of a record, a request and an instant. A store that speaks SQL or Lua repeats
//!   them in its engine's language; the conformance suite of `tower-keep-testkit` compares.
//! - [`data::Data`] is a session's data, [`data::Edit`] one request's view of it.
//! - [`SessionId`] is public, [`Secret`] is not; [`Token`] is both, as the cookie carries them.
//!
//! [tower-keep]: https://docs.rs/tower-keep

#![cfg_attr(docsrs, feature(doc_cfg))]

mod codec;
pub mod data;
mod erased;
mod error;
mod id;
mod local;
mod provided;
mod record;
mod rules;
mod scan;
mod slim;
mod store;
mod sync;
mod time;
mod token;
mod unique;
mod users;

pub use erased::DynStore;
pub use error::{BoxError, StoreError, StoreErrorKind};
pub use id::{ParseIdError, SessionId};
pub use local::{LocalOpened, LocalStore, Turn, TurnState};
pub use record::{Client, Commits, Head, HeadChange, Lease, Limits, NewSession, Record};
pub use scan::{Cursor, Scan, ScanFuture, ScanPage};
pub use slim::Slim;
pub use store::{
    Created, Expect, Finish, Finished, Looked, Op, Open, Opened, Put, Revision, Scope,
    SessionStore, Stats, Sweep, Swept, View, Wakeups,
};
pub use time::{Clock, SystemClock, Timestamp};
pub use token::{ParseTokenError, Secret, SecretHash, Token};
pub use unique::{CommitId, Owner};
pub use users::{UserCap, UserPage, Users, UsersFuture, WhenFull};

/// How long after a rotation a request that carries the previous secret is still recognised as
/// one that was under way, rather than taken for a forgery: 10 seconds.
pub const STALE_WINDOW: std::time::Duration = std::time::Duration::from_secs(10);

/// How long a refused [`open`](SessionStore::open) marks a record as waited for: 2 seconds.
pub const WAIT_MARK: std::time::Duration = std::time::Duration::from_secs(2);

/// Runs the examples of the README as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
