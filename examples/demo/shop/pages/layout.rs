//! The frame of every page.

use maud::{DOCTYPE, Markup, html};

use crate::shop::visitor::Visitor;

/// What a page is called, and what its head has more than others.
#[derive(Debug, Default)]
pub(super) struct Head<'a> {
    pub(super) title: &'a str,
    /// The path of the link that leads here.
    pub(super) here: &'a str,
    pub(super) style: Option<&'a str>,
    pub(super) script: Option<&'a str>,
}

/// Without a visitor, where nothing is known of one, the frame shows only what it shows to all.
pub(super) fn layout(head: &Head<'_>, visitor: Option<&Visitor>, main: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (head.title) " · The Keep Shop" }
                @if let Some(style) = head.style { link rel="stylesheet" href=(style); }
                link rel="stylesheet" href="/assets/style.css";
                link rel="icon" href="/assets/icons.svg" type="image/svg+xml";
                @if let Some(script) = head.script { script src=(script) defer {} }
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header {
                    a .brand href="/" { (icon("rook")) "The Keep Shop" }
                    (navigation(head.here, visitor))
                }
                main #main tabindex="-1" {
                    @if let Some(notice) = visitor.and_then(|visitor| visitor.notice.as_ref()) {
                        p .notice role="status" { (notice) }
                    }
                    (main)
                }
                footer { p { "A demo of tower-keep. Nothing here is for sale." } }
            }
        }
    }
}

fn navigation(here: &str, visitor: Option<&Visitor>) -> Markup {
    let pieces = visitor.map_or(0, |visitor| visitor.pieces);
    let link = |to: &str, text: &Markup| {
        html! { a href=(to) aria-current=[(to == here).then_some("page")] { (text) } }
    };
    let cart = html! {
        "Cart"
        @if pieces > 0 { " " span .badge { (pieces) span .unseen { " in it" } } }
    };
    html! {
        nav aria-label="Main" {
            (link("/", &html! { "Shop" }))
            (link("/cart", &cart))
            (link("/chat", &html! { "Chat" }))
            (link("/at-once", &html! { "At once" }))
            (link("/devices", &html! { "Devices" }))
            (link("/session", &html! { "Session" }))
            @if let Some(visitor) = visitor {
                @if let Some(user) = &visitor.user {
                    form method="post" action="/logout" {
                        (token(visitor))
                        button .plain { "Log out" span .unseen { " " (user) } }
                    }
                } @else {
                    (link("/login", &html! { "Log in" }))
                }
            }
        }
    }
}

/// What every form sends back, so that no other site can send it.
pub(super) fn token(visitor: &Visitor) -> Markup {
    html! { input type="hidden" name="_token" value=(visitor.token); }
}

pub(super) fn icon(id: &str) -> Markup {
    html! {
        svg aria-hidden="true" viewBox="0 0 24 24" width="24" height="24" {
            use href={ "/assets/icons.svg#" (id) } {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_visitors_write_is_escaped() {
        let visitor = Visitor {
            user: Some("<b>Ann</b>".into()),
            ..Visitor::default()
        };
        let page = layout(&Head::default(), Some(&visitor), &html! {}).into_string();
        assert!(page.contains("&lt;b&gt;Ann"));
        assert!(!page.contains("<b>Ann"));
    }
}
