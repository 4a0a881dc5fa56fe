use maud::{Markup, html};

use super::layout::{Head, icon, layout, token};
use crate::shop::cart::{Cart, Line, MOST};
use crate::shop::visitor::Visitor;

pub(crate) fn cart(visitor: &Visitor, cart: &Cart) -> Markup {
    let main = html! {
        h1 { "Your cart" }
        @if cart.lines.is_empty() {
            p .lead { "It is empty. " a href="/" { "Have a look around" } "." }
        } @else {
            ul .cart { @for line in &cart.lines { li .panel { (cart_line(visitor, line)) } } }
            p .total { "Total " strong { (cart.total()) } }
            @if visitor.user.is_none() {
                p { a href="/login" { "Log in" } ", and the cart comes along." }
            }
        }
    };
    let head = Head {
        title: "Cart",
        here: "/cart",
        ..Head::default()
    };
    layout(&head, Some(visitor), &main)
}

fn cart_line(visitor: &Visitor, line: &Line) -> Markup {
    let Line { product, quantity } = line;
    let field = format!("quantity-{}", product.id);
    html! {
        div .picture { (icon(product.id)) }
        h2 { (product.name) }
        p .price { (line.price()) }
        div .changes {
            form method="post" action={ "/cart/" (product.id) "/quantity" } {
                (token(visitor))
                label for=(field) { "Quantity" span .unseen { " of " (product.name) } }
                input #(field) name="quantity" type="number" inputmode="numeric"
                    value=(quantity) min="0" max=(MOST) required;
                button .second { "Change" span .unseen { " quantity of " (product.name) } }
            }
            form method="post" action={ "/cart/" (product.id) "/remove" } {
                (token(visitor))
                button .plain { "Remove" span .unseen { " " (product.name) } }
            }
        }
    }
}
