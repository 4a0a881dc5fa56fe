//! A browser, and how it is looked at.

use std::ops::Deref;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;
use thirtyfour::common::capabilities::chromium::ChromiumLikeCapabilities;
use thirtyfour::prelude::*;

use crate::driver::Driver;

/// Chromium with a profile of its own, without a window. What [`WebDriver`] can do it can do.
///
/// Its fields are dropped in this order: the browser quits, then its driver, then its profile goes.
#[derive(Debug)]
pub struct Browser {
    web: WebDriver,
    _driver: Driver,
    _profile: TempDir,
}

/// How large a page is shown, and how.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// In CSS pixels.
    pub width: u32,
    /// In CSS pixels.
    pub height: u32,
    /// Whether the system asks for dark pages.
    pub dark: bool,
}

impl View {
    /// A window on a desk.
    pub const DESKTOP: Self = Self {
        width: 1024,
        height: 768,
        dark: false,
    };

    /// A small phone: as narrow as WCAG 2.2, 1.4.10, wants pages to be without scrolling sideways.
    pub const PHONE: Self = Self {
        width: 320,
        height: 640,
        dark: false,
    };

    /// The same, in the dark.
    #[must_use]
    pub const fn dark(self) -> Self {
        Self { dark: true, ..self }
    }
}

impl Browser {
    /// A browser as people have it.
    pub async fn open() -> Self {
        Self::start(true).await
    }

    /// One whose user has switched JavaScript off.
    pub async fn without_javascript() -> Self {
        Self::start(false).await
    }

    async fn start(javascript: bool) -> Self {
        let profile = TempDir::new().unwrap();
        let driver = Driver::start();
        let mut chrome = DesiredCapabilities::chrome();
        let directory = format!("--user-data-dir={}", profile.path().display());
        let mut arguments = vec![
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            // Chromium ends when its driver does, whatever that dies of.
            "--remote-debugging-pipe",
            directory.as_str(),
        ];
        if is_root() {
            // It refuses to run as root with one.
            arguments.push("--no-sandbox");
        }
        for argument in arguments {
            chrome.add_arg(argument).unwrap();
        }
        if !javascript {
            let off = json!({ "profile.managed_default_content_settings.javascript": 2 });
            chrome.add_experimental_option("prefs", off).unwrap();
        }
        chrome
            .set("goog:loggingPrefs", json!({ "browser": "ALL" }))
            .unwrap();
        let web = WebDriver::new(driver.url.clone(), chrome).await;
        let web = web.unwrap_or_else(|error| panic!("Chromium does not start: {error}"));
        Self {
            web,
            _driver: driver,
            _profile: profile,
        }
    }

    /// Shows pages like this from now on.
    pub async fn view(&self, view: View) {
        let size = json!({
            "width": view.width, "height": view.height, "deviceScaleFactor": 1, "mobile": false,
        });
        self.devtools("Emulation.setDeviceMetricsOverride", size)
            .await;
        let scheme = if view.dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        let media = json!({ "features": features });
        self.devtools("Emulation.setEmulatedMedia", media).await;
    }

    /// Keeps a picture of the whole page, however high it is.
    pub async fn picture(&self, view: View, path: &Path) {
        self.view(view).await;
        let height = "return document.documentElement.scrollHeight";
        let height = self.web.execute(height, Vec::new()).await.unwrap();
        let height = height.convert().unwrap();
        self.view(View { height, ..view }).await;
        self.web.screenshot(path).await.unwrap();
        self.view(view).await;
    }

    async fn devtools(&self, method: &str, parameters: serde_json::Value) {
        let answer = self.web.cdp().send_raw(method, parameters).await;
        answer.unwrap_or_else(|error| panic!("{method}: {error}"));
    }

    /// Gives it a cookie of the site whose page it shows, without an end.
    pub async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = Cookie::new(name.to_owned(), value.to_owned());
        self.web.add_cookie(cookie).await.unwrap();
    }

    /// The one element that this selector means.
    pub async fn the(&self, selector: &str) -> WebElement {
        let found = self.web.find_all(By::Css(selector)).await.unwrap();
        let [only] = <[WebElement; 1]>::try_from(found)
            .unwrap_or_else(|found| panic!("{} elements are {selector}", found.len()));
        only
    }

    /// All texts of the page that are seen.
    pub async fn text(&self) -> String {
        self.text_of("body").await
    }

    /// The path of the page's address.
    pub async fn path(&self) -> String {
        self.web.current_url().await.unwrap().path().to_owned()
    }

    /// What the page's own console has been told so far, such as what its policy forbids.
    pub async fn console(&self) -> Vec<String> {
        let entries = self.web.browser_log().await.unwrap();
        entries.into_iter().map(|entry| entry.message).collect()
    }
}

impl Deref for Browser {
    type Target = WebDriver;

    fn deref(&self) -> &WebDriver {
        &self.web
    }
}

/// Whether this process is root's: what it makes is.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}
