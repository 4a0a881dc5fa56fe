//! What an accessible page has, as far as a program can see it.

use crate::browser::Browser;

/// Finds what is wrong with the page that is shown; an empty list if it is nothing.
pub async fn problems(browser: &Browser) -> Vec<String> {
    let found = browser.execute(PROBLEMS, Vec::new()).await.unwrap();
    found.convert().unwrap()
}

/// The script that looks, with the numbers of the success criteria of WCAG 2.2.
pub const PROBLEMS: &str = include_str!("look.js");
