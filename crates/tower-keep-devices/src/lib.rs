//! A "your devices" page for apps with [tower-keep](tower_keep): where a user is logged in, to be
//! ended one by one, or all others at once.
//!
//! ```
//! use axum::Router;
//! use tower_keep::{MemoryStore, SessionLayer};
//! use tower_keep_devices::Devices;
//!
//! let sessions = SessionLayer::new(MemoryStore::new());
//! let devices = Devices::new(sessions.sessions()).login_path("/login");
//! let app: Router = Router::new()
//!     .nest("/account/devices", devices.router())
//!     .layer(sessions);
//! ```
//!
//! The pages need no JavaScript. Scripts and apps get the same as JSON. Whoever is not logged in is
//! sent to the login page, or told so with 401.
//!
//! | request | HTML | JSON |
//! |---|---|---|
//! | `GET /` | the list | `{"devices": [..], "next": null}` |
//! | `POST /{id}` | ends one, 303 to the list | as `DELETE` |
//! | `DELETE /{id}` | | ends one: `{"ended": ["{id}"]}` |
//! | `POST /others` | ends all but this one, 303 to the list | as `DELETE` |
//! | `DELETE /others` | | ends all but this one: `{"ended": [..]}` |
//! | `GET /style.css` | the stylesheet | |
//!
//! JSON goes to those whose `Accept` prefers it, and to every `DELETE`. What would change something
//! passes a [`CsrfLayer`](tower_keep::CsrfLayer) first, whichever form it has. A session of another
//! user is answered as one that does not exist: 404. All answers but the stylesheet are `no-store`.
//!
//! `docs/devices.md` says how to put the page into the app's own layout, which
//! `Content-Security-Policy` it works with, how to translate it, and what the JSON means.
//!
//! What a device is called is told from the `User-Agent` with which its user logged in, and its
//! address is the one of that login: both are recorded when a session begins or changes hands, and
//! by nothing in between. For an address the app must know it: see
//! [`SessionLayerBuilder::client_ip`](tower_keep::SessionLayerBuilder::client_ip).

#![cfg_attr(docsrs, feature(doc_cfg))]

mod agent;
mod answer;
mod device;
mod devices;
mod html;
mod negotiate;
mod notice;
mod page;
mod place;
mod routes;
mod texts;
mod visit;

pub use devices::Devices;
pub use page::Page;
pub use texts::{English, Texts};

/// Runs the examples of the pages about this crate as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
#[doc = include_str!("../../../docs/devices.md")]
struct Pages;
