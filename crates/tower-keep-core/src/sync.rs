//! What threads meet at: the standard library's, or in `tests/threads` what stands in for it there,
//! in a crate of tokio's name.

#[cfg(not(keep_shuttle))]
pub(crate) use std::{
    hash::RandomState,
    sync::{Mutex, MutexGuard},
};
#[cfg(keep_shuttle)]
pub(crate) use tokio::{Mutex, MutexGuard, RandomState};
