//! Logging in and out.

use axum::Router;
use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;
use tower_keep::{Error, Session};

use super::error::AppError;
use super::pages;
use super::visitor::Visitor;

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
}

async fn login_form(session: Session) -> Result<Markup, AppError> {
    session.csrf_token()?;
    Ok(pages::login(&Visitor::of(&session)?, "", None))
}

#[derive(Deserialize)]
struct Login {
    name: String,
}

/// Whoever gives a name is let in: this is a demo. A real shop looks at a password before it comes
/// to `set_user`.
async fn login(
    session: Session,
    form: Result<Form<Login>, FormRejection>,
) -> Result<Response, AppError> {
    let Form(Login { name }) = form?;
    let name = name.trim();
    if name.is_empty() || name.chars().count() > pages::LONGEST_NAME {
        let problem = Some("Please give a name of 1 to 40 characters.");
        let page = pages::login(&Visitor::of(&session)?, name, problem);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    // Replaces the secret in the cookie: whoever knew the old one has nothing now. The cart stays.
    session.set_user(name)?;
    notice(&session, &format!("Welcome, {name}!"))?;
    Ok(Redirect::to("/").into_response())
}

/// Ends the session, with its sockets in the chat.
async fn logout(session: Session) -> Result<Redirect, AppError> {
    session.destroy()?;
    // What is written after the end starts a new session, here one that only says goodbye.
    notice(&session, "You are logged out, and that session is gone.")?;
    Ok(Redirect::to("/"))
}

/// Has the next page say this, once.
pub(crate) fn notice(session: &Session, text: &str) -> Result<(), Error> {
    session.flash("notice", text)
}
