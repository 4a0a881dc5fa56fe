//! What can go wrong, and the page that says so.

use axum::body::Body;
use axum::extract::rejection::FormRejection;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use tower_keep::CsrfRefusal;

use super::pages;

/// Why a handler has no page to show. As a response it is a page of its own; with a status of 500
/// or above nothing that the handler did to the session is saved.
#[derive(Debug)]
pub(crate) enum AppError {
    NotFound,
    /// No page of the shop sends such a form.
    Form(FormRejection),
    Session(tower_keep::Error),
}

impl From<FormRejection> for AppError {
    fn from(rejection: FormRejection) -> Self {
        Self::Form(rejection)
    }
}

impl From<tower_keep::Error> for AppError {
    fn from(error: tower_keep::Error) -> Self {
        Self::Session(error)
    }
}

impl IntoResponse for AppError {
    fn into_response(self) -> Response {
        let page = match self {
            Self::NotFound => page(
                StatusCode::NOT_FOUND,
                "There is nothing here",
                "The address may be mistyped, or what was here is sold out.",
            ),
            Self::Form(rejection) => page(
                rejection.status(),
                "That form was not understood",
                "Please go back and try once more.",
            ),
            Self::Session(error) => session_error(&error),
        };
        page.map(Body::from)
    }
}

/// The page for a session that could not be opened or saved. The layer shows it too, by
/// `on_error`, where no handler is there to do so.
pub(crate) fn session_error(error: &tower_keep::Error) -> http::Response<Bytes> {
    let status = error.status();
    let (title, advice) = match status {
        StatusCode::CONFLICT => (
            "Something came between",
            "You logged in or out in another tab while this page was on its way. Nothing was \
             changed; please try again.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "The shop is busy",
            "Your cart is safe, but cannot be reached right now. Please try again in a moment.",
        ),
        _ => (
            "Something went wrong",
            "It is our fault, and nothing was changed.",
        ),
    };
    // The visitor is told what to do, the log is told what happened.
    if status.is_server_error() {
        tracing::error!(%error, "a session failed");
    }
    let mut response = page(status, title, advice);
    retry_after(response.headers_mut(), error);
    response
}

/// The page for a form, or a socket, that may not come from the shop.
pub(crate) fn refused(refusal: CsrfRefusal) -> http::Response<Bytes> {
    let status = match refusal {
        CsrfRefusal::FormTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        CsrfRefusal::FormBroken => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    page(status, "That was not done", &refusal.to_string())
}

fn retry_after(headers: &mut HeaderMap, error: &tower_keep::Error) {
    if let Some(span) = error.retry_after() {
        headers.insert(RETRY_AFTER, span.as_secs().max(1).into());
    }
}

fn page(status: StatusCode, title: &str, advice: &str) -> http::Response<Bytes> {
    let html = pages::error(status, title, advice).into_string();
    let mut response = http::Response::new(Bytes::from(html));
    *response.status_mut() = status;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    response
}
