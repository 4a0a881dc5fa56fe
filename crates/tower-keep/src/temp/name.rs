//! The names of temporary files.

use super::TempError;

/// So long is a segment at most: what file systems take.
const SEGMENT: usize = 255;
const SEGMENTS: usize = 16;
const NAME: usize = 1_024;

/// A name that was checked: segments with `/` between them.
#[derive(Debug, Clone)]
pub(super) struct Name(String);

impl Name {
    /// # Errors
    /// [`TempError::Name`].
    pub(super) fn new(name: &str) -> Result<Self, TempError> {
        if name.len() > NAME || name.split('/').count() > SEGMENTS {
            return Err(TempError::Name("it is too long"));
        }
        match name.split('/').find_map(problem) {
            Some(problem) => Err(TempError::Name(problem)),
            None => Ok(Self(name.to_owned())),
        }
    }

    /// From the segments of a URL's path after decoding, where a `/` in one is no separator.
    ///
    /// # Errors
    /// [`TempError::Name`].
    pub(super) fn of_segments(segments: &[String]) -> Result<Self, TempError> {
        if segments.iter().any(|segment| segment.contains('/')) {
            return Err(TempError::Name("a segment has a separator"));
        }
        Self::new(&segments.join("/"))
    }

    /// The directories on the way, and the file.
    pub(super) fn parts(&self) -> (impl Iterator<Item = &str>, &str) {
        let (parents, file) = self.0.rsplit_once('/').unwrap_or(("", &self.0));
        let parents = parents.split('/').filter(|parent| !parent.is_empty());
        (parents, file)
    }

    pub(super) fn file(&self) -> &str {
        self.parts().1
    }
}

fn problem(segment: &str) -> Option<&'static str> {
    if segment.is_empty() {
        Some("it is empty, begins or ends with `/`, or has two of them in a row")
    } else if segment.starts_with('.') {
        Some("a segment begins with a dot")
    } else if segment.len() > SEGMENT {
        Some("a segment is too long")
    } else if segment.contains('\\') {
        Some("it has a backslash")
    } else if segment.chars().any(char::is_control) {
        Some("it has control characters")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e8_only_plain_names_are_taken() {
        for good in [
            "a",
            "a.txt",
            "uploads/2024/a b.txt",
            "ü/ß.tar.gz",
            "a..b",
            "a.",
        ] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(256);
        let deep = ["a"; 17].join("/");
        let wide = ["a".repeat(200).as_str(); 6].join("/");
        for bad in [
            "", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", ".hidden",
            "a/.b", "a\\b", "..\\a", "a\0", "a\nb", "a\u{7f}", "a\u{85}", &long, &deep, &wide,
        ] {
            assert!(matches!(Name::new(bad), Err(TempError::Name(_))), "{bad:?}");
        }
        let segments = |s: &str| Name::of_segments(&[s.to_owned()]);
        assert!(segments("a/b").is_err() && segments("a").is_ok());
    }
}
