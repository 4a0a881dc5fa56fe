//! Notes the previous URL by itself.

use std::any::TypeId;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, RANGE};
use http::uri::PathAndQuery;
use http::{Method, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::debug;

use super::{ENTRY, checked, note, previous};
use crate::error::Error;
use crate::extract::{MainKey, slot_of};
use crate::request::RequestHead;
use crate::slot::{Identity, Mode, Slot, Source};

/// A page whose handler only reads is not worth more waiting than this.
const PATIENCE: Duration = Duration::from_millis(100);

/// Notes each page that a visitor loads as the [previous URL](crate::ReadSession::previous_url) of
/// their session. To be put inside of the session layer.
///
/// A page is what a browser shows in its window: the answer to a `GET` request, successful (2xx)
/// and HTML, no download, no prefetch, no request of a script (`X-Requested-With: XMLHttpRequest`,
/// a `Sec-Fetch-Mode` or `Sec-Fetch-Dest` other than `navigate` and `document`, the header fields of
/// htmx, Turbo and pjax) and no part of a file (`Range`).
///
/// What it costs depends on what the page's handler does:
///
/// | The handler | The URL is noted |
/// |---|---|
/// | takes a `Session` | in the same commit |
/// | takes a `ReadSession` | if it is another one than before, by a commit of its own before the response; if the session is in use, that is waited for 100 ms, then it is not noted |
/// | takes none | not at all: such a page stays free. An [`EagerLayer`](crate::EagerLayer) around this one makes every page one that reads |
///
/// It never starts a session, uses up no flash messages, and a page never fails because of it.
///
/// ```
/// use axum::{Router, response::{Html, Redirect}, routing::{get, post}};
/// use tower_keep::{Error, MemoryStore, PreviousUrlLayer, ReadSession, Session, SessionLayer};
///
/// async fn article(session: ReadSession) -> Html<&'static str> {
///     Html("<form method=post action=/like>…</form>")
/// }
///
/// async fn like(session: Session) -> Result<Redirect, Error> {
///     session.increment("likes", 1)?;
///     Ok(Redirect::to(session.previous_url()?.as_deref().unwrap_or("/")))
/// }
///
/// let app: Router = Router::new()
///     .route("/article/{id}", get(article))
///     .route("/like", post(like))
///     .layer(PreviousUrlLayer::new())
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PreviousUrlLayer {
    key: TypeId,
}

impl Default for PreviousUrlLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl PreviousUrlLayer {
    /// For the session of the layer without a key.
    pub fn new() -> Self {
        Self::keyed::<MainKey>()
    }

    /// For the session of the layer with the [key](crate::SessionLayerBuilder::key) `K`.
    pub fn keyed<K: 'static>() -> Self {
        let key = TypeId::of::<K>();
        Self { key }
    }
}

impl<S> Layer<S> for PreviousUrlLayer {
    type Service = PreviousUrlService<S>;

    fn layer(&self, inner: S) -> PreviousUrlService<S> {
        let key = self.key;
        PreviousUrlService { inner, key }
    }
}

/// The service that a [`PreviousUrlLayer`] makes of another.
#[derive(Debug, Clone)]
pub struct PreviousUrlService<S> {
    inner: S,
    key: TypeId,
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for PreviousUrlService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = PreviousUrlFuture<S::Future, ResponseBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let page = Page::of(&RequestHead::of(&request), self.key);
        PreviousUrlFuture {
            inner: self.inner.call(request),
            state: State::Running(page),
        }
    }
}

pin_project! {
    /// The response of a [`PreviousUrlService`].
    pub struct PreviousUrlFuture<F, B> {
        #[pin]
        inner: F,
        state: State<B>,
    }
}

enum State<B> {
    Running(Option<Page>),
    /// The response waits until its page is noted.
    Noting(
        Option<Response<B>>,
        Pin<Box<dyn Future<Output = ()> + Send>>,
    ),
}

impl<F, B, E> Future for PreviousUrlFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let State::Running(page) = this.state {
            let answer = ready!(this.inner.poll(cx));
            let (Ok(response), Some(page)) = (&answer, page.take()) else {
                return Poll::Ready(answer);
            };
            let noting = is_shown(response).then(|| page.note()).flatten();
            let Some((slot, identity)) = noting else {
                return Poll::Ready(answer);
            };
            let noting = Box::pin(page.note_apart(slot, identity));
            *this.state = State::Noting(answer.ok(), noting);
        }
        if let State::Noting(response, noting) = this.state {
            ready!(noting.as_mut().poll(cx));
            if let Some(response) = response.take() {
                return Poll::Ready(Ok(response));
            }
        }
        // Polled after its end.
        Poll::Pending
    }
}

