//! The document around a page's content, and its stylesheet.

use maud::{DOCTYPE, PreEscaped, html};

/// A page without the document around it: what [`Devices::layout`](crate::Devices::layout) is given.
///
/// All of it may stand in HTML as it is: `content` is HTML, and the others are escaped for texts and
/// for attribute values in quotes.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Page<'a> {
    /// The language, for `<html lang="…">`.
    pub lang: &'a str,
    /// The direction of its script, for `<html dir="…">`.
    pub dir: &'a str,
    /// The title, for `<title>`. The content has it as `<h1>`.
    pub title: &'a str,
    /// The address of the stylesheet, for `<link rel="stylesheet" href="…">` in the head. It touches
    /// nothing outside of the content.
    pub stylesheet: &'a str,
    /// The content, for the document's `<main>`: a `<section>` of its own.
    pub content: &'a str,
}

/// The policy with which [`document`] works, and no looser one than it needs: no script at all,
/// styles from the app's own origin, forms to it, and no frame of another site around it.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; \
                                 form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The page on its own.
pub(crate) fn document(page: &Page<'_>) -> String {
    html! {
        (DOCTYPE)
        html lang=(PreEscaped(page.lang)) dir=(PreEscaped(page.dir)) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (PreEscaped(page.title)) }
                link rel="stylesheet" href=(PreEscaped(page.stylesheet));
            }
            body .keep-page { main { (PreEscaped(page.content)) } }
        }
    }
    .into_string()
}

pub(crate) const STYLE: &str = include_str!("style.css");

/// The name of the stylesheet with what changes when it does, so that it can be kept for good.
pub(crate) fn style_name() -> String {
    /// FNV-1a: this is no secret, it only has to differ.
    const fn digest(text: &[u8]) -> u32 {
        let (mut hash, mut at) = (0x811c_9dc5_u32, 0);
        while at < text.len() {
            hash = (hash ^ text[at] as u32).wrapping_mul(0x0100_0193);
            at += 1;
        }
        hash
    }
    const DIGEST: u32 = digest(STYLE.as_bytes());
    format!("style.css?{DIGEST:08x}")
}
