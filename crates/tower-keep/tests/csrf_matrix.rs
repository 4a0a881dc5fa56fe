//! What passes the CSRF layer and what does not: one table, from which `docs/csrf.md` is made and
//! by which requests are sent.
//!
//! `KEEP_BLESS=1` writes the page anew.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::fmt::Write as _;

use axum::Router;
use axum::body::Body;
use axum::routing::{any, get};
use common::{Backend, Client};
use http::{Method, Request, StatusCode};
use tower_keep::{CsrfLayer, CsrfRefusal, Session};

use Answer::{No, Pass};
use CsrfRefusal::{CrossSite, ForeignOrigin, NoSession, NoToken, NullOrigin, WrongToken};

/// A kind of value in a request: how the page calls it, and what it looks like.
struct Kind {
    name: &'static str,
    examples: &'static [&'static str],
}

const METHODS: [Kind; 3] = [
    Kind {
        name: "GET, HEAD, OPTIONS, TRACE",
        examples: &["GET", "HEAD", "OPTIONS", "TRACE"],
    },
    Kind {
        name: "any other",
        examples: &[
            "POST", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "get",
        ],
    },
    Kind {
        name: "opening a WebSocket",
        examples: &["GET websocket", "CONNECT websocket"],
    },
];
const SAFE: usize = 0;
const OTHER: usize = 1;
const SOCKET: usize = 2;

const SITES: [Kind; 3] = [
    Kind {
        name: "not there",
        examples: &["-"],
    },
    Kind {
        name: "`same-origin`, `none`",
        examples: &["same-origin", "none"],
    },
    Kind {
        name: "`same-site`, `cross-site`, anything else",
        examples: &[
            "same-site",
            "cross-site",
            "",
            "Same-Origin",
            "none, same-origin",
        ],
    },
];
const NO_SITE: usize = 0;
const SAME: usize = 1;
const CROSS: usize = 2;

const ORIGINS: [Kind; 5] = [
    Kind {
        name: "not there",
        examples: &["-"],
    },
    Kind {
        name: "the app's own",
        examples: &["https://shop.example"],
    },
    Kind {
        name: "trusted",
        examples: &["https://admin.example:8443"],
    },
    Kind {
        name: "another",
        examples: &[
            "https://evil.test",
            "http://shop.example",
            "https://shop.example:8443",
            "https://shop.example.evil.test",
            "https://admin.example",
            "garbage",
            "",
        ],
    },
    Kind {
        name: "`null`",
        examples: &["null"],
    },
];
const NO_ORIGIN: usize = 0;
const OWN: usize = 1;
const TRUSTED: usize = 2;
const FOREIGN: usize = 3;
const NULL: usize = 4;

const TOKENS: [Kind; 4] = [
    Kind {
        name: "the session's",
        examples: &["x-csrf-token", "x-xsrf-token", "field"],
    },
    Kind {
        name: "another's",
        examples: &["x-csrf-token", "x-xsrf-token", "field"],
    },
    Kind {
        name: "none, or empty",
        examples: &["-", "x-csrf-token", "field"],
    },
    Kind {
        name: "any, without a session",
        examples: &["x-csrf-token", "field"],
    },
];
const RIGHT: usize = 0;
const WRONG: usize = 1;
const MISSING: usize = 2;
const LOST: usize = 3;

#[derive(Clone, Copy, PartialEq, Debug)]
enum Answer {
    Pass,
    No(CsrfRefusal),
}

/// Of these kinds (an empty list is any), the usual answer and the one with `require_token`.
struct Row {
    methods: &'static [usize],
    sites: &'static [usize],
    origins: &'static [usize],
    tokens: &'static [usize],
    usual: Answer,
    strict: Answer,
}

const fn row(
    methods: &'static [usize],
    sites: &'static [usize],
    origins: &'static [usize],
    tokens: &'static [usize],
    usual: Answer,
    strict: Answer,
) -> Row {
    Row {
        methods,
        sites,
        origins,
        tokens,
        usual,
        strict,
    }
}

