use http::StatusCode;
use maud::{Markup, html};

use super::layout::{Head, layout};

/// What went wrong, and what to do.
pub(crate) fn error(status: StatusCode, title: &str, advice: &str) -> Markup {
    let main = html! {
        p .status { "Error " (status.as_u16()) }
        h1 { (title) }
        p .lead { (advice) }
        p { a href="/" { "Back to the shop" } }
    };
    let head = Head {
        title,
        ..Head::default()
    };
    layout(&head, None, &main)
}
