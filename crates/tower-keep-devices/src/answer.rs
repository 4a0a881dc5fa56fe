//! How requests are answered.

use axum::body::Body;
use axum::response::{IntoResponse, Redirect, Response};
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue, VARY, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{Method, StatusCode};
use serde::Serialize;
use tower_keep::{CsrfRefusal, Error, RequestHead, SessionId, SessionRejection};

use crate::devices::Config;
use crate::negotiate::wants_json;
use crate::page::POLICY;

/// In which form a request wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Page,
    Json,
}

impl Format {
    /// No form of a page sends `DELETE`.
    pub(crate) fn of(method: &Method, headers: &http::HeaderMap) -> Self {
        if *method == Method::DELETE || wants_json(headers) {
            Self::Json
        } else {
            Self::Page
        }
    }
}

/// Why a request does not get what it wants.
pub(crate) enum Refusal {
    NotLoggedIn,
    /// The user must prove again who they are, at this path.
    NotFresh(String),
    /// The session could not be opened.
    Session(SessionRejection),
    Other(Error),
}

impl From<SessionRejection> for Refusal {
    fn from(rejection: SessionRejection) -> Self {
        Self::Session(rejection)
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl Refusal {
    pub(crate) fn answer(self, config: &Config, request: &Parts) -> Response {
        match (self, Format::of(&request.method, &request.headers)) {
            (Self::NotLoggedIn, Format::Page) => login(config),
            (Self::NotLoggedIn, Format::Json) => {
                let told = Told::error("not_logged_in").at(&config.login_path);
                json(StatusCode::UNAUTHORIZED, &told)
            }
            (Self::NotFresh(path), Format::Page) => Redirect::to(&path).into_response(),
            (Self::NotFresh(path), Format::Json) => {
                json(StatusCode::FORBIDDEN, &Told::error("not_fresh").at(&path))
            }
            (Self::Other(Error::NotFound), Format::Json) => {
                json(StatusCode::NOT_FOUND, &Told::error("not_found"))
            }
            (Self::Session(rejection), _) => rejection.into_response(),
            // As the layer's own, shaped by the app's `on_error`.
            (Self::Other(error), _) => error.replace(Response::new(Body::empty()), request),
        }
    }
}

/// What a check of the token refuses: to scripts in their own words, to people in the usual ones.
pub(crate) fn refusal<B: From<String>>(
    refusal: CsrfRefusal,
    request: &RequestHead<'_>,
) -> http::Response<B> {
    let (kind, text) = match Format::of(request.method, request.headers) {
        Format::Page => ("text/plain; charset=utf-8", format!("{refusal}\n")),
        Format::Json => {
            let told = Told {
                message: Some(refusal.to_string()),
                ..Told::error("csrf")
            };
            ("application/json", text_of(&told))
        }
    };
    let mut response = http::Response::new(B::from(text));
    *response.status_mut() = match refusal {
        CsrfRefusal::FormTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        CsrfRefusal::FormBroken => StatusCode::BAD_REQUEST,
        _ => StatusCode::FORBIDDEN,
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// What JSON says where there is no list.
#[derive(Serialize)]
struct Told<'a> {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    login: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

impl<'a> Told<'a> {
    const fn error(error: &'static str) -> Self {
        Self {
            error,
            login: None,
            message: None,
        }
    }

    fn at(self, login: &'a str) -> Self {
        Self {
            login: Some(login),
            ..self
        }
    }
}

pub(crate) fn login(config: &Config) -> Response {
    Redirect::to(&config.login_path).into_response()
}

pub(crate) fn ended(ids: &[SessionId]) -> Response {
    #[derive(Serialize)]
    struct Ended {
        ended: Vec<String>,
    }
    let ended = ids.iter().map(SessionId::to_string).collect();
    json(StatusCode::OK, &Ended { ended })
}

pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let kind = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, kind)], text_of(value)).into_response()
}

/// Texts, numbers and lists of them: there is always JSON for these.
fn text_of(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// A page. With the app's own layout its policy is the app's own too.
pub(crate) fn page(status: StatusCode, (html, is_own): (String, bool)) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    let mut response = (status, [(CONTENT_TYPE, kind)], html).into_response();
    if !is_own {
        let policy = HeaderValue::from_static(POLICY);
        response
            .headers_mut()
            .insert(CONTENT_SECURITY_POLICY, policy);
    }
    response
}

/// What every answer says that shows a session or speaks of one.
pub(crate) async fn careful(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.append(VARY, HeaderValue::from_static("accept"));
    response
}
