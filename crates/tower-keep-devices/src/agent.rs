//! What a `User-Agent` says in plain words.
//!
//! A table of the common families: which browser, on which system. It is for people to tell their
//! own devices apart, so versions do not matter, and what is not in it is said to be unknown. Every
//! browser calls itself by the names of others too, so the first entry that fits counts.

/// What kind of thing a device is, as far as its system tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Computer,
    Phone,
    Tablet,
    Television,
    Unknown,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Computer => "computer",
            Self::Phone => "phone",
            Self::Tablet => "tablet",
            Self::Television => "television",
            Self::Unknown => "unknown",
        }
    }
}

/// The browser and the system that a client says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Agent {
    pub(crate) browser: Option<&'static str>,
    pub(crate) system: Option<&'static str>,
    pub(crate) kind: Kind,
}

impl Agent {
    pub(crate) fn of(user_agent: &str) -> Self {
        let browser = BROWSERS
            .iter()
            .find(|(token, _)| user_agent.contains(token));
        let system = SYSTEMS
            .iter()
            .find(|(token, ..)| user_agent.contains(token));
        let kind = match system {
            // Tablets do not call themselves mobile.
            Some((_, "Android", _)) if !user_agent.contains("Mobile") => Kind::Tablet,
            Some((.., kind)) => *kind,
            None => Kind::Unknown,
        };
        Self {
            browser: browser.map(|(_, name)| *name),
            system: system.map(|(_, name, _)| *name),
            kind,
        }
    }
}

const BROWSERS: &[(&str, &str)] = &[
    // They say `Chrome/` or `Safari/` as well.
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("OPiOS/", "Opera"),
    ("Opera", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Vivaldi/", "Vivaldi"),
    ("YaBrowser/", "Yandex Browser"),
    ("UCBrowser/", "UC Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Ddg/", "DuckDuckGo"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("Silk/", "Silk"),
    ("Whale/", "Whale"),
    ("Electron/", "Desktop app"),
    ("GSA/", "Google app"),
    ("SeaMonkey/", "SeaMonkey"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Epiphany/", "GNOME Web"),
    ("Safari/", "Safari"),
    ("MSIE ", "Internet Explorer"),
    ("Trident/", "Internet Explorer"),
    // Programs.
    ("curl/", "curl"),
    ("Wget/", "Wget"),
    ("HTTPie/", "HTTPie"),
    ("PostmanRuntime/", "Postman"),
    ("okhttp/", "Android app"),
];

const SYSTEMS: &[(&str, &str, Kind)] = &[
    ("Windows Phone", "Windows Phone", Kind::Phone),
    ("Xbox", "Xbox", Kind::Television),
    ("PlayStation", "PlayStation", Kind::Television),
    ("Web0S", "LG TV", Kind::Television),
    ("Tizen", "Samsung TV", Kind::Television),
    ("KAIOS", "KaiOS", Kind::Phone),
    ("Windows", "Windows", Kind::Computer),
    // They say `like Mac OS X` as well.
    ("iPad", "iPad", Kind::Tablet),
    ("iPhone", "iPhone", Kind::Phone),
    ("iPod", "iPod", Kind::Phone),
    ("Macintosh", "macOS", Kind::Computer),
    ("Mac OS X", "macOS", Kind::Computer),
    // It says `Linux` as well.
    ("Android", "Android", Kind::Phone),
    ("CrOS", "ChromeOS", Kind::Computer),
    ("FreeBSD", "FreeBSD", Kind::Computer),
    ("OpenBSD", "OpenBSD", Kind::Computer),
    ("Linux", "Linux", Kind::Computer),
    ("X11", "Linux", Kind::Computer),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "a table")]
    fn common_clients_are_told_apart() {
        for (browser, system, kind, user_agent) in [
            (
                "Firefox",
                "Linux",
                Kind::Computer,
                "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            (
                "Firefox",
                "Windows",
                Kind::Computer,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
            ),
            (
                "Firefox",
                "Android",
                Kind::Phone,
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
            ),
            (
                "Firefox",
                "iPhone",
                Kind::Phone,
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) FxiOS/140.0 Mobile/15E148 Safari/605.1.15",
            ),
            (
                "Chrome",
                "Windows",
                Kind::Computer,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
            ),
            (
                "Chrome",
                "Linux",
                Kind::Computer,
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/137.0.0.0 Safari/537.36",
            ),
            (
                "Chrome",
                "Android",
                Kind::Phone,
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Mobile Safari/537.36",
            ),
            (
                "Chrome",
                "Android",
                Kind::Tablet,
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
            ),
            (
                "Chrome",
                "iPad",
                Kind::Tablet,
                "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/137.0.7151.79 Mobile/15E148 Safari/604.1",
            ),
            (
                "Chrome",
                "ChromeOS",
                Kind::Computer,
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36",
            ),
            (
                "Edge",
                "Windows",
                Kind::Computer,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Edg/137.0.3296.52",
            ),
            (
                "Edge",
                "Android",
                Kind::Phone,
                "Mozilla/5.0 (Linux; Android 10; HD1913) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.7151.61 Mobile Safari/537.36 EdgA/137.0.3296.55",
            ),
            (
                "Opera",
                "macOS",
                Kind::Computer,
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 OPR/119.0.0.0",
            ),
            (
                "Vivaldi",
                "Linux",
                Kind::Computer,
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/137.0.0.0 Safari/537.36 Vivaldi/7.4.3684.43",
            ),
            (
                "Samsung Internet",
                "Android",
                Kind::Phone,
                "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
            ),
            (
                "DuckDuckGo",
                "iPhone",
                Kind::Phone,
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 DuckDuckGo/7 Safari/605.1.15",
            ),
            (
                "Safari",
                "macOS",
                Kind::Computer,
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 15_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Safari/605.1.15",
            ),
            (
                "Safari",
                "iPhone",
                Kind::Phone,
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.4 Mobile/15E148 Safari/604.1",
            ),
            (
                "Internet Explorer",
                "Windows",
                Kind::Computer,
                "Mozilla/5.0 (Windows NT 10.0; WOW64; Trident/7.0; rv:11.0) like Gecko",
            ),
            (
                "Edge",
                "Xbox",
                Kind::Television,
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; Xbox; Xbox One) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/58.0.3029.110 Safari/537.36 Edge/44.18363.8131",
            ),
        ] {
            let expected = Agent {
                browser: Some(browser),
                system: Some(system),
                kind,
            };
            assert_eq!(Agent::of(user_agent), expected, "{user_agent}");
        }
    }

    #[test]
    fn what_is_unknown_is_said_to_be() {
        let agent = |browser, system, kind| Agent {
            browser,
            system,
            kind,
        };
        for (user_agent, expected) in [
            ("", agent(None, None, Kind::Unknown)),
            ("<script>", agent(None, None, Kind::Unknown)),
            ("curl/8.5.0", agent(Some("curl"), None, Kind::Unknown)),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
                agent(None, Some("iPhone"), Kind::Phone),
            ),
            (
                "Lynx/2.9.2 libwww-FM/2.14 SSL-MM/1.4.1",
                agent(None, None, Kind::Unknown),
            ),
        ] {
            assert_eq!(Agent::of(user_agent), expected, "{user_agent}");
        }
    }
}
