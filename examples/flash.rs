//! A message that outlives one redirect, and what was typed into a form that is shown again.
//!
//! `cargo run --example flash`, then open <http://127.0.0.1:3000>.

use axum::extract::Form;
use axum::response::Redirect;
use axum::{Router, routing::get};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;
use tower_keep::cookie::CookieConfig;
use tower_keep::{
    Error, LayerConfigError, MemoryStore, MergeSession, Session, SessionLayer, SessionStore,
};

#[derive(Default, Serialize, Deserialize)]
struct Subscription {
    email: String,
}

/// Shows what there is to tell. A `Session` uses flash messages up, so a reload shows none; neither
/// a `HEAD` request nor the browser's prefetching does.
async fn page(session: Session) -> Result<Markup, Error> {
    let notice: Option<String> = session.get("notice")?;
    let problem: Option<String> = session.get("problem")?;
    let typed: Subscription = session.get_or_default("typed")?;
    Ok(html! {
        @if let Some(notice) = notice { p role="status" { (notice) } }
        @if let Some(problem) = problem { p role="alert" { (problem) } }
        form method="post" {
            label { "Your e-mail address " input name="email" value=(typed.email); }
            button { "Subscribe" }
        }
    })
}

/// Always answers with a redirect, so that reloading the page sends nothing twice. It only adds to
/// the session, so it need not wait for others: a `MergeSession` will do.
async fn subscribe(
    session: MergeSession,
    Form(form): Form<Subscription>,
) -> Result<Redirect, Error> {
    if form.email.contains('@') {
        session.flash("notice", &format!("We will write to {}.", form.email))?;
    } else {
        session.flash("problem", "An e-mail address has an @ in it.")?;
        session.flash("typed", &form)?;
    }
    Ok(Redirect::to("/"))
}

pub(crate) fn app(store: impl SessionStore) -> Result<Router, LayerConfigError> {
    let sessions = SessionLayer::builder(store)
        // For plain HTTP. A site on HTTPS leaves this line out.
        .cookie(CookieConfig::dev_http())
        .build()?;
    Ok(Router::new()
        .route("/", get(page).post(subscribe))
        .layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:3000").await?;
    axum::serve(listener, app(MemoryStore::new())?).await?;
    Ok(())
}
