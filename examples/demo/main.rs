//! A small shop, to see what a session does: `cargo run --example demo`, then open
//! <http://127.0.0.1:3000>.
//!
//! Start reading in `shop`: `window.rs`, `account.rs`, `chat.rs`, `at_once.rs` and `devices.rs` are
//! which address does what to the session, `mod.rs` the layers around them, `pages` the HTML.
//! `nodes.rs` serves the shop on one node or several, and this file is the program around it:
//! arguments, stores, and an end that loses nothing.

mod arguments;
mod nodes;
mod shop;
mod stop;

use std::io::{self, Write};
use std::process::ExitCode;

use axum::BoxError;
use clap::Parser;

use arguments::Arguments;
use nodes::Nodes;

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(error, "the shop cannot open");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), BoxError> {
    let stores = arguments.stores().await?;
    let stop = stop::signal()?;
    let nodes = Nodes::start(arguments.listen().await?, stores)?;
    for address in nodes.addresses() {
        say(&format!("listening on http://{address}"));
    }
    say(&format!("sessions are kept in {}", arguments.shown_store()));

    stop.await;
    say("draining");
    say(if nodes.drain().await {
        "drained"
    } else {
        "stopped; some requests took too long and were broken off"
    });
    Ok(())
}

/// Prints a line. That nobody reads it must not keep the shop from an orderly end.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