impl<F, B> fmt::Debug for PreviousUrlFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PreviousUrlFuture").finish_non_exhaustive()
    }
}

/// A request that may load a page.
struct Page {
    slot: Arc<Slot>,
    url: PathAndQuery,
}

impl Page {
    fn of(head: &RequestHead<'_>, key: TypeId) -> Option<Self> {
        if head.method != Method::GET || head.only_peeks() || is_partial(head) {
            return None;
        }
        let url = head.uri.path_and_query()?;
        checked(url.as_str()).ok()?;
        let slot = slot_of(head.extensions, key)?.clone();
        let url = url.clone();
        Some(Self { slot, url })
    }

    /// Notes the page in what the request itself commits, or tells which session it is to be noted
    /// in apart from that.
    fn note(&self) -> Option<(Arc<Slot>, Identity)> {
        let url = self.url.as_str();
        let noted = self.slot.write(|work| {
            if work.will_be_saved() {
                note(&mut work.edit, url)?;
                work.wrote_system(ENTRY);
            }
            Ok(())
        });
        // The lease is held: waiting for it would be waiting for oneself.
        if noted.is_ok() || self.slot.holds_lease() {
            return None;
        }
        let is_noted = self
            .slot
            .read(|work| previous(&work.edit).as_deref() == Some(url));
        // An error says that nobody has asked for the session.
        if is_noted.unwrap_or(true) {
            return None;
        }
        let identity = self.slot.identity()?;
        let (shared, arrived) = (self.slot.shared.clone(), self.slot.arrived);
        let slot = Arc::new(Slot::without_response(shared, arrived));
        Some((slot, identity))
    }

    fn note_apart(
        &self,
        slot: Arc<Slot>,
        identity: Identity,
    ) -> impl Future<Output = ()> + Send + use<> {
        let url = self.url.clone();
        async move {
            if let Err(error) = note_within_patience(&slot, identity, url.as_str()).await {
                debug!(%error, "a previous URL was not noted");
            }
        }
    }
}

async fn note_within_patience(
    slot: &Arc<Slot>,
    identity: Identity,
    url: &str,
) -> Result<(), Error> {
    {
        // Whoever drops this gives up its place in the queue.
        let mut opening = pin!(slot.open(slot, Mode::Write, Source::Bound(identity)));
        if slot.shared.is_local() {
            // Either it is free, or somebody has it; no timer is needed to tell.
            let first = poll_fn(|cx| Poll::Ready(opening.as_mut().poll(cx)));
            match first.await {
                Poll::Ready(opened) => opened?,
                Poll::Pending => return Err(Error::LockTimeout),
            }
        } else {
            let opened = tokio::time::timeout(PATIENCE, opening).await;
            opened.map_err(|_| Error::LockTimeout)??;
        }
    }
    slot.write(|work| Ok(note(&mut work.edit, url)?))?;
    slot.commit_without_response().await
}

/// Whether it is for something else than a whole page in the browser's window.
fn is_partial(head: &RequestHead<'_>) -> bool {
    let is = |name: &str, value: &str| {
        let given = head.headers.get(name);
        given.map(|given| given.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
    };
    // The browsers inside of Android apps name the app in `X-Requested-With`.
    is("x-requested-with", "XMLHttpRequest") == Some(true)
        || is("sec-fetch-mode", "navigate") == Some(false)
        || is("sec-fetch-dest", "document") == Some(false)
        || ["hx-request", "turbo-frame", "x-pjax"]
            .iter()
            .any(|name| head.headers.contains_key(*name))
        || head.headers.contains_key(RANGE)
}

/// Whether a browser shows it as a page.
fn is_shown<B>(response: &Response<B>) -> bool {
    let text = |name| response.headers().get(name).and_then(|v| v.to_str().ok());
    let starts = |text: Option<&str>, with: &str| {
        let start = text.and_then(|text| text.get(..with.len()));
        start.is_some_and(|start| start.eq_ignore_ascii_case(with))
    };
    let kind = text(CONTENT_TYPE);
    response.status().is_success()
        && (starts(kind, "text/html") || starts(kind, "application/xhtml+xml"))
        && !starts(text(CONTENT_DISPOSITION), "attachment")
}
