//! A server and the sentinel that watches it.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tower_keep_connect::{ConnectError, StoreConfig};

use crate::session::is_shared;

/// Runs both until standard input ends, which it does however the test process ends.
const KEEPER: &str = r#"
redis-server --bind 127.0.0.1 --port "$1" --dir "$3" --save '' --requirepass pass-123 \
    >"$3/log" 2>&1 &
server=$!
cat >"$3/sentinel.conf" <<END
bind 127.0.0.1
port $2
dir $3
sentinel monitor shop 127.0.0.1 $1 1
sentinel auth-pass shop pass-123
END
redis-server "$3/sentinel.conf" --sentinel >"$3/sentinel.log" 2>&1 &
sentinel=$!
until redis-cli -p "$2" sentinel get-master-addr-by-name shop 2>&1 | grep -q "$1" &&
    redis-cli -p "$1" -a pass-123 ping 2>&1 | grep -q PONG; do
    kill -0 $server 2>/dev/null && kill -0 $sentinel 2>/dev/null || exit 1
    sleep 0.05
done
echo ready
exec >/dev/null
read -r _
kill $sentinel $server
wait
"#;

struct Watched {
    port: u16,
    keeper: Child,
    _dir: TempDir,
}

impl Watched {
    /// Another process may take a port first.
    fn start() -> Self {
        let started = (0..3).find_map(|_| Self::start_on(free_port(), free_port()));
        started.unwrap_or_else(|| panic!("no sentinel: are redis-server and redis-cli installed?"))
    }

    fn start_on(server: u16, port: u16) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", &server.to_string(), &port.to_string()])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut watched = Self {
            port,
            keeper: keeper.unwrap(),
            _dir: dir,
        };
        let mut said = String::new();
        let stdout = watched.keeper.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        (said == "ready\n").then_some(watched)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_sentinel_keeps_sessions() {
    let watched = Watched::start();
    let port = watched.port;
    let url = |password, path| {
        let url = format!("redis+sentinel://:{password}@127.0.0.1:{port},localhost:{port}{path}");
        StoreConfig::new(url)
    };
    let one = url("pass-123", "/shop");
    assert!(is_shared(&one, &url("pass-123", "/shop/0")).await);
    // Password and database are the primary's.
    assert!(!is_shared(&one, &url("pass-123", "/shop/1")).await);
    for refused in [url("wrong", "/shop"), url("pass-123", "/nobody")] {
        let error = refused.connect().await.unwrap_err();
        assert!(matches!(error, ConnectError::Store { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_sentinel_needs_hosts_and_a_service() {
    for url in [
        "redis+sentinel://",
        "redis+sentinel://a:1,b:2",
        "redis+sentinel://a:1/",
        "redis+sentinel://a:1,,b:2/shop",
        "redis+sentinel:shop",
    ] {
        let error = StoreConfig::new(url).connect().await.unwrap_err();
        let missing = matches!(error, ConnectError::Missing { .. });
        assert!(missing, "{url}: {error:?}");
    }
}
