//! Where the router is mounted, as the browser sees it.

use axum::extract::OriginalUri;
use http::request::Parts;

/// The paths of the pages, for links, forms and redirects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// Without a slash at its end: empty at the root.
    base: String,
}

impl Place {
    /// What is configured, or else what the request's path has in front of the part that this
    /// router sees: nesting takes it off and leaves the whole in [`OriginalUri`].
    pub(crate) fn of(parts: &Parts, configured: Option<&str>) -> Self {
        if let Some(path) = configured {
            return Self::at(path);
        }
        let seen = parts.uri.path();
        let whole = parts.extensions.get::<OriginalUri>();
        let whole = whole.map_or(seen, |OriginalUri(uri)| uri.path());
        Self::at(whole.strip_suffix(seen).unwrap_or(whole))
    }

    /// Browsers take two slashes in front, or a backslash for one, for the name of another host.
    fn at(path: &str) -> Self {
        let path = path.trim_end_matches('/').trim_start_matches(['/', '\\']);
        let base = if path.is_empty() {
            String::new()
        } else {
            format!("/{path}")
        };
        Self { base }
    }

    /// The list.
    pub(crate) fn list(&self) -> &str {
        if self.base.is_empty() {
            "/"
        } else {
            &self.base
        }
    }

    /// What is below it.
    pub(crate) fn below(&self, name: impl std::fmt::Display) -> String {
        format!("{}/{name}", self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn place(whole: Option<&str>, seen: &str, configured: Option<&str>) -> Place {
        let mut request = Request::get(seen).body(()).unwrap();
        if let Some(whole) = whole {
            request
                .extensions_mut()
                .insert(OriginalUri(whole.parse().unwrap()));
        }
        Place::of(&request.into_parts().0, configured)
    }

    #[test]
    fn the_mount_is_what_nesting_took_off() {
        for (whole, seen, base) in [
            (Some("/account/devices"), "/", "/account/devices"),
            (Some("/account/devices/"), "/", "/account/devices"),
            (
                Some("/account/devices/others?x=/y"),
                "/others",
                "/account/devices",
            ),
            (Some("/a%2Fb/devices/others"), "/others", "/a%2Fb/devices"),
            (Some("/"), "/", ""),
            (Some("/others"), "/others", ""),
            (None, "/others", ""),
            (
                Some("//evil.example/devices/others"),
                "/others",
                "/evil.example/devices",
            ),
            (
                Some("/\\evil.example/devices"),
                "/",
                "/evil.example/devices",
            ),
        ] {
            assert_eq!(place(whole, seen, None).base, base, "{whole:?}");
        }
        let place = place(Some("/inner"), "/", Some("/outer/inner/"));
        assert_eq!(place.list(), "/outer/inner");
        assert_eq!(place.below("style.css"), "/outer/inner/style.css");
        assert_eq!(Place::at("/").list(), "/");
        assert_eq!(Place::at("/").below("others"), "/others");
    }
}
