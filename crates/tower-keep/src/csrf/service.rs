//! The service that checks requests before another gets them.

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower_service::Service;

use super::form;
use super::refusal::CsrfRefusal;
use super::rules::{Rules, Verdict};
use crate::answer::answer;
use crate::extract::{FromHead, shared_of};
use crate::read::ReadSession;
use crate::request::{RequestHead, RequestInfo};

/// The service that a [`CsrfLayer`](super::CsrfLayer) makes of another.
#[derive(Clone)]
pub struct CsrfService<S> {
    inner: S,
    rules: Arc<Rules>,
}

impl<S> CsrfService<S> {
    pub(super) const fn new(inner: S, rules: Arc<Rules>) -> Self {
        Self { inner, rules }
    }
}

impl<S, RequestBody, ResponseBody> Service<Request<RequestBody>> for CsrfService<S>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>> + Clone,
    RequestBody: Body + From<Bytes> + Send + 'static,
    ResponseBody: From<Bytes>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CsrfFuture<S, RequestBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<RequestBody>) -> Self::Future {
        let head = RequestHead::of(&request);
        let state = match self.rules.judge(&head) {
            Verdict::Pass => State::Running {
                future: self.inner.call(request),
            },
            Verdict::Refuse(refusal) => State::Refused {
                answer: Some(self.rules.answer(refusal, &head)),
            },
            Verdict::AskToken => {
                // The one that was polled ready serves this request, its clone the next.
                let next = self.inner.clone();
                State::Checking {
                    inner: std::mem::replace(&mut self.inner, next),
                    check: Box::pin(check(self.rules.clone(), request)),
                }
            }
        };
        CsrfFuture { state }
    }
}

/// The request as it came, or the answer to it if its token is not the session's.
async fn check<B>(rules: Arc<Rules>, request: Request<B>) -> Result<Request<B>, Response<Bytes>>
where
    B: Body + From<Bytes> + Send + 'static,
{
    let (parts, mut body) = request.into_parts();
    let head = RequestHead::from(&parts);
    let refuse = |refusal| rules.answer(refusal, &head);
    let given = match form::in_headers(&parts.headers) {
        Some(given) => Some(given),
        None if form::is_form(&parts.headers) => {
            let form = form::whole(body, rules.max_body).await.map_err(refuse)?;
            let given = form::in_form(&form);
            body = B::from(form);
            given.map(Cow::Owned)
        }
        None => None,
    };
    let given = given.ok_or_else(|| refuse(CsrfRefusal::NoToken))?;
    let verified = match ReadSession::resume(&head, rules.key).await {
        Ok(Some(session)) => session.verify_csrf_token(&given),
        Ok(None) => return Err(refuse(CsrfRefusal::NoSession)),
        Err(error) => Err(error),
    };
    match verified {
        Ok(true) => Ok(Request::from_parts(parts, body)),
        Ok(false) => Err(refuse(CsrfRefusal::WrongToken)),
        Err(error) => {
            let shared = shared_of(&parts.extensions, rules.key);
            Err(answer(&error, shared, Some(&RequestInfo::from(&head))))
        }
    }
}

type Check<B> = Pin<Box<dyn Future<Output = Result<Request<B>, Response<Bytes>>> + Send>>;

pin_project! {
    /// The response of a [`CsrfService`].
    pub struct CsrfFuture<S, B>
    where
        S: Service<Request<B>>,
    {
        #[pin]
        state: State<S, S::Future, B>,
    }
}

pin_project! {
    #[project = Projected]
    enum State<S, F, B> {
        /// The token is looked for and compared; `inner` was polled ready.
        Checking { check: Check<B>, inner: S },
        Running { #[pin] future: F },
        Refused { answer: Option<Response<Bytes>> },
    }
}

impl<S, RequestBody, ResponseBody> Future for CsrfFuture<S, RequestBody>
where
    S: Service<Request<RequestBody>, Response = Response<ResponseBody>>,
    ResponseBody: From<Bytes>,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let next = match state.as_mut().project() {
                Projected::Running { future } => return future.poll(cx),
                Projected::Refused { answer } => {
                    // Without one it was polled after its end.
                    return match answer.take() {
                        Some(answer) => Poll::Ready(Ok(answer.map(ResponseBody::from))),
                        None => Poll::Pending,
                    };
                }
                Projected::Checking { check, inner } => match ready!(check.as_mut().poll(cx)) {
                    Ok(request) => State::Running {
                        future: inner.call(request),
                    },
                    Err(answer) => State::Refused {
                        answer: Some(answer),
                    },
                },
            };
            state.set(next);
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for CsrfService<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

impl<S: Service<Request<B>>, B> fmt::Debug for CsrfFuture<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsrfFuture").finish_non_exhaustive()
    }
}
