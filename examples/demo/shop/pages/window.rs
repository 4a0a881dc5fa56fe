use maud::{Markup, html};

use super::layout::{Head, icon, layout, token};
use crate::shop::catalogue::{CATALOGUE, Product};
use crate::shop::visitor::Visitor;

/// The shop window.
pub(crate) fn window(visitor: &Visitor, visits: i64) -> Markup {
    let main = html! {
        h1 {
            @match &visitor.user {
                Some(user) => { "Good to see you, " (user) },
                None => "Welcome to the keep",
            }
        }
        p .lead {
            @if visits == 1 {
                "This is your first visit."
            } @else {
                "You have been on this page " strong { (visits) } " times."
            }
        }
        ul .shelf {
            @for product in &CATALOGUE { li { (offer(visitor, product)) } }
        }
    };
    let head = Head {
        title: "Shop",
        here: "/",
        ..Head::default()
    };
    layout(&head, Some(visitor), &main)
}

fn offer(visitor: &Visitor, product: &Product) -> Markup {
    html! {
        article .panel {
            div .picture { (icon(product.id)) }
            h2 { (product.name) }
            p { (product.about) }
            form method="post" action={ "/cart/" (product.id) "/add" } {
                (token(visitor))
                span .price { (product.price) }
                button { "Add to cart" span .unseen { " " (product.name) } }
            }
        }
    }
}
