use maud::{Markup, html};

use super::layout::{Head, layout, token};
use crate::shop::at_once::FIFTY;
use crate::shop::site::Site;
use crate::shop::visitor::Visitor;

/// The page whose script sends fifty requests at once.
pub(crate) fn at_once(visitor: &Visitor, site: &Site, count: i64) -> Markup {
    let ports: Vec<_> = site
        .nodes()
        .iter()
        .map(|node| node.port().to_string())
        .collect();
    let main = html! {
        h1 { "Fifty at once" }
        p .lead {
            "The button sends fifty requests at the same moment"
            @if !site.is_alone() { ", in turn to all " (ports.len()) " nodes of the shop" }
            ". Each reads a number in your session, adds one, and writes it back. None is lost."
        }
        noscript {
            p .notice {
                "Without JavaScript your browser sends one request at a time, so the button sends "
                "a single one that adds fifty."
            }
        }
        form #at-once .panel method="post" action="/at-once" data-ports=(ports.join(" ")) {
            (token(visitor))
            p .count {
                strong #count { (count) }
                " counted so far"
            }
            button name="times" value=(FIFTY) { "Send " (FIFTY) " at once" }
            output #result {}
        }
        @if !site.is_alone() {
            p {
                "This page is from node " (site.number()) ". The same session is at "
                @for (at, node) in site.nodes().iter().enumerate() {
                    @if at > 0 { ", " }
                    a href={ "http://" (node) "/at-once" } { "node " (at + 1) }
                }
                ": browsers send cookies to all ports of a host."
            }
        }
    };
    let head = Head {
        title: "At once",
        here: "/at-once",
        script: Some("/assets/at-once.js"),
        ..Head::default()
    };
    layout(&head, Some(visitor), &main)
}
