//! Values as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tower_keep::Timestamp;

/// The last instant of the year 9999, behind which RFC 3339 has none.
const LAST: u64 = 253_402_300_799_999;

fn system_time(at: Timestamp) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at.as_millis().min(LAST))
}

/// By the second, in UTC (RFC 3339).
pub(crate) fn instant(at: Timestamp) -> String {
    humantime::format_rfc3339_seconds(system_time(at)).to_string()
}

/// By the millisecond, in UTC (RFC 3339).
pub(crate) fn exact_instant(at: Timestamp) -> String {
    humantime::format_rfc3339_millis(system_time(at)).to_string()
}

/// In whole seconds, or in milliseconds where it is shorter than one.
pub(crate) fn span(span: Duration) -> String {
    let span = if span < Duration::from_secs(1) {
        Duration::from_millis(u64::try_from(span.as_millis()).unwrap_or_default())
    } else {
        Duration::from_secs(span.as_secs())
    };
    humantime::format_duration(span).to_string()
}

/// A text that others chose, without what would make a terminal do something or show other text
/// than is there (Unicode TR 36, section 2.10).
pub(crate) fn harmless(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_harmful(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Control characters, line separators, and what has no width or turns the direction.
pub(crate) fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_instant_can_be_shown() {
        assert_eq!(
            instant(Timestamp::from_millis(1_700_000_000_123)),
            "2023-11-14T22:13:20Z"
        );
        let exact = exact_instant(Timestamp::from_millis(1_700_000_000_123));
        assert_eq!(exact, "2023-11-14T22:13:20.123Z");
        assert_eq!(exact_instant(Timestamp::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn spans_are_shown_by_the_second() {
        assert_eq!(span(Duration::from_millis(7_199_999)), "1h 59m 59s");
        assert_eq!(span(Duration::from_micros(250_900)), "250ms");
        assert_eq!(span(Duration::ZERO), "0s");
        assert!(!span(Duration::MAX).is_empty());
    }

    #[test]
    fn nothing_speaks_to_the_terminal() {
        assert_eq!(
            harmless("ann\u{1b}[2J\n\u{9b}1m"),
            "ann\\u{1b}[2J\\u{a}\\u{9b}1m"
        );
        assert_eq!(harmless("a\u{202e}b\u{200b}"), "a\\u{202e}b\\u{200b}");
        assert_eq!(
            harmless("Gr\u{fc}\u{df}e \u{6f22}"),
            "Gr\u{fc}\u{df}e \u{6f22}"
        );
    }
}
