//! The same small app on every library, and on none.
//!
//! `/unused` does not mention the session, `/read` reads `n`, `/increment` counts it up, `/new`
//! sets it, `/fill` sets `n` and 49 others, 4 KiB in all.

#[cfg(feature = "peers")]
mod axum_session;
mod bare;
mod keep;
#[cfg(feature = "peers")]
mod tower_sessions;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use tower::ServiceExt;

/// A library's app on its store in memory.
pub struct Contender {
    pub name: &'static str,
    pub app: Router,
}

/// The bare app, then tower-keep, then the peers, then what any layer costs.
pub async fn all() -> Vec<Contender> {
    let contender = |name, app| Contender { name, app };
    vec![
        contender("bare axum", bare::app()),
        contender("tower-keep", keep::app()),
        #[cfg(feature = "peers")]
        contender("tower-sessions 0.15", tower_sessions::app()),
        #[cfg(feature = "peers")]
        contender("axum_session 0.22", axum_session::app().await),
        contender("a layer that does nothing", bare::layered()),
    ]
}

/// A request with these cookies, if any.
pub fn request(path: &str, cookie: Option<&str>) -> Request<Body> {
    let mut request = Request::builder().uri(path);
    if let Some(cookie) = cookie {
        request = request.header(header::COOKIE, cookie);
    }
    request.body(Body::empty()).expect("a valid request")
}

impl Contender {
    /// The cookies that a new visitor gets at `path`; none from the bare app.
    pub async fn visit(&self, path: &str) -> String {
        let response = self.app.clone().oneshot(request(path, None)).await;
        let response = response.expect("an answer");
        assert!(
            response.status().is_success(),
            "{}: {}",
            self.name,
            response.status()
        );
        let pairs = response.headers().get_all(header::SET_COOKIE).iter();
        let pairs = pairs.filter_map(|value| value.to_str().ok()?.split(';').next());
        let pairs: Vec<_> = pairs.filter(|pair| !pair.ends_with('=')).collect();
        pairs.join("; ")
    }
}

/// The 49 other entries of a full session.
fn others() -> impl Iterator<Item = (String, String)> {
    (0..49).map(|number| (format!("key{number:02}"), "x".repeat(72)))
}
