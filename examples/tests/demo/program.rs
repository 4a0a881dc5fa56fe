//! The program, and those who visit it.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tower::{Service, service_fn};
use tower_keep_testkit::{TestClient, TestResponse};

/// The program as it is started without further ado, except for the port and the directory.
pub(crate) fn demo(dir: &Path, arguments: &[&str]) -> Command {
    // Cargo builds the examples of a package before it runs its tests.
    let test = std::env::current_exe().unwrap();
    let program = test.ancestors().nth(2).unwrap().join("examples/demo");
    let mut demo = Command::new(program);
    demo.args(["--port", "0"]).args(arguments).current_dir(dir);
    demo.stdout(Stdio::piped()).kill_on_drop(true);
    demo
}

/// The program, on ports of its own; it ends with the test at the latest.
pub(crate) struct Shop {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    /// Of its nodes.
    pub(crate) addresses: Vec<SocketAddr>,
    /// Where it keeps its sessions.
    pub(crate) dir: Arc<TempDir>,
}

impl Shop {
    pub(crate) async fn open() -> Self {
        Self::open_in(Arc::new(TempDir::new().unwrap()), &[]).await
    }

    pub(crate) async fn open_in(dir: Arc<TempDir>, arguments: &[&str]) -> Self {
        let mut process = demo(dir.path(), arguments).spawn().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut addresses = Vec::new();
        let last = loop {
            let line = output.next_line().await.unwrap().unwrap();
            match line.strip_prefix("listening on http://") {
                Some(address) => addresses.push(address.parse().unwrap()),
                None => break line,
            }
        };
        let store = last.strip_prefix("sessions are kept in ").unwrap();
        if !arguments.contains(&"--store") {
            assert_eq!(store, "sqlite:keep.db");
        }
        Self {
            process,
            output,
            addresses,
            dir,
        }
    }

    pub(crate) fn visitor(&self) -> Visitor<impl Browser> {
        self.visitor_of(0)
    }

    /// A visitor of this node, counted from 0.
    pub(crate) fn visitor_of(&self, node: usize) -> Visitor<impl Browser> {
        let address = self.addresses[node];
        let client = Client::builder(TokioExecutor::new()).build_http();
        let client = TestClient::new(service_fn(move |mut request: Request<Full<Bytes>>| {
            let url = format!("http://{address}{}", request.uri());
            *request.uri_mut() = url.parse().unwrap();
            client.request(request)
        }));
        Visitor {
            client,
            token: Arc::default(),
        }
    }

    pub(crate) async fn signal(&self, name: &str) {
        let id = self.process.id().unwrap().to_string();
        let mut kill = Command::new("kill");
        assert!(kill.args([name, &id]).status().await.unwrap().success());
    }

    pub(crate) async fn says(&mut self) -> String {
        self.output.next_line().await.unwrap().unwrap()
    }

    pub(crate) async fn ends(mut self) -> ExitStatus {
        self.process.wait().await.unwrap()
    }
}

pub(crate) trait Browser:
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
pub(crate) struct Visitor<S> {
    pub(crate) client: TestClient<S>,
    /// Of the last page that had a form.
    token: Arc<Mutex<String>>,
}

impl<S: Browser> Visitor<S> {
    pub(crate) async fn sees(&self, path: &str) -> String {
        let page = self.client.get(path).await;
        assert_eq!(page.status(), StatusCode::OK, "{path}: {page:?}");
        let page = page.text();
        if let Some(token) = token(&page) {
            token.clone_into(&mut self.token.lock().unwrap());
        }
        page
    }

    /// Sends a form, which must be answered with a redirect.
    pub(crate) async fn sends(&self, path: &str, fields: &str) -> TestResponse {
        let answer = self.form(path, fields).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}: {answer:?}");
        answer
    }

    /// Sends a form as it is on the last page that had one, or on the login page.
    pub(crate) async fn form(&self, path: &str, fields: &str) -> TestResponse {
        let token = self.token().await;
        let fields = format!("_token={token}&{fields}");
        let answer = self.plain_form(path, &fields).await;
        if matches!(path, "/login" | "/logout") {
            // Which makes the pages before it old.
            self.token.lock().unwrap().clear();
        }
        answer
    }

    /// Sends a form with these fields and no other.
    pub(crate) async fn plain_form(&self, path: &str, fields: &str) -> TestResponse {
        let kind = "application/x-www-form-urlencoded";
        // As browsers do; it would be enough for a shop that does not want the token.
        let request = Request::post(path).header("sec-fetch-site", "same-origin");
        let request = request.header(CONTENT_TYPE, kind);
        let body = fields.to_owned().into();
        self.client.request(request.body(body).unwrap()).await
    }

    /// What its forms send back.
    pub(crate) async fn token(&self) -> String {
        if self.token.lock().unwrap().is_empty() {
            self.sees("/login").await;
        }
        self.token.lock().unwrap().clone()
    }

    pub(crate) fn cookie(&self) -> Option<String> {
        self.client.cookie("id")
    }

    /// Somebody with a copy of this one's cookie.
    pub(crate) fn fork(&self) -> Self {
        Self {
            client: self.client.fork(),
            token: Arc::default(),
        }
    }
}

fn token(page: &str) -> Option<&str> {
    let (_, rest) = page.split_once(r#"name="_token" value=""#)?;
    Some(rest.split_once('"')?.0)
}
