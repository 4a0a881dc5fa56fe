//! The servers in `peers/`, each a process of its own, and the databases they keep sessions in.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::{Connection, request};

/// A library on a store.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Contender {
    pub library: &'static str,
    pub store: &'static str,
    program: &'static str,
}

/// No library, on axum and on actix-web.
pub const BARE: [Contender; 2] = [
    Contender {
        library: "bare axum",
        store: "bare",
        program: "serve-keep",
    },
    Contender {
        library: "bare actix-web",
        store: "bare",
        program: "serve-actix-session",
    },
];

pub const STORES: [&str; 5] = ["memory", "redis", "postgres", "sqlite", "sqlite-normal"];

/// The libraries with the store, tower-keep first.
pub fn on(store: &'static str) -> Vec<Contender> {
    let libraries = [
        ("tower-keep", "serve-keep"),
        ("tower-sessions", "serve-tower-sessions"),
        ("axum_session", "serve-axum-session"),
        ("actix-session", "serve-actix-session"),
    ];
    let libraries = libraries.into_iter().filter(|(library, _)| {
        // The only one it has that is not the cookie itself.
        *library != "actix-session" || store == "redis"
    });
    let contender = |(library, program)| Contender {
        library,
        store,
        program,
    };
    libraries.map(contender).collect()
}

impl Contender {
    /// Its framework's place in [`BARE`].
    pub fn framework(&self) -> usize {
        usize::from(self.program == "serve-actix-session")
    }
}

/// Where the databases are.
pub struct Databases {
    files: tempfile::TempDir,
    redis: Option<String>,
    postgres: Option<String>,
}

impl Databases {
    /// Those that `KEEP_REDIS_URL` and `KEEP_POSTGRES_URL` name, and new ones of SQLite.
    pub fn find() -> Self {
        Self {
            files: tempfile::tempdir().expect("a temporary directory"),
            redis: std::env::var("KEEP_REDIS_URL").ok(),
            postgres: std::env::var("KEEP_POSTGRES_URL").ok(),
        }
    }

    /// Where the contender's is, empty if it needs none; none if there is none.
    pub fn url(&self, contender: Contender) -> Option<String> {
        match contender.store {
            "redis" => self.redis.clone(),
            "postgres" => self.postgres.clone(),
            "sqlite" | "sqlite-normal" => {
                let file = format!("{}-{}.db", contender.library, contender.store);
                Some(format!("sqlite:{}", self.files.path().join(file).display()))
            }
            _ => Some(String::new()),
        }
    }
}

/// A server that runs until this is dropped.
pub struct Server {
    pub port: u16,
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Server {
    pub fn start(contender: Contender, url: &str) -> Self {
        let program = beside_me(contender.program);
        let mut process = Command::new(&program)
            .args([contender.store, url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{}: {error}: `benches/run` builds it", program.display())
            });
        let questions = process.stdin.take().expect("it is piped");
        let answers = BufReader::new(process.stdout.take().expect("it is piped"));
        let mut server = Self {
            port: 0,
            process,
            questions,
            answers,
        };
        server.port = server.answer();
        server
    }

    /// The CPU time that the process has taken so far.
    pub fn cpu(&mut self) -> Duration {
        self.questions.write_all(b"\n").expect("the server runs");
        Duration::from_nanos(self.answer())
    }

    fn answer<T: std::str::FromStr>(&mut self) -> T {
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the server runs");
        line.trim().parse().ok().expect("a number from the server")
    }

    /// The cookies of so many new visitors, some of whom come at the same time.
    pub async fn visitors(&self, count: usize) -> Vec<String> {
        const TOGETHER: usize = 32;
        let port = self.port;
        let share = move |first: usize| async move {
            let mut connection = Connection::open(port).await;
            let mut cookies = Vec::new();
            for _ in (first..count).step_by(TOGETHER) {
                let answer = connection.exchange(&request("/new", "")).await;
                assert_eq!(answer.status, 200, "{}", answer.body);
                cookies.push(answer.cookies());
            }
            cookies
        };
        let shares: JoinSet<_> = (0..TOGETHER.min(count)).map(share).collect();
        shares.join_all().await.concat()
    }

    /// What the visitors have counted, all together.
    pub async fn total(&self, cookies: &[String]) -> u64 {
        let mut connection = Connection::open(self.port).await;
        let mut total = 0;
        for cookies in cookies {
            let answer = connection.exchange(&request("/read", cookies)).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            total += answer.body.parse::<u64>().expect("a count");
        }
        total
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Whether it ends by itself or not, it is gone.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// The servers are built into the directory of the benchmarks.
fn beside_me(program: &str) -> PathBuf {
    let me = std::env::current_exe().expect("a path to this program");
    me.parent().unwrap_or(Path::new(".")).join(program)
}
