//! The shop: which address does what to the session.
//!
//! Pages are shown by GET and changes are made by POST, which answers with a redirect to a page
//! (303), so that reloading never does anything twice. What was done is told by a flash message.

use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Router, http::StatusCode};
use maud::Markup;
use serde::Deserialize;
use tower_keep::cookie::CookieConfig;
use tower_keep::{Error, LayerConfigError, ReadSession, Session, SessionLayer, SessionStore};

use crate::cart::{self, Cart};
use crate::catalogue::{self, Product};
use crate::error::{AppError, session_error};
use crate::pages::{self, Visitor};
use crate::web;

/// The layer that gives every request its session.
pub(crate) fn sessions(store: impl SessionStore) -> Result<SessionLayer, LayerConfigError> {
    SessionLayer::builder(store)
        // The demo runs on plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .on_error(|error, _| session_error(error))
        .build()
}

/// The whole shop.
pub(crate) fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/cart", get(cart))
        .route("/cart/{product}/add", post(add))
        .route("/cart/{product}/quantity", post(quantity))
        .route("/cart/{product}/remove", post(remove))
        .route("/login", get(login_form).post(login))
        .route("/logout", post(logout))
        .route("/session", get(held))
        .route("/clicks", get(clicks).post(click))
        .fallback(async || AppError::NotFound)
        .layer(sessions)
        // Beyond the session layer, so they cost no session.
        .merge(web::assets())
        .layer(map_response(web::careful))
}

/// What every page shows of the session. Looking with a `Session` uses the flash message up:
/// it is gone on the next page.
fn visitor(session: &ReadSession) -> Result<Visitor, Error> {
    Ok(Visitor {
        user: session.user(),
        pieces: Cart::of(session)?.pieces(),
        notice: session.get("notice")?,
    })
}

async fn front(session: Session) -> Result<Markup, AppError> {
    let visits = session.increment("visits", 1)?;
    let clicks = session.get_or_default("clicks")?;
    Ok(pages::front(&visitor(&session)?, visits, clicks))
}

async fn cart(session: Session) -> Result<Markup, AppError> {
    Ok(pages::cart(&visitor(&session)?, &Cart::of(&session)?))
}

async fn add(session: Session, Path(id): Path<String>) -> Result<Redirect, AppError> {
    let product = find(&id)?;
    cart::add(&session, product)?;
    notice(&session, &format!("{} is in your cart.", product.name))?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct Quantity {
    quantity: u32,
}

async fn quantity(
    session: Session,
    Path(id): Path<String>,
    form: Result<Form<Quantity>, FormRejection>,
) -> Result<Redirect, AppError> {
    let product = find(&id)?;
    let Form(Quantity { quantity }) = form?;
    cart::set(&session, product, quantity)?;
    notice(&session, &format!("{}: changed.", product.name))?;
    Ok(Redirect::to("/cart"))
}

async fn remove(session: Session, Path(id): Path<String>) -> Result<Redirect, AppError> {
    let product = find(&id)?;
    cart::remove(&session, product)?;
    notice(&session, &format!("{}: removed.", product.name))?;
    Ok(Redirect::to("/cart"))
}

fn find(id: &str) -> Result<&'static Product, AppError> {
    catalogue::find(id).ok_or(AppError::NotFound)
}

async fn login_form(session: Session) -> Result<Markup, AppError> {
    Ok(pages::login(&visitor(&session)?, "", None))
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
        let page = pages::login(&visitor(&session)?, name, problem);
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    // Replaces the secret in the cookie: whoever knew the old one has nothing now. The cart stays.
    session.set_user(name)?;
    notice(&session, &format!("Welcome, {name}!"))?;
    Ok(Redirect::to("/").into_response())
}

async fn logout(session: Session) -> Result<Redirect, AppError> {
    session.destroy()?;
    // What is written after the end starts a new session, here one that only says goodbye.
    notice(&session, "You are logged out, and that session is gone.")?;
    Ok(Redirect::to("/"))
}

/// A `ReadSession` takes no lock and uses nothing up, not even the flash message.
async fn held(session: ReadSession) -> Result<Markup, AppError> {
    let visitor = Visitor {
        notice: None,
        ..visitor(&session)?
    };
    Ok(pages::held(&visitor, &session)?)
}

/// The number alone, for the script.
async fn clicks(session: ReadSession) -> Result<String, AppError> {
    Ok(session.get_or("clicks", 0)?.to_string())
}

#[derive(Deserialize)]
struct Clicks {
    times: u8,
}

async fn click(
    session: Session,
    form: Result<Form<Clicks>, FormRejection>,
) -> Result<Redirect, AppError> {
    let Form(Clicks { times }) = form?;
    session.increment("clicks", times.into())?;
    Ok(Redirect::to("/#clicks"))
}

fn notice(session: &Session, text: &str) -> Result<(), Error> {
    session.flash("notice", text)
}
