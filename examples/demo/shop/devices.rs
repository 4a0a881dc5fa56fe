//! "Your devices", by `tower-keep-devices`, in the shop's own layout.

use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::{RequestExt, Router};
use tower_keep::{CsrfLayer, ReadSession, SessionLayer};
use tower_keep_devices::Devices;

use super::error::AppError;
use super::pages;
use super::visitor::Visitor;

pub(crate) fn router(sessions: &SessionLayer, csrf: CsrfLayer) -> Router {
    Devices::new(sessions.sessions())
        .login_path("/login")
        .csrf(csrf)
        .layout(|page, request| {
            let visitor = request.extensions.get::<Visitor>();
            pages::devices(visitor, page).into_string()
        })
        .router()
        .layer(from_fn(know_visitor))
}

/// Has the layout know whom it is for. It shares the session that the page opens.
async fn know_visitor(mut request: Request, next: Next) -> Result<Response, Response> {
    if request.uri().path() != "/style.css" {
        let session = request.extract_parts::<Option<ReadSession>>().await;
        let session = session.map_err(IntoResponse::into_response)?;
        let visitor = session.map(|session| Visitor::of(&session)).transpose();
        let visitor = visitor.map_err(|error| AppError::from(error).into_response())?;
        if let Some(visitor) = visitor {
            request.extensions_mut().insert(visitor);
        }
    }
    Ok(next.run(request).await)
}
