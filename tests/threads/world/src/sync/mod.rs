//! Tokio's channels and locks.

pub mod oneshot;

pub use tokio_itself::sync::{Mutex, Notify, broadcast, mpsc, watch};
