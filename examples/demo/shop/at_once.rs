//! Fifty requests at once, each of which adds one to a number in the session.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, State};
use axum::response::Redirect;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderMap, HeaderValue, ORIGIN,
    VARY,
};
use maud::Markup;
use serde::{Deserialize, Serialize};
use tower_keep::{ReadSession, Session};

use super::error::AppError;
use super::pages;
use super::site::Site;
use super::visitor::Visitor;

/// So many are sent.
pub(crate) const FIFTY: u8 = 50;

pub(crate) fn routes(site: Site) -> Router {
    Router::new()
        .route("/at-once", get(page).post(add_many))
        .route("/at-once/count", get(count))
        .route("/at-once/one", post(add_one))
        .with_state(site)
}

async fn page(session: Session, State(site): State<Site>) -> Result<Markup, AppError> {
    session.csrf_token()?;
    let count = session.get_or_default("at_once")?;
    Ok(pages::at_once(&Visitor::of(&session)?, &site, count))
}

/// The number alone, for the script.
async fn count(session: ReadSession) -> Result<Json<i64>, AppError> {
    Ok(Json(session.get_or("at_once", 0)?))
}

/// What one of the script's requests has done.
#[derive(Debug, Serialize)]
struct Added {
    /// Where, counted from 1.
    node: usize,
    count: i64,
}

/// `increment` on a session that is this request's alone, on whichever node it came to.
async fn add_one(
    session: Session,
    State(site): State<Site>,
    headers: HeaderMap,
) -> Result<(HeaderMap, Json<Added>), AppError> {
    let count = session.increment("at_once", 1)?;
    let node = site.number();
    Ok((readable(&site, &headers), Json(Added { node, count })))
}

/// Lets the pages of the other nodes read the answer (CORS). The request itself was let through by
/// the CSRF check, which trusts the same origins.
fn readable(site: &Site, request: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = request.get(ORIGIN).filter(|origin| site.has(origin)) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("true"),
        );
    }
    headers
}

#[derive(Deserialize)]
struct Many {
    times: u8,
}

/// Without JavaScript: one request for all.
async fn add_many(
    session: Session,
    form: Result<Form<Many>, FormRejection>,
) -> Result<Redirect, AppError> {
    let Form(Many { times }) = form?;
    session.increment("at_once", times.min(FIFTY).into())?;
    Ok(Redirect::to("/at-once"))
}
