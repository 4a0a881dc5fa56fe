//! The file store on a real file system.

#![allow(clippy::unwrap_used, reason = "the helpers of tests are tests too")]

mod common;
mod conformance;
mod files;
mod processes;
mod together;
