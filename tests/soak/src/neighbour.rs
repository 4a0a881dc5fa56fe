//! A hostile neighbour: one session, held for as long as may be by forms that do not come to their
//! end, and five hundred requests that want it.

use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tower_keep_testkit::TestClient;
use tower_service::Service;

use crate::account::Account;
use crate::load::Answered;
use crate::program::Program;
use crate::visitor::{PATIENCE, form, get, read, token};
use crate::wire::Wire;

/// How many may wait for one session, `LockConfig::max_waiting`: the demo has the default.
const MAX_WAITING: u64 = 64;
/// How long the session is held before those who wait get it.
const HELD: Duration = Duration::from_millis(500);
/// Whoever was answered comes again after this, which is what the refused are told.
const AGAIN: Duration = Duration::from_secs(1);
/// Who waits in vain does so for `LockConfig::wait`, 15 s, from its arrival; on a machine so slow that
/// this matters a part of that goes by on the way. Only then is there room for another one.
const IN_VAIN: Duration = Duration::from_secs(5);
/// What the program's log says of who waited in vain.
const GAVE_UP: &str = "did not become free in time";

#[derive(Debug, Clone)]
pub(crate) struct Neighbour {
    address: SocketAddr,
    cookie: String,
    token: String,
    told: Crowd,
}

/// What a crowd was told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Crowd {
    /// Got the session.
    pub(crate) served: u64,
    /// Told 503, and when to come again.
    pub(crate) refused: u64,
    /// Told 503 because the store failed, so nobody knows.
    pub(crate) perhaps: u64,
    /// Told 409.
    pub(crate) conflicts: u64,
}

impl Crowd {
    fn all(&self) -> u64 {
        self.served + self.refused + self.perhaps + self.conflicts
    }

    fn add(&mut self, other: Self) {
        self.served += other.served;
        self.refused += other.refused;
        self.perhaps += other.perhaps;
        self.conflicts += other.conflicts;
    }

    /// # Panics
    /// If it is no answer that a request for a taken session may have.
    fn hears(&mut self, answer: &Response<String>) {
        let after = answer.headers().get(RETRY_AFTER);
        match answer.status() {
            StatusCode::OK | StatusCode::SEE_OTHER => self.served += 1,
            StatusCode::SERVICE_UNAVAILABLE if after.is_some() => {
                assert_eq!(after, Some(&HeaderValue::from_static("1")));
                self.refused += 1;
            }
            StatusCode::SERVICE_UNAVAILABLE => self.perhaps += 1,
            StatusCode::CONFLICT => self.conflicts += 1,
            status => panic!("the neighbour is told {status}: {}", answer.body()),
        }
    }
}

impl Neighbour {
    pub(crate) async fn enters(address: SocketAddr) -> Self {
        let client = TestClient::new(Wire::to(address));
        let page = read("the neighbour", client.send(get("/at-once")).await).await;
        Self {
            address,
            cookie: client.cookie("id").unwrap(),
            token: token(page.body()).to_owned(),
            told: Crowd::default(),
        }
    }

    /// While the session is held, a crowd wants it at once, each of them once. Those beyond the
    /// limit are refused while it is still held, and those who wait get it then.
    ///
    /// # Panics
    /// If more wait than may.
    pub(crate) async fn at_the_door(&mut self, crowd: usize, program: &Program) -> Crowd {
        let start = Instant::now();
        let holder = self.takes().await.expect("nobody has it");
        let wire = Wire::to(self.address);
        let mut asking = JoinSet::new();
        for _ in 0..crowd {
            let (wire, request) = (wire.clone(), self.one_more());
            asking.spawn(async move { ask(wire, request).await });
        }
        let mut told = Crowd::default();
        let crowd = u64::try_from(crowd).unwrap();
        while told.all() < crowd - MAX_WAITING {
            told.hears(&asking.join_next().await.unwrap().unwrap());
            assert_eq!(told.served, 0, "two have the session");
        }
        told.hears(&self.lets_go(holder).await);
        while let Some(answer) = asking.join_next().await {
            told.hears(&answer.unwrap());
        }
        let (in_vain, span) = (program.has_told(GAVE_UP), start.elapsed());
        let rooms = MAX_WAITING * (1 + span.as_secs() / IN_VAIN.as_secs());
        assert!(
            told.served + in_vain <= 1 + rooms,
            "more wait than may: {told:?}, {in_vain} in vain, in {span:?}"
        );
        self.told.add(told);
        told
    }

