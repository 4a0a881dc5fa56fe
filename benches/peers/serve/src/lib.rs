//! What the servers of the benchmarks have in common.
//!
//! A server is a program `serve-LIBRARY STORE [URL]`. It listens on a free port of the loopback
//! interface and prints it as its first line. For each line on its standard input it prints the CPU
//! time it has taken so far, in nanoseconds; when its input ends, so does it.
//!
//! | path | what its handler does |
//! |---|---|
//! | `/unused` | does not mention the session |
//! | `/new` | sets `n` to 0 |
//! | `/read` | answers `n` |
//! | `/increment` | adds one to `n` and answers it |
//! | `/hold/{ms}` | the same, and holds the session for so long before |
//! | `/merge/{ms}` | the same in merge mode, where a library has one |

use std::io::BufRead;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The store that is asked for and its URL, which is empty if it needs none.
pub fn asked() -> (String, String) {
    let mut arguments = std::env::args().skip(1);
    let store = arguments.next().unwrap_or_default();
    (store, arguments.next().unwrap_or_default())
}

/// Ends the program, whose store is none of its own.
pub fn unknown(store: &str) -> ! {
    eprintln!("there is no store `{store}` here");
    std::process::exit(2)
}

/// Tells where the server listens, and answers questions from then on.
pub fn announce(address: SocketAddr) {
    println!("{}", address.port());
    std::thread::spawn(|| {
        for _ in std::io::stdin().lock().lines() {
            println!("{}", cpu_time::ProcessTime::now().as_duration().as_nanos());
        }
        std::process::exit(0)
    });
}

/// What a handler that held the session since `start` answers: for how many microseconds, and `n`.
///
/// Timers are coarse, so it is not what was asked for.
pub fn held(start: Instant, n: u64) -> String {
    format!("{} {n}", start.elapsed().as_micros())
}

/// How long is asked for, in a path's milliseconds.
pub fn span(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// Serves an axum app on a runtime with one worker thread.
#[cfg(feature = "axum")]
pub fn axum(app: impl AsyncFnOnce(&str, &str) -> axum::Router) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let (store, url) = asked();
        let app = app(&store, &url).await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a free port");
        announce(listener.local_addr().expect("it is bound"));
        axum::serve(listener, app).await.expect("it serves");
    });
}
