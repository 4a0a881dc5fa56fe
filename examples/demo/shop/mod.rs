//! The shop on one node: which address leads where, and the layers around it all.
//!
//! Pages are shown by GET and changes are made by POST, which answers with a redirect to a page
//! (303), so that reloading never does anything twice. What was done is told by a flash message.

mod account;
mod at_once;
mod cart;
mod catalogue;
mod chat;
mod devices;
mod error;
mod health;
mod held;
mod pages;
mod room;
mod site;
mod visitor;
mod web;
mod window;

use std::future::ready;
use std::time::Duration;

use axum::middleware::map_response;
use axum::{BoxError, Router};
use tower_keep::cookie::CookieConfig;
use tower_keep::{CsrfLayer, SessionLayer, SessionStore};

use error::AppError;

pub(crate) use room::Room;
pub(crate) use site::Site;

/// The shop on one node.
pub(crate) struct Shop {
    pub(crate) app: Router,
    pub(crate) sessions: SessionLayer,
}

impl Shop {
    pub(crate) fn new(store: impl SessionStore, site: Site, room: Room) -> Result<Self, BoxError> {
        let sessions = SessionLayer::builder(store)
            // The demo runs on plain HTTP. A site on HTTPS leaves this line out.
            .cookie(CookieConfig::dev_http())
            // What another node ends is heard by this node's sockets after so long at most.
            .check_ended_every(Duration::from_secs(1))
            .on_error(|error, _| error::session_error(error))
            .build()?;
        let csrf = csrf(&site)?;
        let policy = web::policy(&site)?;
        let app = Router::new()
            .merge(window::routes())
            .merge(account::routes())
            .merge(chat::routes(room))
            .merge(at_once::routes(site))
            .merge(held::routes())
            .layer(csrf.clone())
            .nest("/devices", devices::router(&sessions, csrf))
            .fallback(async || AppError::NotFound)
            .layer(sessions.clone())
            // Beyond the session layer, so they cost no session.
            .merge(health::routes())
            .merge(web::assets())
            .layer(map_response(move |response| {
                ready(web::careful(response, &policy))
            }));
        Ok(Self { app, sessions })
    }
}

/// Every form brings the token of its session: also where the browser says that it comes from a
/// page of the shop, which would be enough.
fn csrf(site: &Site) -> Result<CsrfLayer, BoxError> {
    let mut csrf = CsrfLayer::builder()
        // As in the cookie's configuration.
        .dev_http()
        .require_token(true)
        .on_refusal(|refusal, _| error::refused(refusal));
    for origin in site.origins() {
        csrf = csrf.trusted_origin(origin);
    }
    Ok(csrf.build()?)
}
