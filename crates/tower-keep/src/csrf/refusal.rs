//! Why a request is refused, and what it is answered.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};

/// Why a [`CsrfLayer`](crate::CsrfLayer) has refused a request.
///
/// As a text it is what the client is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CsrfRefusal {
    /// `Sec-Fetch-Site` names another site, and no trusted origin.
    #[error("This request came from another site.")]
    CrossSite,
    /// `Origin` is `null`: the browser does not want to say where the page is from.
    #[error("This request came from a page of unknown origin.")]
    NullOrigin,
    /// `Origin` is neither the app's own nor a trusted one, or no origin at all.
    #[error("This request came from a page of another origin.")]
    ForeignOrigin,
    /// It takes a token, and there is none.
    #[error("This request carries no CSRF token. Please reload the page and try again.")]
    NoToken,
    /// It takes a token, and there is no session to compare with.
    #[error("The session is over. Please reload the page and try again.")]
    NoSession,
    /// The token is not the session's.
    #[error("The CSRF token is not valid any more. Please reload the page and try again.")]
    WrongToken,
    /// The form is larger than [`max_body`](crate::CsrfLayerBuilder::max_body).
    #[error("The form is too large.")]
    FormTooLarge,
    /// The form did not arrive whole.
    #[error("The form did not arrive whole.")]
    FormBroken,
}

impl CsrfRefusal {
    /// The status of the answer: `usual` unless it is about the form itself.
    pub(super) const fn status(self, usual: StatusCode) -> StatusCode {
        match self {
            Self::FormTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::FormBroken => StatusCode::BAD_REQUEST,
            _ => usual,
        }
    }

    pub(super) fn answer(self, usual: StatusCode) -> Response<Bytes> {
        let mut response = Response::new(Bytes::from(format!("{self}\n")));
        *response.status_mut() = self.status(usual);
        let headers = response.headers_mut();
        let text = HeaderValue::from_static("text/plain; charset=utf-8");
        headers.insert(CONTENT_TYPE, text);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}
