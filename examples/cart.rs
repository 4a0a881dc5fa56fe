//! A cart as a type of the app's own: concurrent clicks are all counted.
//!
//! `cargo run --example cart`, then open <http://127.0.0.1:3000>.

use std::collections::BTreeMap;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Redirect;
use axum::{Router, routing::get, routing::post};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    LayerConfigError, MemoryStore, ReadTyped, SessionData, SessionLayer, SessionStore, Typed,
};

/// What there is, with prices in cents. No prices in the session: they change.
const CATALOGUE: [(&str, u32); 3] = [("tea", 350), ("cup", 900), ("pot", 2_400)];

/// What the session keeps: how many of what.
#[derive(Default, Serialize, Deserialize)]
struct Cart(BTreeMap<String, u32>);

impl SessionData for Cart {
    const KEY: &'static str = "cart";
}

impl Cart {
    /// In cents.
    fn sum(&self) -> u64 {
        let price = |(name, price): &(&str, u32)| {
            let pieces = self.0.get(*name).copied().unwrap_or(0);
            u64::from(pieces) * u64::from(*price)
        };
        CATALOGUE.iter().map(price).sum()
    }
}

/// Only reads: never waits, and shows an empty cart to who has no session without starting one.
async fn show(cart: ReadTyped<Cart>) -> Markup {
    html! {
        @for (name, pieces) in &cart.0 { p { (pieces) " × " (name) } }
        p { "Sum: " (cart.sum()) " cents" }
        @for (name, _) in CATALOGUE {
            form method="post" action={ "/add/" (name) } { button { "Add a " (name) } }
        }
        form method="post" action="/order" { button { "Order" } }
    }
}

/// Holds the session, so that two clicks at once are two pieces. The cart is saved if it was
/// changed, with the response.
async fn add(Path(name): Path<String>, mut cart: Typed<Cart>) -> Result<Redirect, StatusCode> {
    if !CATALOGUE.iter().any(|(known, _)| *known == name) {
        return Err(StatusCode::NOT_FOUND);
    }
    let pieces = cart.0.entry(name).or_default();
    *pieces = pieces.saturating_add(1);
    Ok(Redirect::to("/"))
}

/// Empties the cart. Sent twice at once, the second finds it empty: nothing is ordered twice.
async fn order(mut cart: Typed<Cart>) -> String {
    let sum = cart.sum();
    cart.0.clear();
    format!("Ordered for {sum} cents.")
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, LayerConfigError> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new()
        .route("/", get(show))
        .route("/add/{name}", post(add))
        .route("/order", post(order))
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
