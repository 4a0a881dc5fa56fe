//! Server-side sessions for Tower and Axum that never lose a write, never leak a secret, and cost
//! nothing on requests that do not use them.

mod answer;
pub mod cookie;
mod error;
mod extract;
mod handle;
mod layer;
mod lock;
mod memory;
mod read;
mod request;
mod session;
mod shared;
mod slot;
mod sweep;

pub use answer::SessionRejection;
pub use error::{Conflict, Error};
pub use extract::Keyed;
pub use handle::SessionHandle;
pub use layer::{
    CompletionFuture, CompletionLayer, CompletionService, EagerFuture, EagerLayer, EagerService,
    LayerConfigError, ResponseFuture, SessionLayer, SessionLayerBuilder, SessionService,
};
pub use lock::LockConfig;
pub use memory::MemoryStore;
pub use read::ReadSession;
pub use request::{RequestHead, RequestInfo};
pub use session::Session;
pub use slot::Absence;
pub use sweep::sweep_every;
pub use tower_keep_core as core;
pub use tower_keep_core::data::{AsKey, DataError, DataLimits, Key, Keys, Literal};
pub use tower_keep_core::{
    Clock, DynStore, Limits, SessionId, SessionStore, StoreError, StoreErrorKind, Timestamp,
};
