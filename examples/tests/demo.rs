//! The demo as its visitors meet it: the real program, over real HTTP.

#![cfg(unix)]
#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what cannot be done in a test fails the test"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tower::{Service, service_fn};
use tower_keep_testkit::{TestClient, TestResponse};

const FORM: &str = "application/x-www-form-urlencoded";

/// The program as it is started without further ado, except for the port and the directory.
fn demo(dir: &Path, arguments: &[&str]) -> Command {
    // Cargo builds the examples of a package before it runs its tests.
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/demo");
    let mut demo = Command::new(program);
    demo.args(["--port", "0"]).args(arguments).current_dir(dir);
    demo.stdout(Stdio::piped()).kill_on_drop(true);
    demo
}

/// The program, on a port of its own; it ends with the test at the latest.
struct Shop {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    address: SocketAddr,
    /// Where it keeps its sessions.
    dir: Arc<TempDir>,
}

impl Shop {
    async fn open() -> Self {
        Self::open_in(Arc::new(TempDir::new().unwrap())).await
    }

    async fn open_in(dir: Arc<TempDir>) -> Self {
        let mut process = demo(dir.path(), &[]).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = output.next_line().await.unwrap().unwrap();
        let address = line.strip_prefix("listening on http://").unwrap();
        let mut shop = Self {
            process,
            output,
            address: address.parse().unwrap(),
            dir,
        };
        assert_eq!(shop.says().await, "sessions are kept in sqlite:keep.db");
        shop
    }

    fn visitor(&self) -> Visitor<impl Browser> {
        let (client, address) = (Client::builder(TokioExecutor::new()), self.address);
        let client = client.build_http();
        Visitor(TestClient::new(service_fn(
            move |mut request: Request<Full<Bytes>>| {
                let url = format!("http://{address}{}", request.uri());
                *request.uri_mut() = url.parse().unwrap();
                client.request(request)
            },
        )))
    }

    async fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args([name, &id]).status().await.unwrap().success());
    }

    async fn says(&mut self) -> String {
        self.output.next_line().await.unwrap().unwrap()
    }

    async fn ends(mut self) -> ExitStatus {
        self.process.wait().await.unwrap()
    }
}

trait Browser:
    Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = Error, Future: Send>
    + Clone
    + Send
    + Sync
    + 'static
{
}

impl<S> Browser for S where
    S: Service<Request<Full<Bytes>>, Response = Response<Incoming>, Error = Error, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static
{
}

#[derive(Clone)]
struct Visitor<S>(TestClient<S>);

impl<S: Browser> Visitor<S> {
    async fn sees(&self, path: &str) -> String {
        let page = self.0.get(path).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}: {page:?}");
        page.text()
    }

    /// Sends a form, which must be answered with a redirect.
    async fn sends(&self, path: &str, fields: &'static str) -> TestResponse {
        let answer = self.form(path, fields).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}: {answer:?}");
        answer
    }

    async fn form(&self, path: &str, fields: &'static str) -> TestResponse {
        let request = Request::post(path).header(CONTENT_TYPE, FORM);
        self.0.request(request.body(fields.into()).unwrap()).await
    }

    fn cookie(&self) -> Option<String> {
        self.0.cookie("id")
    }
}

#[tokio::test]
async fn visits_are_counted() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    assert!(ann.sees("/").await.contains("your first visit"));
    assert!(ann.sees("/").await.contains("<strong>2</strong> times"));
    let bob = shop.visitor();
    assert!(bob.sees("/").await.contains("your first visit"));
    assert!(ann.sees("/").await.contains("<strong>3</strong> times"));
}

#[tokio::test]
async fn the_cart_is_filled_changed_and_emptied() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    assert!(ann.sees("/cart").await.contains("It is empty"));
    assert_eq!(ann.cookie(), None, "looking starts no session");

    ann.sends("/cart/key/add", "").await;
    ann.sends("/cart/key/add", "").await;
    ann.sends("/cart/map/add", "").await;
    let cart = ann.sees("/cart").await;
    assert!(cart.contains("Iron key") && cart.contains("Map of the realm"));
    assert!(cart.contains("<strong>€27.00</strong>"), "{cart}");

    let answer = ann.sends("/cart/key/quantity", "quantity=5").await;
    assert_eq!(answer.header(LOCATION), Some("/cart"));
    assert!(ann.sees("/cart").await.contains("<strong>€40.50</strong>"));
    ann.sends("/cart/key/quantity", "quantity=4000000000").await;
    assert!(ann.sees("/cart").await.contains("<strong>€463.50</strong>"));

    ann.sends("/cart/key/remove", "").await;
    ann.sends("/cart/map/quantity", "quantity=0").await;
    assert!(ann.sees("/cart").await.contains("It is empty"));
}

#[tokio::test]
async fn what_is_not_there_or_not_understood_has_a_page() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    for (path, fields, status) in [
        ("/cart/dragon/add", "", StatusCode::NOT_FOUND),
        (
            "/cart/key/quantity",
            "quantity=-1",
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        ("/login", "name=++", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let page = ann.form(path, fields).await;
        assert_eq!(page.status(), status, "{path}");
        assert!(page.text().contains("The Keep Shop"), "{path}");
    }
    assert_eq!(ann.cookie(), None);
}

#[tokio::test]
async fn a_flash_message_is_shown_once() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/rook/add", "").await;
    let message = "Chess rook is in your cart.";
    // This page only looks.
    assert!(ann.sees("/session").await.contains(message));
    assert!(ann.sees("/").await.contains(message));
    assert!(!ann.sees("/").await.contains(message));
}

