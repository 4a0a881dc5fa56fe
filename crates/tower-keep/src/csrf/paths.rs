//! The paths that are not checked.

/// A pattern for paths, compared segment by segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern {
    segments: Vec<Segment>,
    /// Whether one or more segments follow.
    open: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Segment {
    Exactly(Box<str>),
    Any,
}

impl Pattern {
    /// Reads `/webhooks/*` and `/api/{version}/callback`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut rest = text.strip_prefix('/')?;
        let open = rest == "*" || rest.ends_with("/*");
        if open {
            rest = rest
                .strip_suffix('*')
                .map(|r| r.strip_suffix('/').unwrap_or(r))?;
        }
        let segments = if open && rest.is_empty() {
            Vec::new()
        } else {
            rest.split('/').map(Segment::parse).collect::<Option<_>>()?
        };
        // One that would match nothing is a mistake.
        is_plain(text).then_some(Self { segments, open })
    }

    pub(super) fn matches(&self, path: &str) -> bool {
        let Some(rest) = path.strip_prefix('/').filter(|_| is_plain(path)) else {
            return false;
        };
        let mut segments = rest.split('/');
        let fits = |segment: &Segment| segments.next().is_some_and(|given| segment.is(given));
        self.segments.iter().all(fits)
            && segments.next().is_some_and(|next| !next.is_empty()) == self.open
            && (self.open || rest.split('/').count() == self.segments.len())
    }
}

impl Segment {
    fn parse(text: &str) -> Option<Self> {
        let name = text.strip_prefix('{').and_then(|t| t.strip_suffix('}'));
        match name {
            Some(name) if !name.is_empty() && !name.contains(['{', '}', '*']) => Some(Self::Any),
            None if !text.contains(['{', '}', '*', '?', '#']) => Some(Self::Exactly(text.into())),
            _ => None,
        }
    }

    fn is(&self, given: &str) -> bool {
        match self {
            Self::Exactly(text) => **text == *given,
            Self::Any => !given.is_empty(),
        }
    }
}

/// Whether everybody on the way to the handler reads the same segments in it: no `.` and `..`, no
/// slash that is encoded or turned round, no empty segment but the last.
fn is_plain(path: &str) -> bool {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let inner = inner.strip_suffix('/').unwrap_or(inner);
    let has_encoded = |code: &[u8; 3]| {
        let mut windows = path.as_bytes().windows(3);
        windows.any(|window| window.eq_ignore_ascii_case(code))
    };
    !(path.contains('\\')
        || path.contains("//")
        || has_encoded(b"%2f")
        || has_encoded(b"%5c")
        || has_encoded(b"%2e")
        || inner
            .split('/')
            .any(|segment| matches!(segment, "." | "..")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, path: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(path)
    }

    #[test]
    fn segments_are_compared_one_by_one() {
        for (pattern, path) in [
            ("/", "/"),
            ("/hook", "/hook"),
            ("/hook/", "/hook/"),
            ("/webhooks/*", "/webhooks/a"),
            ("/webhooks/*", "/webhooks/a/b/"),
            ("/api/{v}/x", "/api/1/x"),
            ("/{a}/b/*", "/a/b/c"),
            ("/*", "/anything/at/all"),
            ("/b%C3%BCro", "/b%C3%BCro"),
            ("/a/.hidden", "/a/.hidden"),
        ] {
            assert!(matches(pattern, path), "{pattern} {path}");
        }
        for (pattern, path) in [
            ("/", "/a"),
            ("/hook", "/hooks"),
            ("/hook", "/hook/"),
            ("/hook", "/hook/a"),
            ("/hook", "/Hook"),
            ("/hook", "hook"),
            ("/hook", "*"),
            ("/hook", "/ho%6Fk"),
            ("/hook/", "/hook"),
            ("/webhooks/*", "/webhooks"),
            ("/webhooks/*", "/webhooks/"),
            ("/webhooks/*", "/webhooks-admin/a"),
            ("/webhooks/*", "/webhooks//a"),
            ("/webhooks/*", "/x/webhooks/a"),
            ("/webhooks/*", "/webhooks/../transfer"),
            ("/webhooks/*", "/webhooks/a/%2E%2e/transfer"),
            ("/webhooks/*", "/webhooks/.%2e/transfer"),
            ("/webhooks/*", "/webhooks/..%2ftransfer"),
            ("/webhooks/*", "/webhooks%2Fa"),
            ("/webhooks/*", "/webhooks\\a"),
            ("/webhooks/*", "/webhooks/..\\transfer"),
            ("/webhooks/*", "/webhooks/..%5Ctransfer"),
            ("/api/{v}/x", "/api//x"),
            ("/api/{v}/x", "/api/1%2F2/x"),
            ("/api/{v}/x", "/api/1/2/x"),
            ("/api/{v}/x", "/api/x"),
            ("/*", "/"),
        ] {
            assert!(!matches(pattern, path), "{pattern} {path}");
        }
    }

    #[test]
    fn what_can_mean_nothing_is_refused() {
        for pattern in [
            "", "hook", "*", "/a*", "/*/a", "/a/**", "/a//b", "/a/../b", "/{}", "/{a", "/a}",
            "/x{a}", "/{*rest}", "/a?b", "/a%2Fb", "/{a}{b}",
        ] {
            assert_eq!(Pattern::parse(pattern), None, "{pattern}");
        }
    }
}