#[rustfmt::skip]
const TABLE: &[Row] = &[
    row(&[SAFE],          &[],        &[],                               &[],        Pass,              Pass),
    row(&[OTHER],         &[SAME],    &[],                               &[RIGHT],   Pass,              Pass),
    row(&[OTHER],         &[SAME],    &[],                               &[WRONG],   Pass,              No(WrongToken)),
    row(&[OTHER],         &[SAME],    &[],                               &[MISSING], Pass,              No(NoToken)),
    row(&[OTHER],         &[SAME],    &[],                               &[LOST],    Pass,              No(NoSession)),
    row(&[OTHER],         &[CROSS],   &[TRUSTED],                        &[RIGHT],   Pass,              Pass),
    row(&[OTHER],         &[CROSS],   &[TRUSTED],                        &[WRONG],   Pass,              No(WrongToken)),
    row(&[OTHER],         &[CROSS],   &[TRUSTED],                        &[MISSING], Pass,              No(NoToken)),
    row(&[OTHER],         &[CROSS],   &[TRUSTED],                        &[LOST],    Pass,              No(NoSession)),
    row(&[OTHER],         &[NO_SITE], &[OWN, TRUSTED],                   &[RIGHT],   Pass,              Pass),
    row(&[OTHER],         &[NO_SITE], &[OWN, TRUSTED],                   &[WRONG],   Pass,              No(WrongToken)),
    row(&[OTHER],         &[NO_SITE], &[OWN, TRUSTED],                   &[MISSING], Pass,              No(NoToken)),
    row(&[OTHER],         &[NO_SITE], &[OWN, TRUSTED],                   &[LOST],    Pass,              No(NoSession)),
    row(&[SOCKET],        &[SAME],    &[],                               &[],        Pass,              Pass),
    row(&[SOCKET],        &[CROSS],   &[TRUSTED],                        &[],        Pass,              Pass),
    row(&[SOCKET],        &[NO_SITE], &[OWN, TRUSTED],                   &[],        Pass,              Pass),
    row(&[OTHER, SOCKET], &[CROSS],   &[NO_ORIGIN, OWN, FOREIGN, NULL],  &[],        No(CrossSite),     No(CrossSite)),
    row(&[OTHER, SOCKET], &[NO_SITE], &[FOREIGN],                        &[],        No(ForeignOrigin), No(ForeignOrigin)),
    row(&[OTHER, SOCKET], &[NO_SITE], &[NULL],                           &[],        No(NullOrigin),    No(NullOrigin)),
    row(&[OTHER, SOCKET], &[NO_SITE], &[NO_ORIGIN],                      &[RIGHT],   Pass,              Pass),
    row(&[OTHER, SOCKET], &[NO_SITE], &[NO_ORIGIN],                      &[WRONG],   No(WrongToken),    No(WrongToken)),
    row(&[OTHER, SOCKET], &[NO_SITE], &[NO_ORIGIN],                      &[MISSING], No(NoToken),       No(NoToken)),
    row(&[OTHER, SOCKET], &[NO_SITE], &[NO_ORIGIN],                      &[LOST],    No(NoSession),     No(NoSession)),
];

/// The one row that is about these kinds.
fn find(method: usize, site: usize, origin: usize, token: usize) -> &'static Row {
    let has = |kinds: &[usize], kind| kinds.is_empty() || kinds.contains(&kind);
    let mut rows = TABLE.iter().filter(|row| {
        has(row.methods, method)
            && has(row.sites, site)
            && has(row.origins, origin)
            && has(row.tokens, token)
    });
    let found = rows.next();
    let kinds = (method, site, origin, token);
    assert!(rows.next().is_none(), "two rows for {kinds:?}");
    found.unwrap_or_else(|| panic!("no row for {kinds:?}"))
}

fn every() -> impl Iterator<Item = [usize; 4]> {
    let kinds = METHODS.len() * SITES.len() * ORIGINS.len() * TOKENS.len();
    (0..kinds).map(|n| {
        let (n, method) = (n / METHODS.len(), n % METHODS.len());
        let (n, site) = (n / SITES.len(), n % SITES.len());
        let (token, origin) = (n / ORIGINS.len(), n % ORIGINS.len());
        [method, site, origin, token]
    })
}

