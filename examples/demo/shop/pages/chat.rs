use maud::{Markup, html};

use super::layout::{Head, layout};
use crate::shop::room::LONGEST_TEXT;
use crate::shop::visitor::Visitor;

pub(crate) fn chat(visitor: &Visitor) -> Markup {
    let main = html! {
        h1 { "Chat" }
        @if visitor.user.is_some() {
            p .lead {
                "All who are here hear you, and nothing is kept. The line is closed when your "
                "session ends: log out in another tab, or end this device from another one."
            }
            noscript { p .notice { "The chat needs JavaScript: it is a WebSocket." } }
            section #chat .panel aria-label="Messages" hidden {
                ol #said role="log" {}
                p #line role="status" { "Connecting …" }
                form #say {
                    label .unseen for="text" { "What you say" }
                    input #text autocomplete="off" maxlength=(LONGEST_TEXT) required disabled;
                    button disabled { "Say" }
                }
            }
        } @else {
            p .lead {
                a href="/login" { "Log in" } " to chat: it takes a name to be talked to."
            }
        }
    };
    let head = Head {
        title: "Chat",
        here: "/chat",
        script: visitor.user.as_ref().map(|_| "/assets/chat.js"),
        ..Head::default()
    };
    layout(&head, Some(visitor), &main)
}
