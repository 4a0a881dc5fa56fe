//! Every word that a page shows.

use std::time::Duration;

use tower_keep::Timestamp;

use crate::device::rfc_3339;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The words of the pages, to be replaced or translated. Each has its English text by default;
/// a translation gives all of them, and its [`lang`](Self::lang). They are texts, not HTML: whatever
/// they contain is escaped.
///
/// ```
/// use std::time::Duration;
/// use tower_keep_devices::Texts;
///
/// struct Deutsch;
///
/// impl Texts for Deutsch {
///     fn lang(&self) -> &str {
///         "de"
///     }
///     fn title(&self) -> &str {
///         "Ihre Geräte"
///     }
///     fn device(&self, browser: Option<&str>, system: Option<&str>) -> String {
///         match (browser, system) {
///             (Some(browser), Some(system)) => format!("{browser} unter {system}"),
///             (Some(name), None) | (None, Some(name)) => name.to_owned(),
///             (None, None) => "Unbekanntes Gerät".to_owned(),
///         }
///     }
///     fn ago(&self, span: Duration) -> String {
///         format!("vor {} Minuten", span.as_secs() / 60)
///     }
///     // … and the others.
/// }
/// ```
#[expect(
    clippy::unnecessary_literal_bound,
    reason = "a translation may hold its texts itself"
)]
pub trait Texts: Send + Sync {
    /// The language of the texts, for the attribute `lang` (BCP 47).
    fn lang(&self) -> &str {
        "en"
    }

    /// The direction of the script, for the attribute `dir`: `ltr` or `rtl`.
    fn dir(&self) -> &str {
        "ltr"
    }

    /// The page's title and first heading.
    fn title(&self) -> &str {
        "Your devices"
    }

    /// What stands below it.
    fn introduction(&self) -> &str {
        "This is where you are logged in. If you do not recognise a device, log it out and change \
         your password."
    }

    /// The heading above the device that the page is shown on.
    fn this_device(&self) -> &str {
        "This device"
    }

    /// The heading above the others.
    fn other_devices(&self) -> &str {
        "Other devices"
    }

    /// Where there are no others.
    fn no_other_devices(&self) -> &str {
        "You are not logged in anywhere else."
    }

    /// The name of a device: its browser, such as `Firefox`, and its system, such as `Linux` or
    /// `iPhone`. `None` is what could not be told from its `User-Agent`.
    fn device(&self, browser: Option<&str>, system: Option<&str>) -> String {
        match (browser, system) {
            (Some(browser), Some(system)) => format!("{browser} on {system}"),
            (Some(browser), None) => browser.to_owned(),
            (None, Some(system)) => format!("Unknown browser on {system}"),
            (None, None) => "Unknown device".to_owned(),
        }
    }

    /// Labels the instant at which a device was last used.
    fn last_seen(&self) -> &str {
        "Last seen"
    }

    /// That is now, for the device that the page is shown on.
    fn active_now(&self) -> &str {
        "Active now"
    }

    /// Labels the instant at which the user logged in.
    fn logged_in(&self) -> &str {
        "Logged in"
    }

    /// Labels the address from which the user logged in.
    fn address(&self) -> &str {
        "IP address"
    }

    /// The address where none was recorded.
    fn unknown_address(&self) -> &str {
        "Unknown"
    }

    /// So long ago.
    fn ago(&self, span: Duration) -> String {
        let seconds = span.as_secs();
        let (number, unit) = match seconds {
            0..MINUTE => return "Just now".to_owned(),
            MINUTE..HOUR => (seconds / MINUTE, "minute"),
            HOUR..DAY => (seconds / HOUR, "hour"),
            _ => (seconds / DAY, "day"),
        };
        let plural = if number == 1 { "" } else { "s" };
        format!("{number} {unit}{plural} ago")
    }

    /// An instant. Default: as `2026-11-22 10:58 UTC`, which means the same everywhere.
    fn instant(&self, at: Timestamp) -> String {
        let text = rfc_3339(at);
        let (date, time) = text.split_once('T').unwrap_or((&text, ""));
        format!("{date} {} UTC", time.get(..5).unwrap_or(time))
    }

    /// The button that ends one session. Its name to a screen reader is this and the device's.
    fn log_out(&self) -> &str {
        "Log out"
    }

    /// The button that ends all others.
    fn log_out_others(&self) -> &str {
        "Log out all other devices"
    }

    /// After a device was logged out.
    fn was_logged_out(&self, device: &str) -> String {
        format!("{device} is logged out.")
    }

    /// After all others were: so many.
    fn others_were_logged_out(&self, count: usize) -> String {
        match count {
            0 => "There was no other device to log out.".to_owned(),
            1 => "1 other device is logged out.".to_owned(),
            _ => format!("{count} other devices are logged out."),
        }
    }

    /// Where the device that is to be logged out is not there (any more).
    fn not_found(&self) -> &str {
        "That device is not logged in any more."
    }

    /// The link to the next page of a very long list.
    fn more(&self) -> &str {
        "More devices"
    }
}

/// The English texts: all defaults of [`Texts`].
#[derive(Debug, Clone, Copy, Default)]
pub struct English;

impl Texts for English {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_told_in_their_largest_unit() {
        for (seconds, text) in [
            (0, "Just now"),
            (59, "Just now"),
            (60, "1 minute ago"),
            (3_599, "59 minutes ago"),
            (3_600, "1 hour ago"),
            (86_399, "23 hours ago"),
            (86_400, "1 day ago"),
            (86_400 * 45, "45 days ago"),
        ] {
            assert_eq!(English.ago(Duration::from_secs(seconds)), text);
        }
        let at = Timestamp::from_millis(1_795_345_117_999);
        assert_eq!(English.instant(at), "2026-11-22 10:58 UTC");
    }

    #[test]
    fn unknown_devices_have_a_name_too() {
        for (browser, system, name) in [
            (Some("Firefox"), Some("Linux"), "Firefox on Linux"),
            (Some("curl"), None, "curl"),
            (None, Some("iPhone"), "Unknown browser on iPhone"),
            (None, None, "Unknown device"),
        ] {
            assert_eq!(English.device(browser, system), name);
        }
    }
}
