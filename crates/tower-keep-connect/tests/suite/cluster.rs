//! A cluster of one node.

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tower_keep_connect::{ConnectError, StoreConfig};

use crate::session::is_shared;

/// Runs a server that has all slots until standard input ends, which it does however the test
/// process ends.
const KEEPER: &str = r#"
redis-cli --version >/dev/null || exit 1
redis-server --bind 127.0.0.1 --port "$1" --dir "$2" --save '' --cluster-enabled yes \
    --unixsocket "$2/socket" >"$2/log" 2>&1 &
pid=$!
until redis-cli -p "$1" cluster addslots $(seq 0 16383) 2>&1 | grep -q OK; do
    kill -0 $pid 2>/dev/null || exit 1
    sleep 0.05
done
until redis-cli -p "$1" cluster info 2>&1 | grep -q cluster_state:ok; do
    kill -0 $pid 2>/dev/null || exit 1
    sleep 0.05
done
echo ready
exec >/dev/null
read -r _
kill $pid
wait $pid
"#;

struct Node {
    port: u16,
    keeper: Child,
    dir: TempDir,
}

impl Node {
    /// Another process may take the port first.
    fn start() -> Self {
        let started = (0..3).find_map(|_| Self::start_on(free_port()));
        started.unwrap_or_else(|| panic!("no cluster: are redis-server and redis-cli installed?"))
    }

    fn start_on(port: u16) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh", &port.to_string()])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut node = Self {
            port,
            keeper: keeper.unwrap(),
            dir,
        };
        let mut said = String::new();
        let stdout = node.keeper.stdout.as_mut().unwrap();
        stdout.read_to_string(&mut said).unwrap();
        (said == "ready\n").then_some(node)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// One to which 10000 can be added: nodes talk to each other there.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        if port < 50_000 {
            return port;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_cluster_keeps_sessions() {
    let node = Node::start();
    let port = node.port;
    let url = format!("redis+cluster://127.0.0.1:{port},localhost:{port}");
    let [one, other] = ["", "/"].map(|end| StoreConfig::new(format!("{url}{end}")));
    assert!(is_shared(&one, &other).await);
    assert!(!is_shared(&one, &other.prefix("other:")).await);
    // This node alone has every session.
    let socket = node.dir.path().join("socket");
    let socket = StoreConfig::new(format!("redis+unix://{}", socket.display()));
    assert!(is_shared(&one, &socket).await);
    // The user is passed on: this server knows none.
    let url = format!("redis+cluster://nobody:pass-123@127.0.0.1:{port}");
    let refused = StoreConfig::new(url).connect().await.unwrap_err();
    assert!(matches!(refused, ConnectError::Store { .. }), "{refused:?}");
}

#[tokio::test]
async fn a_cluster_has_hosts_and_no_numbered_databases() {
    for (url, has_hosts) in [
        ("redis+cluster://a:1,b:2/3", true),
        ("redis+cluster://a:1,b:port", true),
        ("redis+cluster:a:1", false),
        ("redis+cluster://", false),
        ("redis+cluster://a:1,,b:2", false),
        ("redis+cluster://user:pass@", false),
    ] {
        let error = StoreConfig::new(url).connect().await.unwrap_err();
        let fits = match error {
            ConnectError::InvalidUrl { .. } => has_hosts,
            ConnectError::Missing { .. } => !has_hosts,
            _ => false,
        };
        assert!(fits, "{url}: {error:?}");
    }
}
