//! Servers for tests.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use tower_keep_core::CommitId;

/// Starts the server, and stops it by the signal that it reads. When standard input ends, which it
/// does however the test process ends, it also removes the directory.
const KEEPER: &str = r#"
port=$1 dir=$2
shift 2
redis-server --bind 127.0.0.1 --port "$port" --dir "$dir" --save '' "$@" >>"$dir/log" 2>&1 &
pid=$!
echo $pid
exec >/dev/null
trap '' INT
read -r signal || { signal=TERM; end=yes; }
kill -"$signal" $pid 2>/dev/null
kill -CONT $pid 2>/dev/null
wait $pid
[ -z "$end" ] || rm -rf "$dir"
exit 0
"#;

/// A `redis-server` of its own.
#[derive(Debug)]
pub(crate) struct Server {
    keeper: Child,
    pid: u32,
    port: u16,
    dir: PathBuf,
    args: Vec<String>,
}

impl Server {
    /// Starts one on a free port, with further arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        let dir = std::env::temp_dir().join(format!("keep-redis-{:?}", CommitId::unique()));
        let args: Vec<_> = args.iter().map(ToString::to_string).collect();
        let mut log = String::new();
        for _ in 0..3 {
            match Self::start_on(free_port(), &dir, &args) {
                Ok(server) => return server,
                Err(why) => log = why,
            }
        }
        panic!(
            "redis-server does not start: is it installed and on the PATH? ./test.sh installs it \
             where it can; or name a server in KEEP_REDIS_URL\n{log}"
        );
    }

    fn start_on(port: u16, dir: &Path, args: &[String]) -> Result<Self, String> {
        std::fs::create_dir_all(dir).unwrap();
        let mut keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", &port.to_string()])
            .arg(dir)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pid = String::new();
        let mut stdout = keeper.stdout.take().unwrap();
        stdout.read_to_string(&mut pid).unwrap();
        let server = Self {
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

    /// Waits until this very server answers, and not another that took the port first.
    fn is_up(&self) -> bool {
        let end = Instant::now() + Duration::from_secs(20);
        let own = format!("process_id:{}\r\n", self.pid);
        while Instant::now() < end && Path::new(&format!("/proc/{}", self.pid)).exists() {
            if info(self.port).is_some_and(|info| info.contains(&own)) {
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
        *self = Self::start_on(self.port, &dir, &self.args).unwrap();
    }

    /// Waits until a replica has caught up.
    pub(crate) async fn has_replica(&self) {
        let mut client = self.client().await;
        let mut wait = redis::cmd("WAIT");
        wait.arg(1).arg(100);
        while wait.query_async::<u64>(&mut client).await.unwrap() < 1 {}
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(crate) async fn client(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).unwrap();
        client.get_multiplexed_async_connection().await.unwrap()
    }

    /// How often each command was called since the start, by the scripts too.
    pub(crate) async fn calls(&self) -> BTreeMap<String, u64> {
        let mut client = self.client().await;
        let info: String = redis::cmd("INFO")
            .arg("commandstats")
            .query_async(&mut client)
            .await
            .unwrap();
        let line = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            Some((name.to_owned(), rest.split(',').next()?.parse().ok()?))
        };
        info.lines().filter_map(line).collect()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
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

fn info(port: u16) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
    stream.write_all(b"INFO server\r\nQUIT\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
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
