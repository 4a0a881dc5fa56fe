use std::time::Duration;

use maud::{Markup, html};
use tower_keep::core::SystemClock;
use tower_keep::{Clock, Error, ReadSession, Timestamp};

use super::layout::{Head, layout};
use crate::shop::visitor::Visitor;

/// What the session holds.
pub(crate) fn held(visitor: &Visitor, session: &ReadSession) -> Result<Markup, Error> {
    let flash = session.peek_flash()?;
    let mut data = session.all()?;
    data.retain(|key, _| !flash.contains_key(key));
    let main = html! {
        h1 { "What this session holds" }
        @match session.id() {
            None => p .lead { "Nothing: none is stored for you. Putting something in starts one." },
            Some(id) => {
                p .lead {
                    "All that the server knows of you. The secret half of your cookie is not "
                    "among it: the server keeps only its hash."
                }
                dl .panel {
                    (row("Id", &id))
                    (row("Belongs to", &session.user().as_deref().unwrap_or("nobody yet")))
                    (row("Version", &session.version().unwrap_or(0)))
                    (times(session))
                }
            },
        }
        (values("Data", "No data.", &data))
        (values("Flash messages", "None for the next page.", &flash))
        p { "This page only looks: it took no lock, changed nothing and used nothing up." }
    };
    let head = Head {
        title: "Session",
        here: "/session",
        ..Head::default()
    };
    Ok(layout(&head, Some(visitor), &main))
}

fn times(session: &ReadSession) -> Markup {
    let now = SystemClock::default().now();
    let ago = |at: Timestamp| format!("{} ago", words(now.since(at)));
    let ahead = |at: Timestamp| format!("in {}", words(at.since(now)));
    let rows = [
        ("Created", session.created_at().map(ago)),
        ("Logged in", session.authenticated_at().map(ago)),
        ("Last seen", session.last_seen().map(ago)),
        ("Ends if unused", session.idle_deadline().map(ahead)),
        ("Ends anyhow", session.absolute_deadline().map(ahead)),
    ];
    html! {
        @for (name, text) in rows {
            @if let Some(text) = text { (row(name, &text)) }
        }
    }
}

fn row(name: &str, value: &impl ToString) -> Markup {
    html! { div { dt { (name) } dd { (value.to_string()) } } }
}

fn values(title: &str, none: &str, values: &serde_json::Map<String, serde_json::Value>) -> Markup {
    html! {
        h2 { (title) }
        @if values.is_empty() {
            p { (none) }
        } @else {
            dl .panel {
                @for (key, value) in values {
                    div { dt { code { (key) } } dd { code { (format!("{value:#}")) } } }
                }
            }
        }
    }
}

fn words(span: Duration) -> String {
    let seconds = span.as_secs();
    match (seconds / 3600, seconds / 60 % 60) {
        (0, 0) => format!("{seconds} s"),
        (0, minutes) => format!("{minutes} min"),
        (hours, minutes) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_in_words() {
        assert_eq!(words(Duration::from_secs(59)), "59 s");
        assert_eq!(words(Duration::from_mins(1)), "1 min");
        assert_eq!(words(Duration::from_secs(7_199)), "1 h 59 min");
    }
}
