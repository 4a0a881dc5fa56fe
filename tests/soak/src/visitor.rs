//! A browser, and somebody who shops with it.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::net::SocketAddr;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_keep_testkit::{Rng, TestClient};

use crate::account::Account;
use crate::latency::Latencies;
use crate::wire::Wire;

/// Who waits for longer waits in vain.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);
/// Who leaves does so after this at most.
const HASTE: Duration = Duration::from_millis(4);
const PRODUCTS: [&str; 6] = ["key", "candle", "shield", "banner", "map", "rook"];

/// Logs in, shops, logs out again some day, one request at a time. Nobody else has their session, so
/// they know what it must hold.
pub(crate) struct Visitor {
    name: String,
    address: SocketAddr,
    client: TestClient<Wire>,
    /// Of the newest page with a form.
    token: String,
    stage: Stage,
    account: Account,
    rng: Rng,
    pub(crate) tally: Tally,
}

/// What a visitor does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Arrives,
    LogsIn,
    LooksAround,
    Shops,
    ChecksOut,
    LogsOut,
}

/// What became of requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    /// Told 503.
    pub(crate) busy: u64,
    /// Told 409.
    pub(crate) refused: u64,
    /// By the visitor, in the middle.
    pub(crate) left: u64,
    /// Sessions that were ended.
    pub(crate) ended: u64,
    pub(crate) latencies: Latencies,
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.done += other.done;
        self.busy += other.busy;
        self.refused += other.refused;
        self.left += other.left;
        self.ended += other.ended;
        self.latencies.extend(other.latencies);
    }
}

/// What came of a request that was not left.
enum Answer {
    Done(String),
    /// Nothing was changed.
    Not,
    /// Nobody knows.
    Perhaps,
}

impl Visitor {
    pub(crate) fn new(number: u32, address: SocketAddr, seed: u64) -> Self {
        Self {
            name: name(number),
            address,
            client: TestClient::new(Wire::to(address)),
            token: String::new(),
            stage: Stage::Arrives,
            account: Account::default(),
            rng: Rng::new(seed ^ u64::from(number) << 32),
            tally: Tally::default(),
        }
    }

    /// Closes all connections; the session stays.
    pub(crate) fn hangs_up(&mut self) {
        let cookie = self.client.cookie("id");
        self.client = TestClient::new(Wire::to(self.address));
        if let Some(cookie) = cookie {
            self.client.set_cookie("id", &cookie);
        }
    }

    /// One request; whether its answer was waited for.
    ///
    /// # Panics
    /// If the answer is wrong.
    pub(crate) async fn goes_on(&mut self) -> bool {
        match self.stage {
            Stage::Arrives => self.sees_form("/login", Stage::LogsIn).await,
            Stage::LogsIn => {
                let fields = format!("_token={}&name={}", self.token, self.name);
                let login = form("/login", fields);
                match self.asks(login, StatusCode::SEE_OTHER).await {
                    Answer::Done(_) => self.stage = Stage::LooksAround,
                    Answer::Not => {}
                    // The cookie may be worth nothing now.
                    Answer::Perhaps => self.forgets(),
                }
            }
            Stage::LooksAround => self.sees_form("/at-once", Stage::Shops).await,
            Stage::Shops => return self.shops().await,
            Stage::ChecksOut => {
                if self.counts().await {
                    self.stage = Stage::LogsOut;
                }
            }
            Stage::LogsOut => {
                let logout = form("/logout", format!("_token={}", self.token));
                match self.asks(logout, StatusCode::SEE_OTHER).await {
                    Answer::Done(_) => {
                        self.tally.ended += 1;
                        self.account = Account::default();
                        self.stage = Stage::Arrives;
                    }
                    Answer::Not => {}
                    Answer::Perhaps => self.forgets(),
                }
            }
        }
        true
    }

    async fn shops(&mut self) -> bool {
        match self.rng.below(100) {
            0..46 => self.adds().await,
            46..60 => {
                let product = self.rng.pick(&PRODUCTS).unwrap();
                let path = format!("/cart/{product}/add");
                let request = form(&path, format!("_token={}", self.token));
                self.asks(request, StatusCode::SEE_OTHER).await;
            }
            60..72 => {
                self.asks(get("/cart"), StatusCode::OK).await;
            }
            72..82 => {
                if let Answer::Done(page) = self.asks(get("/session"), StatusCode::OK).await {
                    let own = format!("<dd>{}</dd>", self.name);
                    assert!(page.contains(&own), "{} sees {page}", self.name);
                }
            }
            82..92 => drop(self.counts().await),
            92..96 => return self.leaves().await,
            96..98 => {
                self.breaks_off().await;
                return false;
            }
            _ => self.stage = Stage::ChecksOut,
        }
        self.stage != Stage::ChecksOut
    }

