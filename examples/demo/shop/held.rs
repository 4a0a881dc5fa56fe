//! What the session holds, shown without touching it.

use axum::Router;
use axum::routing::get;
use maud::Markup;
use tower_keep::ReadSession;

use super::error::AppError;
use super::pages;
use super::visitor::Visitor;

pub(crate) fn routes() -> Router {
    Router::new().route("/session", get(held))
}

/// A `ReadSession` takes no lock and uses nothing up, not even the flash message.
async fn held(session: ReadSession) -> Result<Markup, AppError> {
    let visitor = Visitor {
        notice: None,
        ..Visitor::of(&session)?
    };
    Ok(pages::held(&visitor, &session)?)
}
