//! A browser for tests: requests to a service in this process, with a cookie jar.

use std::fmt;
use std::future::poll_fn;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{AsHeaderName, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower_keep_core::{Clock, SystemClock};
use tower_service::Service;

use crate::jar::Jar;

/// Sends requests to a [`tower` service](Service) as one browser would over `https`: it follows
/// every `Set-Cookie` (name, value, `Path`, `Max-Age`, the promises of `__Host-` and `__Secure-`
/// names) and sends the cookies back. `Domain` and `Expires` are not looked at.
///
/// A clone is another tab of the same browser, with the same cookies; [`fork`](Self::fork) is
/// another browser that starts with a copy of them, as a thief of a cookie does.
///
/// ```
/// use std::convert::Infallible;
/// use http::{Request, Response, header};
/// use tower_keep_testkit::TestClient;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let service = tower::service_fn(async |request: Request<_>| {
///     let cookies = request.headers().get(header::COOKIE);
///     let seen = cookies.map_or("nothing", |c| c.to_str().unwrap()).to_owned();
///     let response = Response::builder().header(header::SET_COOKIE, "id=7; Path=/; Secure");
///     Ok::<_, Infallible>(response.body(seen).unwrap())
/// });
/// let client = TestClient::new(service);
/// assert_eq!(client.get("/").await.text(), "nothing");
/// assert_eq!(client.cookie("id").as_deref(), Some("7"));
/// assert_eq!(client.clone().get("/").await.text(), "id=7");
/// # }
/// ```
pub struct TestClient<S, B = Full<Bytes>> {
    service: S,
    jar: Arc<Mutex<Jar>>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What every request carries unless it says otherwise.
    pub(crate) headers: HeaderMap,
    body: PhantomData<fn() -> B>,
}

impl<S> TestClient<S> {
    /// A client without cookies for a service that takes `Request<Full<Bytes>>`, as one that is
    /// generic over its body does.
    pub fn new(service: S) -> Self {
        Self::with_body(service)
    }
}

impl<S, B> TestClient<S, B> {
    /// A client without cookies for a service whose request body is `B`.
    pub fn with_body(service: S) -> Self {
        Self {
            service,
            jar: Arc::default(),
            clock: Arc::new(SystemClock::default()),
            headers: HeaderMap::new(),
            body: PhantomData,
        }
    }

    /// The same client, whose cookies end by this clock instead of the system's.
    #[must_use]
    pub fn with_clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Another browser with a copy of the cookies.
    #[must_use]
    pub fn fork(&self) -> Self
    where
        S: Clone,
    {
        let jar = self.jar().clone();
        Self {
            jar: Arc::new(Mutex::new(jar)),
            ..self.clone()
        }
    }

    /// The value of the cookie that a request for `/` would carry under this name.
    pub fn cookie(&self, name: &str) -> Option<String> {
        let now = self.clock.now();
        self.jar().get(name, "/", now).map(str::to_owned)
    }

    /// Sets a cookie for all paths, without an end.
    pub fn set_cookie(&self, name: &str, value: &str) {
        self.jar().set(name, value);
    }

    /// Forgets all cookies.
    pub fn clear_cookies(&self) {
        self.jar().clear();
    }

    fn jar(&self) -> MutexGuard<'_, Jar> {
        // Every change under the lock is complete or did not begin.
        self.jar.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S, B, R> TestClient<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
{
    /// Sends a request with the cookies for its path, and follows the answer's. A `Cookie` header
    /// that the request has already is sent instead of the jar's. The body of the answer is still
    /// to be read.
    ///
    /// # Errors
    /// What the service failed with.
    pub async fn send(&self, mut request: Request<B>) -> Result<Response<R>, S::Error> {
        let path = request.uri().path().to_owned();
        let cookies = self.jar().header(&path, self.clock.now());
        // A value that cannot be a header's was not set by one.
        if let Some(cookies) = cookies.and_then(|c| HeaderValue::try_from(c).ok()) {
            request.headers_mut().entry(COOKIE).or_insert(cookies);
        }
        for (name, value) in &self.headers {
            request.headers_mut().entry(name).or_insert(value.clone());
        }
        let mut service = self.service.clone();
        poll_fn(|cx| service.poll_ready(cx)).await?;
        let response = service.call(request).await?;
        let now = self.clock.now();
        for value in response.headers().get_all(SET_COOKIE) {
            if let Ok(value) = value.to_str() {
                self.jar().follow(value, &path, now);
            }
        }
        Ok(response)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Panics
    /// If the service or the body of its answer fails; [`send`](Self::send) gives the error.
    pub async fn request(&self, request: Request<B>) -> TestResponse
    where
        S::Error: fmt::Debug,
        R: Body,
        R::Error: fmt::Debug,
    {
        let line = format!("{} {}", request.method(), request.uri());
        let (parts, body) = ok(&line, self.send(request).await).into_parts();
        TestResponse {
            status: parts.status,
            headers: parts.headers,
            body: ok(&line, body.collect().await).to_bytes(),
        }
    }

    /// Sends a `GET` request for a path (with a query) and reads the whole answer.
    ///
    /// # Panics
    /// As [`request`](Self::request), and if `path` is no URI.
    pub async fn get(&self, path: &str) -> TestResponse
    where
        B: From<Bytes>,
        S::Error: fmt::Debug,
        R: Body,
        R::Error: fmt::Debug,
    {
        self.simple(Method::GET, path, None, Bytes::new()).await
    }

    /// Sends a `POST` request with this body and no `Content-Type`, and reads the whole answer.
    ///
    /// # Panics
    /// As [`request`](Self::request), and if `path` is no URI.
    pub async fn post(&self, path: &str, body: impl Into<Bytes>) -> TestResponse
    where
        B: From<Bytes>,
        S::Error: fmt::Debug,
        R: Body,
        R::Error: fmt::Debug,
    {
        self.simple(Method::POST, path, None, body.into()).await
    }

    pub(crate) async fn simple(
        &self,
        method: Method,
        path: &str,
        content_type: Option<&str>,
        body: Bytes,
    ) -> TestResponse
    where
        B: From<Bytes>,
        S::Error: fmt::Debug,
        R: Body,
        R::Error: fmt::Debug,
    {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(content_type) = content_type {
            request = request.header(CONTENT_TYPE, content_type);
        }
        let request = ok(path, request.body(B::from(body)));
        self.request(request).await
    }
}

impl<S: Clone, B> Clone for TestClient<S, B> {
    fn clone(&self) -> Self {
        Self {
            service: self.service.clone(),
            jar: self.jar.clone(),
            clock: self.clock.clone(),
            headers: self.headers.clone(),
            body: PhantomData,
        }
    }
}

impl<S, B> fmt::Debug for TestClient<S, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").finish_non_exhaustive()
    }
}

#[expect(clippy::panic, reason = "a request that cannot be sent fails the test")]
pub(crate) fn ok<T, E: fmt::Debug>(what: &str, result: Result<T, E>) -> T {
    result.unwrap_or_else(|error| panic!("{what}: {error:?}"))
}

/// An answer, read to its end.
///
/// `Debug` does not show the headers, where cookies are.
#[derive(Clone)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl TestResponse {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first header of this name, if it is there and is text.
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The values of all `Set-Cookie` headers, lossily as text.
    pub fn set_cookies(&self) -> Vec<String> {
        let values = self.headers.get_all(SET_COOKIE).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
            .collect()
    }

    /// The body.
    pub fn bytes(&self) -> &Bytes {
        &self.body
    }

    /// The body, lossily as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl fmt::Debug for TestResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestResponse")
            .field("status", &self.status)
            .field("body", &self.text())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TestClock;
    use std::convert::Infallible;
    use std::time::Duration;

    /// Sets the cookie that the query names and answers with those it was sent.
    async fn echo(request: Request<Full<Bytes>>) -> Result<Response<String>, Infallible> {
        let sent = request.headers().get(COOKIE).cloned();
        let sent = sent.map_or(String::new(), |c| c.to_str().unwrap().into());
        let mut response = Response::new(sent);
        if let Some(query) = request.uri().query() {
            let value = query.replace('+', " ").parse().unwrap();
            response.headers_mut().insert(SET_COOKIE, value);
        }
        Ok(response)
    }

    #[tokio::test]
    async fn tabs_share_cookies_and_forks_do_not() {
        let client = TestClient::new(tower::service_fn(echo));
        let response = client.get("/?a=1;+Path=/").await;
        assert_eq!(response.set_cookies(), ["a=1; Path=/"]);
        let (tab, thief) = (client.clone(), client.fork());
        tab.get("/?a=2;+Path=/").await;
        assert_eq!(client.get("/").await.text(), "a=2");
        assert_eq!(thief.get("/").await.text(), "a=1");
        client.clear_cookies();
        assert_eq!(tab.cookie("a"), None);
        assert_eq!(thief.cookie("a").as_deref(), Some("1"));
    }

    #[tokio::test]
    async fn cookies_end_by_the_given_clock() {
        let clock = TestClock::new();
        let client = TestClient::new(tower::service_fn(echo)).with_clock(clock.clone());
        client.get("/?a=1;+Path=/;+Max-Age=60").await;
        clock.advance(Duration::from_secs(59));
        assert_eq!(client.cookie("a").as_deref(), Some("1"));
        clock.advance(Duration::from_secs(1));
        assert_eq!(client.cookie("a"), None);
    }

    #[tokio::test]
    async fn a_cookie_header_of_the_request_goes_before_the_jar() {
        let client = TestClient::new(tower::service_fn(echo));
        client.set_cookie("a", "1");
        let own = Request::builder().uri("/").header(COOKIE, "b=2");
        let own = own.body(Full::default()).unwrap();
        assert_eq!(client.request(own).await.text(), "b=2");
        assert_eq!(client.post("/", "x").await.text(), "a=1");
    }
}
