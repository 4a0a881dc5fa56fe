//! A small shop, to see what a session does: `cargo run --example demo`, then open
//! <http://127.0.0.1:3000>.
//!
//! Start reading at `shop.rs`: which address does what to the session. `cart.rs` is the part of
//! it that is the cart's, `pages.rs` the HTML. This file is the program around it: arguments,
//! store, server, and an end that loses nothing.

mod cart;
mod catalogue;
mod error;
mod pages;
mod shop;
mod web;

use std::error::Error;
use std::future::IntoFuture;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tower_keep::sweep_every;
use tower_keep_connect::{ConnectError, StoreConfig};

/// How long requests that are under way at the end may take.
const DRAIN: Duration = Duration::from_secs(10);

/// A small shop that keeps its visitors' carts in sessions.
#[derive(Parser)]
#[command(name = "demo")]
struct Arguments {
    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,
    /// The port to listen on; 0 takes any that is free
    #[arg(long, default_value_t = 3000)]
    port: u16,
    /// Where sessions are kept: `memory:`, `file:DIRECTORY`, `sqlite:FILE`, `postgres://…`,
    /// `mysql://…` or `redis://…`
    #[arg(long, value_name = "URL", default_value = "sqlite:keep.db")]
    store: String,
}

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

async fn run(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let config = StoreConfig::new(arguments.store);
    let store = match config.connect().await {
        Err(error @ ConnectError::Store { .. }) => return Err(error.into()),
        // Such a URL is a mistake on the command line: tells so, and exits with 2.
        Err(error) => Arguments::command()
            .error(ErrorKind::ValueValidation, format!("--store: {error}"))
            .exit(),
        Ok(store) => store,
    };
    let sessions = shop::sessions(store.clone())?;
    let app = shop::app(sessions.clone());

    // Expired sessions do not open; this makes room.
    tokio::spawn(sweep_every(store, Duration::from_mins(1)));

    let stop_signal = stop_signal()?;
    let listener = TcpListener::bind((arguments.host.as_str(), arguments.port)).await?;
    say(&format!("listening on http://{}", listener.local_addr()?));
    say(&format!("sessions are kept in {}", config.shown_url()));
    let (stop, stopping) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        let _ = stopping.await;
    });
    let server = tokio::spawn(server.into_future());

    stop_signal.await;
    say("draining");
    drop(stop);
    let drained = timeout(DRAIN, server).await.is_ok();
    // What the requests began with their sessions is carried to its end.
    sessions.shutdown().await;
    say(if drained {
        "drained"
    } else {
        "stopped; some requests took too long and were broken off"
    });
    Ok(())
}

/// Ready on Ctrl-C, and on what a service manager sends; it is listened for from this call on.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[cfg(windows)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        let _ = interrupt.recv().await;
    })
}

/// Prints a line. That nobody reads it must not keep the shop from an orderly end.
fn say(line: &str) {
    let _ = writeln!(io::stdout(), "{line}");
}