    /// Keeps a crowd at the session, which is held most of the time: so many wait for it as may, all
    /// others are refused, and everybody comes again.
    pub(crate) async fn stays(
        &mut self,
        crowd: usize,
        until: Instant,
        answered: &Answered,
    ) -> Crowd {
        let wire = Wire::to(self.address);
        let mut asking = JoinSet::new();
        for number in 0..crowd {
            let (neighbour, wire, answered) = (self.clone(), wire.clone(), answered.clone());
            // Not all in the same moment of each second.
            let offset = AGAIN * u32::try_from(number).unwrap() / u32::try_from(crowd).unwrap();
            asking.spawn(async move {
                sleep(offset).await;
                neighbour.asks_until(wire, until, &answered).await
            });
        }
        let mut told = Crowd::default();
        while Instant::now() < until {
            let Some(holder) = self.takes().await else {
                sleep(HELD / 10).await;
                continue;
            };
            sleep(HELD).await;
            told.hears(&self.lets_go(holder).await);
        }
        while let Some(one) = asking.join_next().await {
            told.add(one.unwrap());
        }
        self.told.add(told);
        told
    }

    async fn asks_until(&self, wire: Wire, until: Instant, answered: &Answered) -> Crowd {
        let mut told = Crowd::default();
        while Instant::now() < until {
            let answer = ask(wire.clone(), self.one_more()).await;
            told.hears(&answer);
            answered.fetch_add(1, Ordering::Relaxed);
            sleep(AGAIN).await;
        }
        told
    }

    /// Whether all is counted that was acknowledged, here too.
    pub(crate) async fn all_is_there(&self) {
        let mut wire = Wire::to(self.address);
        let start = Instant::now();
        let shown = loop {
            let mut request = get("/at-once/count");
            self.identify(&mut request);
            let answer = read("the neighbour", wire.call(request).await).await;
            if answer.status() == StatusCode::OK {
                break answer.into_body();
            }
            // Connections that were killed show once each.
            assert!(start.elapsed() < PATIENCE, "the store does not answer");
        };
        let mut account = Account::new(self.told.served, self.told.perhaps);
        let judged = account.read(shown.parse().unwrap());
        judged.unwrap_or_else(|lost| panic!("the neighbour: {lost}"));
    }

    fn one_more(&self) -> Request<Full<Bytes>> {
        let mut request = form("/at-once/one", format!("_token={}", self.token));
        self.identify(&mut request);
        request
    }

    fn identify(&self, request: &mut Request<Full<Bytes>>) {
        let cookie = format!("id={}", self.cookie).parse().unwrap();
        request.headers_mut().insert("cookie", cookie);
    }

    /// Sends a form but for its fields: the session is held until they come. `None` if it was not to
    /// be had.
    async fn takes(&self) -> Option<TcpStream> {
        let head = format!(
            "POST /at-once HTTP/1.1\r\nHost: {}\r\nCookie: id={}\r\nX-CSRF-Token: {}\r\n\
             Expect: 100-continue\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: 7\r\nConnection: close\r\n\r\n",
            self.address, self.cookie, self.token
        );
        let mut line = TcpStream::connect(self.address).await.unwrap();
        line.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 25];
        // Comes when the handler, which has the session by then, wants the form.
        let told = timeout(PATIENCE, line.read_exact(&mut answer)).await;
        told.expect("an answer").unwrap();
        (&answer == b"HTTP/1.1 100 Continue\r\n\r\n").then_some(line)
    }

    /// Sends the fields.
    async fn lets_go(&self, mut line: TcpStream) -> Response<String> {
        line.write_all(b"times=1").await.unwrap();
        let mut answer = String::new();
        let told = timeout(PATIENCE, line.read_to_string(&mut answer)).await;
        told.expect("an answer").unwrap();
        let status = answer
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let mut told = Response::new(answer.clone());
        *told.status_mut() = status.unwrap_or_else(|| panic!("the neighbour hears {answer}"));
        told
    }
}

async fn ask(mut wire: Wire, request: Request<Full<Bytes>>) -> Response<String> {
    let answer = async { read("the neighbour", wire.call(request).await).await };
    let answer = timeout(PATIENCE, answer).await;
    answer.expect("none hangs")
}
