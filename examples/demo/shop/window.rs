//! The shop window and the cart.

use axum::Router;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Path};
use axum::response::Redirect;
use axum::routing::{get, post};
use maud::Markup;
use serde::Deserialize;
use tower_keep::Session;

use super::account::notice;
use super::cart::{self, Cart};
use super::catalogue::{self, Product};
use super::error::AppError;
use super::pages;
use super::visitor::Visitor;

pub(crate) fn routes() -> Router {
    Router::new()
        .route("/", get(window))
        .route("/cart", get(cart))
        .route("/cart/{product}/add", post(add))
        .route("/cart/{product}/quantity", post(quantity))
        .route("/cart/{product}/remove", post(remove))
}

async fn window(session: Session) -> Result<Markup, AppError> {
    let visits = session.increment("visits", 1)?;
    session.csrf_token()?;
    Ok(pages::window(&Visitor::of(&session)?, visits))
}

async fn cart(session: Session) -> Result<Markup, AppError> {
    Ok(pages::cart(&Visitor::of(&session)?, &Cart::of(&session)?))
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
