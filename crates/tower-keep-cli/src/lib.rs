#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![allow(
    clippy::doc_markdown,
    reason = "the help texts are documentation too, and have no mark-up"
)]

mod args;
mod command;
mod error;
mod json;
mod progress;
mod stop;
mod store;
mod table;
mod text;

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use clap::Parser;

pub use args::{Arguments, Command, StoreArguments};
pub use error::Failure;

/// The program: reads the arguments of the process, does what they ask for, and says how it went.
#[expect(clippy::print_stderr, reason = "it is a program")]
pub fn main() -> ExitCode {
    // This ends the process for `--help` and for arguments that cannot be read.
    let arguments = Arguments::parse();
    match start(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        // As `keep list | head` does, when it has seen enough.
        Err(Failure::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("keep: {}", failure.in_full());
            ExitCode::from(failure.exit_code())
        }
    }
}

fn start(arguments: Arguments) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let mut out = BufWriter::new(io::stdout());
    let result = runtime.block_on(run(arguments, &mut out));
    // Also what came before a failure is of use.
    let flushed = out.flush().map_err(Failure::Output);
    result.and(flushed)
}

/// Does what the arguments ask for, and writes the answer to `out`. Everything else, what went
/// wrong with single sessions for example, goes to the standard error stream.
///
/// # Errors
/// See [`Failure`].
pub async fn run(arguments: Arguments, out: &mut impl Write) -> Result<(), Failure> {
    command::run(arguments, out).await
}