    async fn adds(&mut self) {
        match self.asks(self.one_more(), StatusCode::OK).await {
            Answer::Done(added) => self.is_told(&added),
            Answer::Not => {}
            Answer::Perhaps => self.account.may_have_added(),
        }
    }

    /// Goes before the answer comes, if it does not come at once.
    async fn leaves(&mut self) -> bool {
        let span = self.rng.up_to(HASTE);
        let request = self.client.send(self.one_more());
        match timeout(span, request).await {
            Err(_) => {
                self.account.may_have_added();
                self.tally.left += 1;
                false
            }
            Ok(response) => {
                let response = read(&self.name, response).await;
                match self.judge(response, StatusCode::OK) {
                    Answer::Done(added) => self.is_told(&added),
                    Answer::Not => {}
                    Answer::Perhaps => self.account.may_have_added(),
                }
                true
            }
        }
    }

    /// Sends half of a form, for which the session is opened, and closes the connection.
    async fn breaks_off(&mut self) {
        let cookie = self.client.cookie("id").unwrap_or_default();
        let half = format!(
            "POST /cart/key/quantity HTTP/1.1\r\nHost: {}\r\nCookie: id={cookie}\r\n\
             X-CSRF-Token: {}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 10\r\n\r\nquant",
            self.address, self.token
        );
        let mut line = TcpStream::connect(self.address).await.unwrap();
        line.write_all(half.as_bytes()).await.unwrap();
        self.tally.left += 1;
    }

    fn is_told(&mut self, added: &str) {
        let added: serde_json::Value = serde_json::from_str(added).unwrap();
        let count = added["count"].as_u64().unwrap();
        let judged = self.account.added(count);
        judged.unwrap_or_else(|lost| panic!("{}: {lost}", self.name));
    }

    /// Looks at the number; whether it was shown.
    pub(crate) async fn counts(&mut self) -> bool {
        let Answer::Done(count) = self.asks(get("/at-once/count"), StatusCode::OK).await else {
            return false;
        };
        let judged = self.account.read(count.parse().unwrap());
        judged.unwrap_or_else(|lost| panic!("{}: {lost}", self.name));
        true
    }

    /// How often was surely counted in the session that there is.
    pub(crate) fn counted(&self) -> u64 {
        self.account.least()
    }

    async fn sees_form(&mut self, path: &str, next: Stage) {
        if let Answer::Done(page) = self.asks(get(path), StatusCode::OK).await {
            token(&page).clone_into(&mut self.token);
            self.stage = next;
        }
    }

    /// Begins again as a stranger.
    fn forgets(&mut self) {
        self.client.clear_cookies();
        self.account = Account::default();
        self.stage = Stage::Arrives;
    }

    fn one_more(&self) -> Request<Full<Bytes>> {
        form("/at-once/one", format!("_token={}", self.token))
    }

    async fn asks(&mut self, request: Request<Full<Bytes>>, expected: StatusCode) -> Answer {
        let line = format!("{}: {} {}", self.name, request.method(), request.uri());
        let answer = async { read(&line, self.client.send(request).await).await };
        let answer = timeout(PATIENCE, answer).await;
        let answer = answer.unwrap_or_else(|_| panic!("{line}: no answer"));
        self.judge(answer, expected)
    }

    fn judge(&mut self, answer: Response<String>, expected: StatusCode) -> Answer {
        let waited = answer.headers().contains_key(RETRY_AFTER);
        match answer.status() {
            status if status == expected => {
                self.tally.done += 1;
                Answer::Done(answer.into_body())
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                self.tally.busy += 1;
                if waited { Answer::Not } else { Answer::Perhaps }
            }
            StatusCode::CONFLICT => {
                self.tally.refused += 1;
                Answer::Not
            }
            status => panic!("{}: {status} {}", self.name, answer.body()),
        }
    }
}

/// Of the visitor of this number, who logs in by it.
pub(crate) fn name(number: u32) -> String {
    format!("visitor-{number}")
}

/// The whole answer.
pub(crate) async fn read<E: std::fmt::Debug>(
    line: &str,
    answer: Result<Response<Incoming>, E>,
) -> Response<String> {
    let (head, body) = answer
        .unwrap_or_else(|error| panic!("{line}: {error:?}"))
        .into_parts();
    let body = body
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
    Response::from_parts(head, body)
}

pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    Request::get(path).body(Full::default()).unwrap()
}

/// A form that is sent by a page of the shop.
pub(crate) fn form(path: &str, fields: String) -> Request<Full<Bytes>> {
    let request = Request::post(path).header("sec-fetch-site", "same-origin");
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    request.body(fields.into()).unwrap()
}

/// What the page's forms send back.
pub(crate) fn token(page: &str) -> &str {
    let found = page.split_once(r#"name="_token" value=""#);
    let (token, _) = found.and_then(|(_, rest)| rest.split_once('"')).unwrap();
    token
}
