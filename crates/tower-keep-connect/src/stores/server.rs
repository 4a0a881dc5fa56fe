//! URLs of servers.

use url::{ParseError, Url};

use crate::ConnectError;
use crate::scheme::Target;

/// The URL under the scheme that the driver knows. It names a host, or has one of the parameters
/// that stand in for it.
pub(super) fn url(target: Target<'_>, scheme: &str, instead: &[&str]) -> Result<Url, ConnectError> {
    let no_host = || target.missing("a host: `//HOST` or `//HOST:PORT`");
    let url = Url::parse(&format!("{scheme}:{}", target.rest)).map_err(|error| match error {
        ParseError::EmptyHost => no_host(),
        // These texts quote nothing.
        error => target.invalid(error.to_string()),
    })?;
    let has_host = url.host_str().is_some_and(|host| !host.is_empty());
    if has_host || url.query_pairs().any(|(key, _)| instead.contains(&&*key)) {
        Ok(url)
    } else {
        Err(no_host())
    }
}
