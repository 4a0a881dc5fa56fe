use maud::{Markup, PreEscaped};
use tower_keep_devices::Page;

use super::layout::{Head, layout};
use crate::shop::visitor::Visitor;

/// What `tower-keep-devices` shows, which is English and escaped already, in this shop's frame.
pub(crate) fn devices(visitor: Option<&Visitor>, page: &Page<'_>) -> Markup {
    let head = Head {
        title: page.title,
        here: "/devices",
        style: Some(page.stylesheet),
        script: None,
    };
    layout(&head, visitor, &PreEscaped(page.content.to_owned()))
}
