//! A session's tokens: the one for all its forms, and those that are good for one time.

use tower_keep_core::data::Edit;

use super::token::CsrfToken;
use crate::error::Error;
use crate::read::ReadSession;
use crate::session::Session;
use crate::slot::Work;

/// Where the session's token is kept.
const TOKEN: &str = "csrf";

/// Where those are kept that are good for one time, the oldest first.
const ONCE: &str = "csrf_once";

/// So many names at a time; the oldest makes room.
const MAX_ONCE: usize = 16;

impl ReadSession {
    /// What the forms of this session must send back, as the hidden field `_token` or the header
    /// `X-CSRF-Token`; see [`CsrfLayer`](crate::CsrfLayer). `None` if there is none yet:
    /// [`Session::csrf_token`] makes one.
    ///
    /// It looks different each time, so that compressed pages do not give it away (BREACH). All
    /// its forms are good until it is renewed, in any number of tabs.
    ///
    /// # Errors
    /// [`Error::Closed`] after the end of the request; [`Error::Store`] if the operating system
    /// has no randomness to give.
    pub fn csrf_token(&self) -> Result<Option<String>, Error> {
        let token = self.slot.read(|work| session_token(&work.edit))?;
        token.map(CsrfToken::masked).transpose()
    }

    /// Whether this is the session's token, in any of its forms: for requests that
    /// [`CsrfLayer`](crate::CsrfLayer) cannot judge, such as those that carry it in JSON. An empty
    /// text never is. Takes the same time wherever they differ.
    ///
    /// # Errors
    /// [`Error::Closed`] after the end of the request.
    pub fn verify_csrf_token(&self, given: &str) -> Result<bool, Error> {
        let token = self.slot.read(|work| session_token(&work.edit))?;
        Ok(token.is_some_and(|token| token.matches(given)))
    }
}

impl Session {
    /// What the forms of this session must send back, as
    /// [`ReadSession::csrf_token`](ReadSession::csrf_token); if there is none yet it is made, which
    /// is a write and starts a session.
    ///
    /// It is renewed where authority changes hands: by [`rotate`](Self::rotate),
    /// [`set_user`](Self::set_user), [`clear_user`](Self::clear_user),
    /// [`reauthenticate`](Self::reauthenticate) and [`invalidate`](Self::invalidate). A form that
    /// is rendered afterwards in the same request has the new one already.
    ///
    /// ```
    /// use tower_keep::{Error, Session};
    ///
    /// async fn form(session: Session) -> Result<String, Error> {
    ///     let token = session.csrf_token()?;
    ///     Ok(format!(r#"<form method="post"><input type="hidden" name="_token" value="{token}">"#))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] if there is none and the session was committed or discarded;
    /// [`Error::Store`] if the operating system has no randomness to give.
    pub fn csrf_token(&self) -> Result<String, Error> {
        if let Some(masked) = self.0.csrf_token()? {
            return Ok(masked);
        }
        self.renew_csrf_token()
    }

    /// Replaces the session's token and returns the new one: what pages have been given so far is
    /// refused from the commit on. One-shot tokens stay.
    ///
    /// # Errors
    /// [`Error::Closed`] if the session was committed or discarded; [`Error::Store`] if the
    /// operating system has no randomness to give.
    pub fn renew_csrf_token(&self) -> Result<String, Error> {
        let token = CsrfToken::generate()?;
        let masked = token.masked()?;
        self.edit(|edit| edit.system_insert(TOKEN, &token.encode()))?;
        Ok(masked)
    }

    /// A token that is good for one time, for what must not be done twice by one form. Asked for
    /// again before it is used, it is the same one, in another form.
    ///
    /// Several names can be open at a time, at most 16; one more makes the oldest worthless. They
    /// all are after a change of authority, as [`csrf_token`](Self::csrf_token) says.
    ///
    /// ```
    /// use tower_keep::{Error, Session};
    ///
    /// async fn form(session: Session) -> Result<String, Error> {
    ///     session.csrf_token_for("transfer")
    /// }
    ///
    /// async fn transfer(session: Session, token: String) -> Result<&'static str, Error> {
    ///     if !session.consume_csrf_token("transfer", &token)? {
    ///         return Ok("this form was sent before, or is too old");
    ///     }
    ///     Ok("done")
    /// }
    /// ```
    ///
    /// # Errors
    /// As [`renew_csrf_token`](Self::renew_csrf_token).
    pub fn csrf_token_for(&self, name: &str) -> Result<String, Error> {
        let fresh = CsrfToken::generate()?;
        let token = self.edit(|edit| {
            let mut once = one_shot(edit);
            let kept = once.iter().find(|(other, _)| other == name);
            if let Some(token) = kept.and_then(|(_, token)| CsrfToken::decode(token)) {
                return Ok(token);
            }
            once.retain(|(other, _)| other != name);
            once.push((name.to_owned(), fresh.encode()));
            let excess = once.len().saturating_sub(MAX_ONCE);
            edit.system_insert(ONCE, &once[excess..])?;
            Ok(fresh)
        })?;
        token.masked()
    }

    /// Whether `given` is the token of this name; if so, it is no more. What is wrong uses nothing
    /// up, and an empty text is always wrong.
    ///
    /// The token is gone with the commit, so a request that fails may be sent again.
    ///
    /// # Errors
    /// [`Error::Closed`] if the session was committed or discarded.
    pub fn consume_csrf_token(&self, name: &str, given: &str) -> Result<bool, Error> {
        self.edit(|edit| {
            let mut once = one_shot(edit);
            let right = |(other, token): &(String, String)| {
                other == name && CsrfToken::decode(token).is_some_and(|token| token.matches(given))
            };
            let Some(at) = once.iter().position(right) else {
                return Ok(false);
            };
            once.remove(at);
            if once.is_empty() {
                edit.system_remove(ONCE);
            } else {
                edit.system_insert(ONCE, &once)?;
            }
            Ok(true)
        })
    }

    /// Does what may change whose authority the session carries. Where it does, for the first time
    /// in this request, the tokens are those of before and are replaced.
    pub(crate) fn change_authority(&self, change: impl FnOnce(&mut Work)) -> Result<(), Error> {
        self.change(|work| {
            let rotated = work.rotates();
            change(work);
            if !rotated && work.rotates() {
                work.edit.system_remove(ONCE);
                if work.edit.system_remove(TOKEN) {
                    let fresh = CsrfToken::generate()?;
                    work.edit.system_insert(TOKEN, &fresh.encode())?;
                }
            }
            Ok(())
        })
    }
}

fn session_token(edit: &Edit) -> Option<CsrfToken> {
    let stored: String = edit.system_get(TOKEN).ok()??;
    CsrfToken::decode(&stored)
}

/// What is damaged is forgotten.
fn one_shot(edit: &Edit) -> Vec<(String, String)> {
    edit.system_get(ONCE).ok().flatten().unwrap_or_default()
}
