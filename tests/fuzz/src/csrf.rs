//! The body of a form, in which the CSRF layer looks for its token. `TOKEN` stands for the right one.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{any, get};
use http::header::{CONTENT_TYPE, COOKIE, HOST, SET_COOKIE};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tokio::runtime::Runtime;
use tower::ServiceExt;
use tower_keep::{CsrfLayer, MemoryStore, Session, SessionLayer};

const PLACE: &[u8] = b"TOKEN";
/// In the order in which they count.
const FIELDS: [&str; 4] = ["_token", "_csrf", "_csrf_token", "csrf"];

thread_local! {
    static SITE: Site = Site::new();
}

pub(crate) fn check(input: &[u8]) {
    SITE.with(|site| site.check(input));
}

/// An app behind the layer, and a visitor with a token.
struct Site {
    runtime: Runtime,
    app: Router,
    cookie: String,
    token: String,
}

impl Site {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        let app = Router::new()
            .route("/form", get(async |session: Session| session.csrf_token()))
            .route("/do", any(async |body: Bytes| body))
            .layer(CsrfLayer::builder().build().unwrap())
            .layer(SessionLayer::new(MemoryStore::new()));
        let asked = Request::get("/form").header(HOST, "shop.example");
        let asked = asked.body(Body::empty()).unwrap();
        let answer = runtime.block_on(app.clone().oneshot(asked)).unwrap();
        let cookie = answer.headers()[SET_COOKIE].to_str().unwrap();
        let cookie = cookie.split(';').next().unwrap().to_owned();
        let token = runtime.block_on(answer.into_body().collect()).unwrap();
        Self {
            runtime,
            app,
            cookie,
            token: String::from_utf8(token.to_bytes().to_vec()).unwrap(),
        }
    }

    fn check(&self, input: &[u8]) {
        let form = with_token(input, self.token.as_bytes());
        let expected = match given(&form) {
            Some(token) if token == self.token => StatusCode::OK,
            _ => StatusCode::FORBIDDEN,
        };
        let request = Request::post("/do")
            .header(HOST, "shop.example")
            .header(COOKIE, &self.cookie)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(Body::from(form.clone()))
            .unwrap();
        let answer = self.runtime.block_on(self.app.clone().oneshot(request));
        let answer = answer.unwrap();
        assert_eq!(answer.status(), expected);
        let body = self.runtime.block_on(answer.into_body().collect()).unwrap();
        let body = body.to_bytes();
        if expected == StatusCode::OK {
            assert_eq!(body, form, "the handler has the form as it came");
        } else {
            assert!(!contains(&body, self.token.as_bytes()));
        }
    }
}

/// The token as the URL standard's reader of forms finds it.
fn given(form: &[u8]) -> Option<String> {
    let fields: Vec<_> = form_urlencoded::parse(form).collect();
    FIELDS.iter().find_map(|name| {
        let mut of_name = fields
            .iter()
            .filter(|(field, value)| field == name && !value.is_empty());
        Some(of_name.next()?.1.clone().into_owned())
    })
}

fn with_token(input: &[u8], token: &[u8]) -> Vec<u8> {
    let mut form = Vec::with_capacity(input.len() + token.len());
    let mut rest = input;
    while let Some(byte) = rest.first() {
        if let Some(behind) = rest.strip_prefix(PLACE) {
            form.extend(token);
            rest = behind;
        } else {
            form.push(*byte);
            rest = &rest[1..];
        }
    }
    form
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
