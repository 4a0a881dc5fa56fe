//! A program that leaks what its argument says, at each request: what the soak must find.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "it is a test")]

use std::fs::File;
use std::sync::{Arc, Mutex};

use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio::runtime::Handle;

/// Kept for good.
#[derive(Default)]
struct Kept {
    memory: Vec<Vec<u8>>,
    files: Vec<File>,
}

/// What is leaked at a request, in bytes.
const BYTES: usize = 16 * 1024;

#[tokio::main]
async fn main() {
    let what = std::env::args().nth(1).unwrap_or_default();
    let kept = Arc::new(Mutex::new(Kept::default()));
    let leak = async move || {
        let mut kept = kept.lock().unwrap();
        match &*what {
            "memory" => kept.memory.push(vec![1; BYTES]),
            "files" => kept.files.push(File::open("/dev/null").unwrap()),
            "tasks" => drop(tokio::spawn(std::future::pending::<()>())),
            _ => drop(std::hint::black_box(vec![1; BYTES])),
        }
        drop(kept);
    };
    let tasks = async || {
        let tasks = Handle::current().metrics().num_alive_tasks();
        Json(serde_json::json!({ "tasks": tasks }))
    };
    let app = Router::new()
        .route("/", get(leak))
        .route("/health", get(tasks));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    println!("listening on http://{}", listener.local_addr().unwrap());
    axum::serve(listener, app).await.unwrap();
}
