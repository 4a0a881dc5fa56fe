//! One call to a store, which may fail, panic or never answer.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tower_keep_core::{StoreError, StoreErrorKind};

/// Makes of every way in which a call can go wrong a [`StoreError`].
pub(crate) async fn call<T>(
    limit: Duration,
    verb: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(limit, Caught { verb }).await {
        Ok(answer) => answer,
        Err(_) => Err(StoreError::new(
            StoreErrorKind::Unavailable,
            format!("no answer within {limit:?}"),
        )),
    }
}

pin_project_lite::pin_project! {
    struct Caught<F> {
        #[pin]
        verb: F,
    }
}

impl<T, F: Future<Output = Result<T, StoreError>>> Future for Caught<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let verb = self.project().verb;
        // After a panic the future is dropped and never polled again.
        catch_unwind(AssertUnwindSafe(|| verb.poll(cx))).unwrap_or_else(|_| {
            Poll::Ready(Err(StoreError::new(
                StoreErrorKind::Unavailable,
                "the store panicked",
            )))
        })
    }
}
