//! The pages, as HTML. `maud` escapes whatever is put into them.

use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use maud::{DOCTYPE, Markup, html};
use tower_keep::core::SystemClock;
use tower_keep::{Clock, Error, ReadSession, Timestamp};

use crate::cart::{Cart, Line, MOST};
use crate::catalogue::{CATALOGUE, Product};

/// In characters.
pub(crate) const LONGEST_NAME: usize = 40;

/// What every page shows of the visitor.
#[derive(Debug, Default)]
pub(crate) struct Visitor {
    pub(crate) user: Option<Arc<str>>,
    /// How many things are in the cart.
    pub(crate) pieces: u32,
    /// The message of what was just done.
    pub(crate) notice: Option<String>,
}

fn layout(title: &str, here: &str, visitor: Option<&Visitor>, main: &Markup) -> Markup {
    let link = |to: &str, text: &str| {
        html! { a href=(to) aria-current=[(to == here).then_some("page")] { (text) } }
    };
    let pieces = visitor.map_or(0, |visitor| visitor.pieces);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · The Keep Shop" }
                link rel="stylesheet" href="/assets/style.css";
                link rel="icon" href="/assets/icons.svg" type="image/svg+xml";
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header {
                    a .brand href="/" { (icon("rook")) "The Keep Shop" }
                    nav aria-label="Main" {
                        (link("/", "Shop"))
                        a href="/cart" aria-current=[(here == "/cart").then_some("page")] {
                            "Cart"
                            @if pieces > 0 {
                                " " span .badge { (pieces) span .unseen { " in it" } }
                            }
                        }
                        (link("/session", "Session"))
                        @match visitor.map(|visitor| visitor.user.as_deref()) {
                            Some(Some(user)) => form method="post" action="/logout" {
                                button .plain { "Log out" span .unseen { " " (user) } }
                            },
                            Some(None) => (link("/login", "Log in")),
                            None => {},
                        }
                    }
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

fn icon(id: &str) -> Markup {
    html! {
        svg aria-hidden="true" viewBox="0 0 24 24" width="24" height="24" {
            use href={ "/assets/icons.svg#" (id) } {}
        }
    }
}

pub(crate) fn front(visitor: &Visitor, visits: i64, clicks: i64) -> Markup {
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
            @for product in &CATALOGUE { li { (offer(product)) } }
        }
        section #clicks .panel aria-labelledby="clicks-title" {
            h2 #clicks-title { "Ten clicks at once" }
            p {
                "The button sends ten requests at the same moment, and each adds one to a number "
                "in your session. None is lost. Without JavaScript it is one request that adds ten."
            }
            form method="post" action="/clicks" {
                button name="times" value="10" { "Ten clicks at once" }
                p .count {
                    "Clicks so far: " strong #click-count { (clicks) }
                    br;
                    output #click-result {}
                }
            }
        }
        script src="/assets/clicks.js" defer {}
    };
    layout("Shop", "/", Some(visitor), &main)
}

fn offer(product: &Product) -> Markup {
    html! {
        article .panel {
            div .picture { (icon(product.id)) }
            h2 { (product.name) }
            p { (product.about) }
            form method="post" action={ "/cart/" (product.id) "/add" } {
                span .price { (product.price) }
                button { "Add to cart" span .unseen { " " (product.name) } }
            }
        }
    }
}

pub(crate) fn cart(visitor: &Visitor, cart: &Cart) -> Markup {
    let main = html! {
        h1 { "Your cart" }
        @if cart.lines.is_empty() {
            p .lead { "It is empty. " a href="/" { "Have a look around" } "." }
        } @else {
            ul .cart { @for line in &cart.lines { li .panel { (cart_line(line)) } } }
            p .total { "Total " strong { (cart.total()) } }
            @if visitor.user.is_none() {
                p { a href="/login" { "Log in" } ", and the cart comes along." }
            }
        }
    };
    layout("Cart", "/cart", Some(visitor), &main)
}

fn cart_line(line: &Line) -> Markup {
    let Line { product, quantity } = line;
    let field = format!("quantity-{}", product.id);
    html! {
        div .picture { (icon(product.id)) }
        h2 { (product.name) }
        p .price { (line.price()) }
        div .changes {
            form method="post" action={ "/cart/" (product.id) "/quantity" } {
                label for=(field) { "Quantity" span .unseen { " of " (product.name) } }
                input #(field) name="quantity" type="number" inputmode="numeric"
                    value=(quantity) min="0" max=(MOST) required;
                button .second { "Change" span .unseen { " quantity of " (product.name) } }
            }
            form method="post" action={ "/cart/" (product.id) "/remove" } {
                button .plain { "Remove" span .unseen { " " (product.name) } }
            }
        }
    }
}

/// The form, filled in with `name`, and what was wrong with it.
pub(crate) fn login(visitor: &Visitor, name: &str, problem: Option<&str>) -> Markup {
    let main = html! {
        h1 { "Log in" }
        p .lead { "Any name will do, and there is no password: this is a demo." }
        form .panel .login method="post" action="/login" {
            label for="name" { "Your name" }
            input #name name="name" value=(name) autocomplete="username" required
                maxlength=(LONGEST_NAME) aria-invalid=[problem.map(|_| "true")]
                aria-describedby=[problem.map(|_| "problem")];
            @if let Some(problem) = problem { p #problem .problem { (problem) } }
            button { "Log in" }
        }
        p {
            "Your cart stays, and your cookie gets a new secret: "
            "whoever had seen the old one can do nothing with it."
        }
    };
    layout("Log in", "/login", Some(visitor), &main)
}

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
    Ok(layout("Session", "/session", Some(visitor), &main))
}

fn times(session: &ReadSession) -> Markup {
    let now = SystemClock::default().now();
    let ago = |at: Timestamp| words(now.since(at)) + " ago";
    let ahead = |at: Timestamp| "in ".to_owned() + &words(at.since(now));
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

pub(crate) fn error(status: StatusCode, title: &str, advice: &str) -> Markup {
    let main = html! {
        p .status { "Error " (status.as_u16()) }
        h1 { (title) }
        p .lead { (advice) }
        p { a href="/" { "Back to the shop" } }
    };
    layout(title, "", None, &main)
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

    #[test]
    fn what_visitors_write_is_escaped() {
        let visitor = Visitor {
            user: Some("<b>Ann</b>".into()),
            ..Visitor::default()
        };
        let html = front(&visitor, 1, 0).into_string();
        assert!(html.contains("&lt;b&gt;Ann"));
        assert!(!html.contains("<b>Ann"));
    }
}
