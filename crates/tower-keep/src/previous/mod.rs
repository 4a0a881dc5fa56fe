//! The page that a visitor was on before: where "back" leads after a form.

mod layer;

use tower_keep_core::data::{DataError, Edit};

use crate::error::Error;
use crate::read::ReadSession;
use crate::session::Session;

pub use layer::{PreviousUrlFuture, PreviousUrlLayer, PreviousUrlService};

/// The name of the library's own entry.
const ENTRY: &str = "previous";

/// The longest URL that is kept, in bytes.
const MAX_LEN: usize = 2048;

/// Why a URL is not kept as the previous one; see [`Session::set_previous_url`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlFault {
    /// It is not the path of a page on this very site: it must begin with exactly one `/`.
    #[error("it must begin with a single `/`, without scheme and host")]
    NotAPath,
    /// Its path contains `//`, which what it passes through may make a host of.
    #[error("its path must not contain `//`")]
    EmptySegment,
    /// It contains a `\`, which browsers read as `/`.
    #[error("it must not contain a backslash")]
    Backslash,
    /// It contains something else than visible ASCII characters.
    #[error("it must consist of visible ASCII characters: percent-encode the others")]
    NotAscii,
    /// It is too long.
    #[error("it is {len} bytes long, and at most {max} are kept")]
    TooLong {
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
}

impl Session {
    /// Notes the page that the visitor is on: its path and query, as
    /// [`previous_url`](ReadSession::previous_url) then gives them. A fragment is dropped.
    /// [`PreviousUrlLayer`] does this by itself.
    ///
    /// ```
    /// use tower_keep::{Error, Session};
    ///
    /// async fn form(session: Session) -> Result<(), Error> {
    ///     session.set_previous_url("/articles?page=3")
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::PreviousUrl`] if a browser could be led to another site by it (OWASP ASVS 5.0,
    /// 3.7.2): only what begins with a single `/`, has no `//` in its path, and consists of visible
    /// ASCII characters but `\` is kept, at most 2,048 bytes of it. [`Error::Closed`] after the end.
    pub fn set_previous_url(&self, url: impl AsRef<str>) -> Result<(), Error> {
        let url = checked(url.as_ref()).map_err(Error::PreviousUrl)?;
        self.edit(|edit| edit.system_insert(ENTRY, url))
    }
}

impl ReadSession {
    /// The path and query of the page that the visitor was on before, if there is one that was
    /// noted. It leads to this site: redirect to it as it is.
    ///
    /// It stays with the data, not with the user: it survives a login, and `invalidate` ends it.
    ///
    /// ```
    /// use axum::response::Redirect;
    /// use tower_keep::{Error, ReadSession};
    ///
    /// async fn back(session: ReadSession) -> Result<Redirect, Error> {
    ///     Ok(Redirect::to(session.previous_url()?.as_deref().unwrap_or("/")))
    /// }
    /// ```
    ///
    /// # Errors
    /// [`Error::Closed`] after the end of the request.
    #[doc(alias = "back")]
    pub fn previous_url(&self) -> Result<Option<String>, Error> {
        self.slot.read(|work| previous(&work.edit))
    }
}

/// What is stored, if it is what this would store.
fn previous(edit: &Edit) -> Option<String> {
    let url: String = edit.system_get(ENTRY).ok()??;
    checked(&url).is_ok().then_some(url)
}

/// Sets the entry, unless the data would be too large with it.
fn note(edit: &mut Edit, url: &str) -> Result<(), DataError> {
    let before: Option<String> = edit.system_get(ENTRY).unwrap_or_default();
    edit.system_insert(ENTRY, url)?;
    if edit.check_size().is_err() {
        match before {
            Some(before) => edit.system_insert(ENTRY, &before)?,
            None => _ = edit.system_remove(ENTRY),
        }
    }
    Ok(())
}

/// Removes the entry.
pub(crate) fn forget(edit: &mut Edit) {
    edit.system_remove(ENTRY);
}

/// The URL without its fragment, if it can lead nowhere but to this site.
///
/// Browsers drop tabs and line breaks anywhere in a URL and blanks around it, take `\` for `/`, and
/// what begins with two of them for a host (WHATWG URL, basic URL parser). None of that gets
/// through. What is percent-encoded is never decoded on the way and stays as it is.
fn checked(url: &str) -> Result<&str, UrlFault> {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let path = url.split_once('?').map_or(url, |(path, _)| path);
    let (len, max) = (url.len(), MAX_LEN);
    if url.contains('\\') {
        Err(UrlFault::Backslash)
    } else if !url.bytes().all(|byte| byte.is_ascii_graphic()) {
        Err(UrlFault::NotAscii)
    } else if !path.starts_with('/') || path.starts_with("//") {
        Err(UrlFault::NotAPath)
    } else if path.contains("//") {
        Err(UrlFault::EmptySegment)
    } else if len > max {
        Err(UrlFault::TooLong { len, max })
    } else {
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use url::Url;

    use super::checked;

    const PARTS: [&str; 26] = [
        "/",
        "/",
        "//",
        "\\",
        ".",
        "..",
        "%2e",
        "%2f",
        "%5c",
        "@",
        ":",
        ":80",
        "?",
        "#",
        "https:",
        "http:",
        "javascript:",
        "evil.test",
        "site.test",
        "\t",
        "\n",
        "\r",
        " ",
        "\0",
        "a",
        "é",
    ];

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 20_000,
            rng_seed: RngSeed::Fixed(0x6b65_6570),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// Whatever is accepted stays on the site, as a browser reads it.
        #[test]
        fn b15_nothing_that_is_kept_leads_elsewhere(
            parts in prop::collection::vec(prop::sample::select(PARTS.as_slice()), 0..8),
            path in prop::bool::weighted(0.8),
        ) {
            let url = if path { "/" } else { "" }.to_owned() + &parts.concat();
            if let Ok(kept) = checked(&url) {
                let base = Url::parse("https://site.test/some/page?x=1").unwrap();
                let led_to = base.join(kept).unwrap();
                prop_assert_eq!(led_to.origin(), base.origin(), "{:?}", url);
                prop_assert!(led_to.username().is_empty(), "{:?}", url);
                // Nor does its path, should somebody redirect to that.
                let again = base.join(led_to.path()).unwrap();
                prop_assert_eq!(again.origin(), base.origin(), "{:?}", url);
            }
        }
    }
}
