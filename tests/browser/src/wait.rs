//! Waiting for what a click leads to. Nothing here waits for a time: a question is asked again until
//! the answer is the one that is waited for, and each time takes as long as the browser's answer.

use std::time::Duration;

use thirtyfour::WebElement;
use thirtyfour::error::{WebDriverError, WebDriverErrorInner, WebDriverResult};
use thirtyfour::prelude::By;
use tokio::time::timeout;

use crate::browser::Browser;

/// Whoever waits for longer waits in vain.
const PATIENCE: Duration = Duration::from_mins(1);

impl Browser {
    /// Clicks what leads to another page, and waits for that page.
    pub async fn follow(&self, element: &WebElement) {
        self.leave(async || element.click().await.unwrap()).await;
    }

    /// Does what leads to another page, and waits until the old one is gone and the new one is
    /// complete. After a click alone the driver may still answer for the old page.
    pub async fn leave(&self, act: impl AsyncFnOnce()) {
        let old = self.the("html").await;
        act().await;
        self.until("the old page is gone", async || {
            old.tag_name().await.is_err_and(|error| is_gone(&error))
        })
        .await;
        self.until("the new page is complete", async || {
            // Asked in between two pages it is an error.
            let state = self.execute("return document.readyState", Vec::new()).await;
            state.is_ok_and(|state| state.json() == "complete")
        })
        .await;
    }

    /// Waits until it is so.
    pub async fn until(&self, what: &str, is_so: impl AsyncFn() -> bool) {
        let waiting = async { while !is_so().await {} };
        let became = timeout(PATIENCE, waiting).await.is_ok();
        assert!(became, "not so: {what}; the page is\n{}", self.text().await);
    }

    /// Waits until the one element that the selector means says this, somewhere.
    pub async fn until_says(&self, selector: &str, text: &str) {
        let what = format!("{selector} says {text:?}");
        self.until(&what, async || self.text_of(selector).await.contains(text))
            .await;
    }

    /// The text that is seen of the one element that the selector means.
    pub async fn text_of(&self, selector: &str) -> String {
        self.read(selector, async |element| element.text().await)
            .await
    }

    /// Reads something of the one element that the selector means; once more if that is replaced
    /// meanwhile.
    pub async fn read<T>(
        &self,
        selector: &str,
        read: impl AsyncFn(&WebElement) -> WebDriverResult<T>,
    ) -> T {
        let reading = async {
            loop {
                match self.find(By::Css(selector)).await {
                    Ok(element) => match read(&element).await {
                        Err(error) if is_gone(&error) => {}
                        other => return other.unwrap(),
                    },
                    Err(error) => panic!("{selector}: {error}"),
                }
            }
        };
        timeout(PATIENCE, reading).await.unwrap()
    }
}

/// Whether an element cannot be asked because its page, or it alone, is not there any more.
fn is_gone(error: &WebDriverError) -> bool {
    matches!(
        error.as_inner(),
        WebDriverErrorInner::StaleElementReference(_) | WebDriverErrorInner::NoSuchElement(_)
    )
}