#[tokio::test]
async fn a_login_replaces_the_cookie_and_keeps_the_cart() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/shield/add", "").await;
    let thief = Visitor(ann.0.fork());
    let before = ann.cookie();
    assert!(thief.sees("/cart").await.contains("Oak shield"));

    ann.sends("/login", "name=Ann").await;
    assert!(ann.cookie().is_some());
    assert_ne!(ann.cookie(), before);
    let front = ann.sees("/").await;
    assert!(front.contains("Welcome, Ann!") && front.contains("Good to see you, Ann"));
    assert!(ann.sees("/cart").await.contains("Oak shield"));

    assert_eq!(thief.cookie(), before);
    assert!(thief.sees("/cart").await.contains("It is empty"));
    assert!(!thief.sees("/session").await.contains("Ann"));
}

#[tokio::test]
async fn a_logout_ends_the_session_for_everybody_who_has_its_cookie() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sends("/cart/banner/add", "").await;
    ann.sends("/login", "name=Ann").await;
    let copy = Visitor(ann.0.fork());
    assert!(copy.sees("/cart").await.contains("Silk banner"));

    ann.sends("/logout", "").await;
    assert_ne!(ann.cookie(), copy.cookie());
    let front = ann.sees("/").await;
    assert!(front.contains("You are logged out") && front.contains("your first visit"));
    for visitor in [&ann, &copy] {
        assert!(visitor.sees("/cart").await.contains("It is empty"));
        assert!(!visitor.sees("/session").await.contains("Ann"));
    }
}

#[tokio::test]
async fn clicks_that_come_at_once_are_all_counted() {
    let shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sees("/").await;
    let mut clicks = JoinSet::new();
    for _ in 0..50 {
        let tab = ann.clone();
        clicks.spawn(async move { tab.sends("/clicks", "times=1").await });
    }
    clicks.join_all().await;
    assert_eq!(ann.sees("/clicks").await, "50");
    ann.sends("/clicks", "times=10").await;
    assert_eq!(ann.sees("/clicks").await, "60");
}

#[tokio::test]
async fn a_request_under_way_is_finished_before_the_end() {
    let mut shop = Shop::open().await;
    let mut connection = TcpStream::connect(shop.address).await.unwrap();
    let head = "POST /cart/key/quantity HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\n\
                Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 10\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    // Comes when the handler, which has the session by then, wants the form.
    let mut go_on = [0; 25];
    connection.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");
    // A connection without a request holds up nobody.
    let _idle = TcpStream::connect(shop.address).await.unwrap();

    shop.signal("-TERM").await;
    assert_eq!(shop.says().await, "draining");
    connection.write_all(b"quantity=3").await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert!(answer.contains("set-cookie: id="), "{answer}");

    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));
}

#[tokio::test]
async fn ctrl_c_is_an_orderly_end() {
    let mut shop = Shop::open().await;
    let ann = shop.visitor();
    ann.sees("/").await;
    shop.signal("-INT").await;
    assert_eq!(shop.says().await, "draining");
    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));
}

#[tokio::test]
async fn a_cart_is_still_there_after_a_restart() {
    let mut shop = Shop::open().await;
    let (ann, dir) = (shop.visitor(), shop.dir.clone());
    ann.sends("/cart/key/add", "").await;
    ann.sends("/login", "name=Ann").await;
    shop.signal("-INT").await;
    assert_eq!(shop.says().await, "draining");
    assert_eq!(shop.says().await, "drained");
    assert_eq!(shop.ends().await.code(), Some(0));

    let shop = Shop::open_in(dir).await;
    let back = shop.visitor();
    back.0.set_cookie("id", &ann.cookie().unwrap());
    assert!(back.sees("/cart").await.contains("Iron key"));
    assert!(back.sees("/session").await.contains("Ann"));
}

/// The exit code of a demo that cannot open, and what it says.
async fn refuses(url: &str) -> (Option<i32>, String) {
    let dir = TempDir::new().unwrap();
    let output = demo(dir.path(), &["--store", url]).output();
    let output = timeout(Duration::from_mins(1), output).await;
    let output = output.unwrap_or_else(|_| panic!("it opened on {url}"));
    let output = output.unwrap();
    assert!(output.stdout.is_empty());
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("pass-123"), "{told}");
    (output.status.code(), told)
}

#[tokio::test]
async fn a_store_that_is_none_is_a_mistake_of_the_caller() {
    for (url, why) in [
        ("sqllite:keep.db", "no store has the scheme `sqllite`"),
        ("keep.db", "must begin with its scheme"),
        ("sqlite:", "lacks a path"),
        ("postgres://ann:pass-123@/shop", "lacks a host"),
        ("memory:keep", "nothing comes behind"),
    ] {
        let (code, told) = refuses(url).await;
        assert_eq!(code, Some(2), "{url}: {told}");
        assert!(told.starts_with("error: --store: "), "{told}");
        assert!(told.contains(why), "{told}");
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_reached_is_told_with_the_reason() {
    let (code, told) = refuses("redis://ann:pass-123@127.0.0.1:1").await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("the connection to Redis failed"), "{told}");
}
