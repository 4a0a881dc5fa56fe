//! Header fields, forms and JSON without ceremony.

use std::fmt;

use bytes::Bytes;
use form_urlencoded::Serializer;
use http::header::{HeaderName, HeaderValue, LOCATION};
use http::{Method, Request, Response};
use http_body::Body;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tower_service::Service;

use crate::client::{TestClient, TestResponse, ok};

impl<S, B> TestClient<S, B> {
    /// The same client, all of whose requests carry this header field unless they have one of the
    /// name. A clone with it is another tab that behaves otherwise:
    ///
    /// ```
    /// # use std::convert::Infallible;
    /// # use http::{Request, Response};
    /// # use tower_keep_testkit::TestClient;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let client = TestClient::new(tower::service_fn(async |request: Request<_>| {
    /// #     let given = request.headers().get("x-requested-with");
    /// #     let given = given.map_or("", |value| value.to_str().unwrap()).to_owned();
    /// #     Ok::<_, Infallible>(Response::new(given))
    /// # }));
    /// let script = client.clone().with_header("x-requested-with", "XMLHttpRequest");
    /// assert_eq!(script.get("/").await.text(), "XMLHttpRequest");
    /// assert_eq!(client.get("/").await.text(), "");
    /// # }
    /// ```
    ///
    /// # Panics
    /// If these cannot be a header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        let value = ok(name, HeaderValue::try_from(value));
        self.headers
            .insert(ok(name, HeaderName::try_from(name)), value);
        self
    }
}

impl<S, B, R> TestClient<S, B>
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: fmt::Debug,
    B: From<Bytes>,
    R: Body,
    R::Error: fmt::Debug,
{
    /// Sends a `POST` request with the fields of a form, percent-encoded as a browser does, and
    /// reads the whole answer.
    ///
    /// # Panics
    /// As [`post`](Self::post).
    pub async fn post_form<K: AsRef<str>, V: AsRef<str>>(
        &self,
        path: &str,
        fields: impl IntoIterator<Item = (K, V)>,
    ) -> TestResponse {
        let body = Serializer::new(String::new()).extend_pairs(fields).finish();
        let kind = "application/x-www-form-urlencoded";
        self.simple(Method::POST, path, Some(kind), body.into())
            .await
    }

    /// Sends a `POST` request with this value as JSON, and reads the whole answer.
    ///
    /// # Panics
    /// As [`post`](Self::post), and if the value cannot be written as JSON.
    pub async fn post_json(&self, path: &str, value: &(impl Serialize + ?Sized)) -> TestResponse {
        let body = ok(path, serde_json::to_vec(value));
        self.simple(Method::POST, path, Some("application/json"), body.into())
            .await
    }
}

impl TestResponse {
    /// The body, read as JSON.
    ///
    /// # Panics
    /// If it is not a `T`.
    pub fn json<T: DeserializeOwned>(&self) -> T {
        ok(&self.text(), serde_json::from_slice(&self.body))
    }

    /// Where it redirects to.
    pub fn location(&self) -> Option<&str> {
        self.header(LOCATION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::{BodyExt, Full};
    use std::convert::Infallible;

    /// Answers with the type and the body of the request.
    async fn echo(request: Request<Full<Bytes>>) -> Result<Response<String>, Infallible> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get("content-type");
        let kind = kind.map_or("", |kind| kind.to_str().unwrap()).to_owned();
        let body = body.collect().await.unwrap().to_bytes();
        let answer = serde_json::json!([kind, String::from_utf8_lossy(&body)]);
        let response = Response::builder().header(LOCATION, "/next");
        Ok(response.body(answer.to_string()).unwrap())
    }

    #[tokio::test]
    async fn f4_forms_and_json_name_their_type() {
        let client = TestClient::new(tower::service_fn(echo));
        let form = client.post_form("/", [("a b", "1&2"), ("é", "")]).await;
        let expected = ["application/x-www-form-urlencoded", "a+b=1%262&%C3%A9="];
        assert_eq!(form.json::<Vec<String>>(), expected);
        let json = client.post_json("/", &[1, 2]).await;
        assert_eq!(json.json::<Vec<String>>(), ["application/json", "[1,2]"]);
        assert_eq!(json.location(), Some("/next"));
        let plain = client.post("/", "x").await;
        assert_eq!(plain.json::<Vec<String>>(), ["", "x"]);
        // What is given with the client goes after what is given with the request.
        let client = client.with_header("content-type", "text/plain");
        let json = client.post_json("/", &1).await;
        assert_eq!(json.json::<Vec<String>>(), ["application/json", "1"]);
        let plain = client.post("/", "x").await;
        assert_eq!(plain.json::<Vec<String>>(), ["text/plain", "x"]);
    }
}
