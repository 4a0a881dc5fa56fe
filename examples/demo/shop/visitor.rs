//! What every page shows of its visitor.

use std::sync::Arc;

use tower_keep::{Error, ReadSession};

use super::cart::Cart;

#[derive(Debug, Clone, Default)]
pub(crate) struct Visitor {
    pub(crate) user: Option<Arc<str>>,
    /// How many things are in the cart.
    pub(crate) pieces: u32,
    /// The message of what was just done.
    pub(crate) notice: Option<String>,
    /// What forms send back; empty if there is none, where no page has a form.
    pub(crate) token: String,
}

impl Visitor {
    /// Looking with a [`Session`](tower_keep::Session) uses the flash message up: it is gone on the
    /// next page. A page with forms has asked for `session.csrf_token()` before, which makes one
    /// where there is none yet.
    pub(crate) fn of(session: &ReadSession) -> Result<Self, Error> {
        Ok(Self {
            user: session.user(),
            pieces: Cart::of(session)?.pieces(),
            notice: session.get("notice")?,
            token: session.csrf_token()?.unwrap_or_default(),
        })
    }
}
