//! Requests that want the same session.

pub mod direct;
pub mod keeper;
pub(crate) mod stage;
pub mod tasks;
