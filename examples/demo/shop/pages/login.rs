use maud::{Markup, html};

use super::layout::{Head, layout, token};
use crate::shop::visitor::Visitor;

/// In characters.
pub(crate) const LONGEST_NAME: usize = 40;

/// The form, filled in with `name`, and what was wrong with it.
pub(crate) fn login(visitor: &Visitor, name: &str, problem: Option<&str>) -> Markup {
    let main = html! {
        h1 { "Log in" }
        p .lead { "Any name will do, and there is no password: this is a demo." }
        form .panel .login method="post" action="/login" {
            (token(visitor))
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
    let head = Head {
        title: "Log in",
        here: "/login",
        ..Head::default()
    };
    layout(&head, Some(visitor), &main)
}
