//! What axum's extractors are refused with.

use std::any::TypeId;
use std::fmt;

use bytes::Bytes;
use http::Response;

use crate::answer::answer;
use crate::error::Error;
use crate::extract::shared_of;
use crate::request::{RequestHead, RequestInfo};

/// A session could not be opened: the [`Error`], with the answer that the layer was told to give
/// to it.
///
/// As an extractor's rejection it answers by itself. A handler that can go on without a session
/// takes `Result<Session, SessionRejection>`.
#[derive(Debug)]
pub struct SessionRejection {
    error: Error,
    shaped: Option<Box<Response<Bytes>>>,
}

impl SessionRejection {
    pub(crate) fn new(error: Error, head: &RequestHead<'_>, key: TypeId) -> Self {
        let shared = shared_of(head.extensions, key);
        let answered = shared
            .filter(|shared| shared.on_error.is_some())
            .map(|_| Box::new(answer(&error, shared, Some(&RequestInfo::from(head)))));
        Self {
            error,
            shaped: answered,
        }
    }

    /// What went wrong.
    pub const fn error(&self) -> &Error {
        &self.error
    }

    pub(crate) fn into_answer(self) -> Response<Bytes> {
        match self.shaped {
            Some(response) => *response,
            None => answer(&self.error, None, None),
        }
    }
}

impl From<SessionRejection> for Error {
    fn from(rejection: SessionRejection) -> Self {
        rejection.error
    }
}

impl fmt::Display for SessionRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for SessionRejection {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.error)
    }
}
