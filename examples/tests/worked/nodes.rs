//! The program itself, several times, on the Redis that `KEEP_REDIS_URL` names.

use std::process::Stdio;

use axum::body::Body;
use http::Request;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tower::service_fn;
use tower_keep_testkit::TestClient;

use crate::COOKIE;

/// One node, on a port of its own; it ends with the test at the latest.
struct Node {
    process: Child,
    url: String,
}

impl Node {
    async fn start() -> Self {
        let redis = std::env::var("KEEP_REDIS_URL");
        let redis = redis.expect("KEEP_REDIS_URL names no server: ./test.sh starts one");
        // Cargo builds the examples of a package before it runs its tests.
        let test = std::env::current_exe().unwrap();
        let program = test.ancestors().nth(2).unwrap().join("examples/nodes");
        let mut command = Command::new(program);
        command.args(["127.0.0.1:0", &redis]);
        command.stdout(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = output.next_line().await.unwrap().unwrap();
        let url = line.strip_prefix("listening on ").unwrap().to_owned();
        Self { process, url }
    }

    /// Sends a request with this cookie; what was answered, and the cookie afterwards.
    async fn get(&self, path: &str, cookie: Option<&str>) -> (u16, String, Option<String>) {
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let url = self.url.clone();
        let browser = TestClient::with_body(service_fn(move |mut request: Request<Body>| {
            *request.uri_mut() = format!("{url}{}", request.uri()).parse().unwrap();
            client.request(request)
        }));
        if let Some(cookie) = cookie {
            browser.set_cookie(COOKIE, cookie);
        }
        let answer = browser.get(path).await;
        let status = answer.status().as_u16();
        (status, answer.text(), browser.cookie(COOKIE))
    }
}

#[tokio::test]
async fn f5_several_nodes_on_redis() {
    let (a, b, c) = tokio::join!(Node::start(), Node::start(), Node::start());
    let mut nodes = [a, b, c];
    let (status, first, cookie) = nodes[0].get("/", None).await;
    assert_eq!(status, 200, "{first}");
    assert!(first.starts_with("visit 1, at 127.0.0.1:"), "{first}");
    let cookie = cookie.as_deref();

    // The next node sees what this one did.
    let (_, second, _) = nodes[1].get("/", cookie).await;
    let before = nodes[0].url.strip_prefix("http://").unwrap();
    assert!(second.starts_with("visit 2, ") && second.ends_with(&format!("before at {before}\n")));

    // Thirty at once, on all of them.
    let all = (0..30).map(|number| nodes[number % 3].get("/", cookie));
    for (status, text, _) in futures_util::future::join_all(all).await {
        assert_eq!(status, 200, "{text}");
    }
    assert_eq!(nodes[2].get("/look", cookie).await.1, "32");

    // A node dies; the session does not.
    nodes[0].process.kill().await.unwrap();
    assert_eq!(nodes[1].get("/look", cookie).await.1, "32");
    let (_, last, _) = nodes[2].get("/", cookie).await;
    assert!(last.starts_with("visit 33, "), "{last}");
    assert_eq!(nodes[1].get("/health", None).await.0, 200);
}
