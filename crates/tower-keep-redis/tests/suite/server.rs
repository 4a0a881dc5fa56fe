//! Servers for tests.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tower_keep_core::CommitId;

/// Starts the server, and stops it by the signal that it reads. When standard input ends, which it
/// does however the test process ends, it also removes the directory.
const KEEPER: &str = r#"
dir=$1
shift
redis-server "$@" >>"$dir/log" 2>&1 &
pid=$!
echo $pid
exec >/dev/null
trap '' INT TERM HUP
read -r signal || { signal=TERM; end=yes; }
kill -"$signal" $pid 2>/dev/null
kill -CONT $pid 2>/dev/null
wait $pid
[ -z "$end" ] || rm -rf "$dir"
exit 0
"#;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    /// Its port is for TLS alone.
    Tls,
    Sentinel,
}

/// A `redis-server` of its own.
#[derive(Debug)]
pub(crate) struct Server {
    kind: Kind,
    keeper: Child,
    pid: u32,
    port: u16,
    dir: PathBuf,
    /// Or, of a sentinel, the lines of its file.
    args: Vec<String>,
}

impl Server {
    /// Starts one on a free port, with further arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_kind(Kind::Plain, args)
    }

    /// As [`start`](Self::start), with its port for TLS.
    #[cfg(feature = "tls")]
    pub(crate) fn start_tls(args: &[&str]) -> Self {
        Self::start_kind(Kind::Tls, args)
    }

    /// Starts a sentinel with these lines in its file.
    #[cfg(feature = "sentinel")]
    pub(crate) fn start_sentinel(lines: &[&str]) -> Self {
        Self::start_kind(Kind::Sentinel, lines)
    }

    fn start_kind(kind: Kind, args: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("keep-redis-{:?}", CommitId::unique()));
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let mut log = String::new();
        for _ in 0..3 {
            match Self::start_on(kind, free_port(), &dir, &args) {
                Ok(server) => return server,
                Err(why) => log = why,
            }
        }
        panic!(
            "redis-server does not start: is it installed and on the PATH? ./test.sh installs it \
             where it can; or name a server in KEEP_REDIS_URL\n{log}"
        );
    }

    fn start_on(kind: Kind, port: u16, dir: &Path, args: &[String]) -> Result<Self, String> {
        std::fs::create_dir_all(dir).unwrap();
        let mut keeper = Command::new("sh");
        keeper.args(["-c", KEEPER, "sh"]).arg(dir);
        if kind == Kind::Sentinel {
            let file = dir.join("sentinel.conf");
            std::fs::write(&file, args.join("\n")).unwrap();
            keeper.arg(file).arg("--sentinel");
        }
        if kind == Kind::Tls {
            keeper.args(["--port", "0", "--tls-port", &port.to_string()]);
        } else {
            keeper.args(["--port", &port.to_string()]);
        }
        keeper.args(["--bind", "127.0.0.1", "--save", "", "--dir"]);
        keeper.arg(dir).arg("--unixsocket").arg(dir.join("socket"));
        if kind != Kind::Sentinel {
            keeper.args(args);
        }
        let mut keeper = keeper
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        let mut stdout = keeper.stdout.take().unwrap();
        stdout.read_to_string(&mut pid).unwrap();
        let server = Self {
            kind,
            keeper,
            pid: pid.trim().parse().unwrap(),
            port,
            dir: dir.to_owned(),
            args: args.to_vec(),
        };
        if server.is_up() {
            return Ok(server);
        }
        Err(std::fs::read_to_string(dir.join("log")).unwrap_or_default())
    }

    /// Waits until it answers. It ends by itself if another one took the port first.
    fn is_up(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        let alive = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while Instant::now() < end && alive() {
            if answers(&self.dir.join("socket")) {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Has it stand still (`STOP`) or go on (`CONT`).
    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.pid.to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Ends it by this signal, without removing its files.
    pub(crate) fn stop(&mut self, signal: &str) {
        let mut stdin = self.keeper.stdin.take().unwrap();
        writeln!(stdin, "{signal}").unwrap();
        self.keeper.wait().unwrap();
    }

    /// Starts it again after [`stop`](Self::stop), on the same port and files.
    pub(crate) fn start_again(&mut self) {
        // Taken, so that it stays when the old value is dropped.
        let dir = std::mem::take(&mut self.dir);
        *self = Self::start_on(self.kind, self.port, &dir, &self.args).unwrap();
    }

    /// Waits until so many replicas have caught up.
    pub(crate) async fn has_replicas(&self, count: u64) {
        let mut client = self.client().await;
        let mut wait = redis::cmd("WAIT");
        wait.arg(count).arg(100);
        while wait.query_async::<u64>(&mut client).await.unwrap() < count {}
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// A connection that has answered. One that is closed meanwhile, as sentinels do with a server
    /// whose part they change, is opened again.
    pub(crate) async fn client(&self) -> MultiplexedConnection {
        let socket = self.dir.join("socket");
        let client = redis::Client::open(format!("unix://{}", socket.display())).unwrap();
        let mut tries = 0;
        loop {
            match client.get_multiplexed_async_connection().await {
                Ok(connection) => return connection,
                Err(error) if tries < 100 && error.is_connection_dropped() => tries += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// How often each command was called since the start, by the scripts too.
    pub(crate) async fn calls(&self) -> BTreeMap<String, u64> {
        let mut info = redis::cmd("INFO");
        info.arg("commandstats");
        let mut tries = 0;
        let info: String = loop {
            match info.query_async(&mut self.client().await).await {
                Ok(info) => break info,
                Err(error) if tries < 100 && error.is_connection_dropped() => tries += 1,
                Err(error) => panic!("{error}"),
            }
        };
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        info.lines().filter_map(line).collect()
    }

    pub(crate) fn url(&self) -> String {
        let scheme = if self.kind == Kind::Tls {
            "rediss"
        } else {
            "redis"
        };
        format!("{scheme}://127.0.0.1:{}/", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.keeper.stdin.take().is_some() {
            let _ = self.keeper.wait();
        } else {
            let _ = std::fs::remove_dir_all(&self.dir);
        }
    }
}

fn answers(socket: &Path) -> bool {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        stream.write_all(b"PING\r\n")?;
        stream.read_exact(&mut [0])
    };
    ask().is_ok()
}

/// The nodes of a cluster take the port that is 10,000 higher too.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 55_000 {
            return port;
        }
    }
}

/// The server that tests share which leave its settings alone.
pub(crate) fn shared_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    static SERVER: OnceLock<Server> = OnceLock::new();
    URL.get_or_init(|| match std::env::var("KEEP_REDIS_URL") {
        Ok(url) if !url.is_empty() => url,
        _ => SERVER.get_or_init(|| Server::start(&[])).url(),
    })
}

/// A prefix that no other test has.
pub(crate) fn prefix() -> String {
    format!("test-{:?}:", CommitId::unique())
}
