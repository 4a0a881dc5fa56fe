//! What must hold for whatever strangers, files and stores give to the parsers: a function for each,
//! which panics if it does not.
//!
//! The fuzzers in `fuzz/` call them, and so does this crate's test, with the seeds in `fuzz/corpus` and
//! mutations of them, on a stable compiler. Beside not panicking they check that what is printed and
//! parsed again is the same, that errors repeat no secret, and where there is another implementation,
//! that it agrees.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "it is a test"
)]

mod agent;
mod config;
mod cookie;
mod csrf;
mod data;
mod path;
mod record;
mod token;

/// What is fuzzed.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, which is that of its corpus too.
    pub name: &'static str,
    pub check: fn(&[u8]),
    /// How many bytes it may take at once for each byte of input, beside [`BASE`].
    pub factor: u64,
}

/// What any target may take at once, whatever the input, in bytes.
pub const BASE: u64 = 256 * 1024;

/// All of them.
pub const TARGETS: [Target; 8] = [
    target("agent", agent::check, 256),
    target("config", config::check, 256),
    target("cookie", cookie::check, 64),
    target("csrf", csrf::check, 64),
    target("data", data::check, 256),
    target("path", path::check, 256),
    target("record", record::check, 256),
    target("token", token::check, 64),
];

const fn target(name: &'static str, check: fn(&[u8]), factor: u64) -> Target {
    Target {
        name,
        check,
        factor,
    }
}

/// The target of this name.
///
/// # Panics
/// If there is none.
pub fn check(name: &str, input: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target").check)(input);
}

/// What stands for secrets in the seeds.
const CANARY: &str = "hunter2-CANARY";

/// Whether a text has the secret in it.
fn tells(text: &str) -> bool {
    text.contains(CANARY)
}

/// Everything that an error can be made to say.
fn said(error: &dyn std::error::Error) -> String {
    let mut said = format!("{error} {error:?}");
    let mut cause = error.source();
    while let Some(next) = cause {
        said = format!("{said} {next} {next:?}");
        cause = next.source();
    }
    said
}

/// What comes before the first such byte, and what comes after it.
fn split(input: &[u8], at: u8) -> (&[u8], &[u8]) {
    let end = input.iter().position(|byte| *byte == at);
    match end {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[]),
    }
}
