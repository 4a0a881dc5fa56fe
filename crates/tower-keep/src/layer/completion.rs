//! Handlers that run to their end, even when the client leaves.

use std::fmt;
use std::future::Future;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use tokio::task::JoinHandle;
use tower_layer::Layer;
use tower_service::Service;

use crate::lock::Tasks;

/// Runs what is inside of it to its end, even when the client leaves or a timeout outside drops
/// the request; made by [`SessionLayer::run_to_completion`](super::SessionLayer::run_to_completion).
///
/// Put it *around* the session layer, so that the commit belongs to what is completed. Each
/// request then is a task of its own, for which the service's futures must be `Send + 'static`, as
/// axum's are; [`SessionLayer::shutdown`](super::SessionLayer::shutdown) waits for them too.
#[derive(Debug, Clone)]
pub struct CompletionLayer {
    tasks: Arc<Tasks>,
}

impl CompletionLayer {
    pub(super) const fn new(tasks: Arc<Tasks>) -> Self {
        Self { tasks }
    }
}

impl<S> Layer<S> for CompletionLayer {
    type Service = CompletionService<S>;

    fn layer(&self, inner: S) -> CompletionService<S> {
        let tasks = self.tasks.clone();
        CompletionService { inner, tasks }
    }
}

/// The service that a [`CompletionLayer`] makes of another.
#[derive(Debug, Clone)]
pub struct CompletionService<S> {
    inner: S,
    tasks: Arc<Tasks>,
}

impl<S, Request> Service<Request> for CompletionService<S>
where
    S: Service<Request>,
    S::Future: Send + 'static,
    S::Response: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = CompletionFuture<S::Future, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let inner = self.inner.call(request);
        match self.tasks.admit() {
            Ok(admitted) => CompletionFuture::Task {
                task: admitted.spawn(inner),
            },
            Err(_) => CompletionFuture::Here { inner },
        }
    }
}

pin_project! {
    /// The response of a [`CompletionService`].
    #[project = Projected]
    pub enum CompletionFuture<F, T> {
        /// On its way in a task of its own.
        #[doc(hidden)]
        Task { task: JoinHandle<T> },
        /// On its way here: there is no runtime to give it to, or it is shutting down.
        #[doc(hidden)]
        Here {
            #[pin]
            inner: F,
        },
    }
}

impl<F: Future<Output = T>, T> Future for CompletionFuture<F, T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        match self.project() {
            Projected::Here { inner } => inner.poll(cx),
            Projected::Task { task } => match Pin::new(task).poll(cx) {
                Poll::Ready(Ok(answer)) => Poll::Ready(answer),
                Poll::Ready(Err(failed)) => match failed.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    // Cancelled with its runtime, and this future is about to be as well.
                    Err(_) => Poll::Pending,
                },
                Poll::Pending => Poll::Pending,
            },
        }
    }
}

impl<F, T> fmt::Debug for CompletionFuture<F, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompletionFuture").finish_non_exhaustive()
    }
}
