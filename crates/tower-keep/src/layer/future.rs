//! The way of a response through the layer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use pin_project_lite::pin_project;

use crate::answer::replace;
use crate::slot::{Ending, Outcome, Slot};

pin_project! {
    /// The response of a [`SessionService`](super::SessionService).
    ///
    /// It is ready when the session's changes are saved. Dropped before that, it discards them.
    pub struct ResponseFuture<F, B> {
        #[pin]
        inner: F,
        state: State<B>,
    }
}

enum State<B> {
    /// The inner service is at work; dropping this ends its session.
    Running(Option<Open>),
    /// Its response waits for the commit.
    Committing(
        Option<Response<B>>,
        Pin<Box<dyn Future<Output = Outcome> + Send>>,
        Open,
    ),
    Done,
}

/// A slot whose request is under way.
pub(super) struct Open(pub(super) Arc<Slot>);

impl Drop for Open {
    fn drop(&mut self) {
        // After its end there is nothing left to discard.
        self.0.discard();
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(super) const fn new(inner: F, open: Option<Open>) -> Self {
        Self {
            inner,
            state: State::Running(open),
        }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<Bytes>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        if let State::Running(open) = this.state {
            // An `Err` discards, by dropping `open` with the state.
            let answer = ready!(this.inner.poll(cx));
            let open = open.take();
            *this.state = State::Done;
            let (Ok(response), Some(open)) = (&answer, open) else {
                return Poll::Ready(answer);
            };
            match open.0.end(response.status()) {
                Ending::Untouched => return Poll::Ready(answer),
                Ending::Now(outcome) => {
                    return Poll::Ready(answer.map(|response| finish(response, outcome, &open.0)));
                }
                Ending::Soon(commit) => {
                    *this.state = State::Committing(answer.ok(), commit, open);
                }
            }
        }
        if let State::Committing(response, commit, open) = this.state {
            let outcome = ready!(commit.as_mut().poll(cx));
            let finished = response
                .take()
                .map(|response| finish(response, outcome, &open.0));
            *this.state = State::Done;
            if let Some(response) = finished {
                return Poll::Ready(Ok(response));
            }
        }
        // Polled after its end.
        Poll::Pending
    }
}

/// What the session's end makes of the response.
fn finish<B: From<Bytes>>(mut response: Response<B>, outcome: Outcome, slot: &Slot) -> Response<B> {
    if let Some(error) = &outcome.error {
        response = replace(response, error, &slot.shared, outcome.info.as_deref());
    }
    let headers = response.headers_mut();
    let carrier = &slot.shared.carrier;
    carrier.vary(headers);
    slot.tell_moved(headers, outcome.cookie.is_some());
    if let Some(token) = outcome.cookie {
        carrier.apply(headers, token);
    }
    response
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.state {
            State::Running(_) => "running",
            State::Committing(..) => "committing",
            State::Done => "done",
        };
        f.debug_struct("ResponseFuture")
            .field("state", &state)
            .finish_non_exhaustive()
    }
}