fn page() -> String {
    let mut page = String::from(include_str!("csrf/head.md"));
    let name = |kinds: &[usize], of: &[Kind]| {
        let names: Vec<_> = kinds.iter().map(|kind| of[*kind].name).collect();
        if names.is_empty() {
            return "any".to_owned();
        }
        names.join("; ")
    };
    let answer = |answer| match answer {
        Pass => "passes".to_owned(),
        No(refusal) => format!("`{refusal:?}`"),
    };
    for row in TABLE {
        let cells = [
            name(row.methods, &METHODS),
            name(row.sites, &SITES),
            name(row.origins, &ORIGINS),
            name(row.tokens, &TOKENS),
            answer(row.usual),
            answer(row.strict),
        ];
        writeln!(page, "| {} |", cells.join(" | ")).unwrap();
    }
    page += "\n| refusal | status | what the client is told |\n|---|---|---|\n";
    for refusal in [
        CrossSite,
        NullOrigin,
        ForeignOrigin,
        NoToken,
        NoSession,
        WrongToken,
        CsrfRefusal::FormTooLarge,
        CsrfRefusal::FormBroken,
    ] {
        let status = match refusal {
            CsrfRefusal::FormTooLarge => "413",
            CsrfRefusal::FormBroken => "400",
            _ => "403, or as `status` says",
        };
        writeln!(page, "| `{refusal:?}` | {status} | {refusal} |").unwrap();
    }
    page
}

#[test]
fn d1_the_page_is_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/csrf.md");
    if std::env::var_os("KEEP_BLESS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    let written = std::fs::read_to_string(path).unwrap();
    assert!(
        written == page(),
        "docs/csrf.md is not what the table says: run this test with KEEP_BLESS=1"
    );
}

/// Makes the request of one example of each kind.
fn request(method: &str, site: &str, origin: &str, place: &str, token: &str) -> Request<Body> {
    let (method, socket) = match method.split_once(' ') {
        Some((method, _)) => (method, true),
        None => (method, false),
    };
    let method: Method = method.parse().unwrap();
    let mut request = Request::builder().uri("/do").header("host", "shop.example");
    if socket && method == Method::GET {
        request = request.header("upgrade", "h2c, WebSocket");
    } else if socket {
        request = request.header("sec-websocket-version", "13");
    }
    if site != "-" {
        request = request.header("sec-fetch-site", site);
    }
    if origin != "-" {
        request = request.header("origin", origin);
    }
    let mut body = Body::empty();
    if place == "field" {
        request = request.header("content-type", "application/x-www-form-urlencoded");
        body = Body::from(format!("amount=10&_token={token}"));
    } else if place != "-" {
        request = request.header(place, token);
    }
    request.method(method).body(body).unwrap()
}

fn client(backend: &Backend, strict: bool) -> Client {
    let csrf = CsrfLayer::builder()
        .trusted_origin("https://admin.example:8443")
        .require_token(strict)
        .build()
        .unwrap();
    let routes = Router::new()
        .route("/form", get(async |s: Session| s.csrf_token()))
        .route("/do", any(async || "done"))
        .layer(csrf);
    backend.client(routes)
}

/// What the client is told of this.
fn text(answer: Answer) -> String {
    match answer {
        Pass => "done".to_owned(),
        No(refusal) => format!("{refusal}\n"),
    }
}

#[tokio::test(start_paused = true)]
async fn d1_requests_are_answered_as_the_table_says() {
    let backend = Backend::local();
    for strict in [false, true] {
        let known = client(&backend, strict);
        let stranger = client(&backend, strict);
        let right = known.get("/form").await.text();
        let wrong = stranger.get("/form").await.text();
        stranger.clear_cookies();
        let mut sent = 0;
        for [method, site, origin, token] in every() {
            let row = find(method, site, origin, token);
            let expected = if strict { row.strict } else { row.usual };
            let (client, value) = match token {
                RIGHT => (&known, right.as_str()),
                WRONG => (&known, wrong.as_str()),
                MISSING => (&known, ""),
                _ => (&stranger, right.as_str()),
            };
            for method in METHODS[method].examples {
                for site in SITES[site].examples {
                    for origin in ORIGINS[origin].examples {
                        for place in TOKENS[token].examples {
                            let example = request(method, site, origin, place, value);
                            let seen = client.request(example).await;
                            let what = format!(
                                "{method} site {site:?} origin {origin:?} token {token} in {place}"
                            );
                            let status = match expected {
                                Pass => StatusCode::OK,
                                No(_) => StatusCode::FORBIDDEN,
                            };
                            assert_eq!(seen.status(), status, "{what} strict {strict}");
                            // Answers to HEAD have no body, those to CONNECT only if it is refused.
                            let bare = *method == "HEAD" || method.starts_with("CONNECT");
                            if !bare || (expected != Pass && *method != "HEAD") {
                                assert_eq!(seen.text(), text(expected), "{what}");
                            }
                            sent += 1;
                        }
                    }
                }
            }
        }
        assert!(sent > 5_000, "{sent}");
    }
}
