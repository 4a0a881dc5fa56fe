//! Sessions under plain tower and hyper, without axum.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::convert::Infallible;

use bytes::Bytes;
use common::Backend;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceBuilder, service_fn};
use tower_keep::{Error, MemoryStore, ReadSession, Session, SessionHandle, SessionLayer};
use tower_keep_testkit::TestClient;

type Body = Full<Bytes>;

fn answer(result: Result<String, Error>) -> Response<Body> {
    match result {
        Ok(text) => Response::new(Body::from(text)),
        Err(error) => {
            let mut response = Response::new(Body::from(error.to_string()));
            *response.status_mut() = error.status();
            response
        }
    }
}

async fn route(request: Request<Body>) -> Result<String, Error> {
    match request.uri().path() {
        "/add" => {
            let session = Session::from_request(&request).await?;
            Ok(session.increment("n", 1)?.to_string())
        }
        "/n" => {
            let (parts, _) = request.into_parts();
            let session = ReadSession::from_request(&parts).await?;
            Ok(session.get_or("n", 0)?.to_string())
        }
        "/resume" => Ok(match Session::resume_from_request(&request).await? {
            Some(session) => session.increment("n", 10)?.to_string(),
            None => "none".into(),
        }),
        "/peek" => {
            let session = ReadSession::resume_from_request(&request).await?;
            Ok(session.is_some().to_string())
        }
        "/handle" => {
            let handle = SessionHandle::from_request(&request).await?;
            let add = async |session: Session| session.increment("n", 1);
            Ok(handle.write(add).await?.to_string())
        }
        "/logout" => Ok(Session::from_request(&request)
            .await?
            .destroy()?
            .to_string()),
        _ => Ok("nothing".into()),
    }
}

async fn serve(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(answer(route(request).await))
}

#[tokio::test(start_paused = true)]
async fn plain_tower_service() {
    for backend in Backend::both() {
        let layer = backend.layer().build().unwrap();
        let client: TestClient<_, Body> = TestClient::new(layer.layer(service_fn(serve)));
        assert_eq!(client.get("/resume").await.text(), "none");
        assert_eq!(client.get("/peek").await.text(), "false");
        assert!(backend.memory.is_empty(), "{}", backend.name);
        assert_eq!(client.get("/add").await.text(), "1");
        assert_eq!(client.get("/add").await.text(), "2");
        assert_eq!(client.get("/resume").await.text(), "12");
        assert_eq!(client.get("/peek").await.text(), "true");
        assert_eq!(client.get("/n").await.text(), "12");
        assert_eq!(client.get("/handle").await.text(), "13");
        assert_eq!(client.get("/logout").await.text(), "true");
        assert_eq!(client.get("/n").await.text(), "0", "{}", backend.name);
    }
}

#[tokio::test]
async fn plain_tower_builder_and_a_body_of_ones_own() {
    /// Any body will do that can be made of bytes, for the answers of the layer.
    struct Own(Bytes);
    impl From<Bytes> for Own {
        fn from(bytes: Bytes) -> Self {
            Self(bytes)
        }
    }
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(MemoryStore::new()))
        .service_fn(async |request: Request<()>| {
            let session = Session::from_request(&request).await.unwrap();
            session.insert("big", &"x".repeat(100_000)).unwrap();
            Ok::<_, Infallible>(Response::new(Own(Bytes::from_static(b"fine"))))
        });
    let request = Request::new(());
    let response = tower::ServiceExt::oneshot(service, request).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_ne!(response.into_body().0, "fine");
}

#[tokio::test]
async fn plain_tower_without_the_layer_is_an_error_that_names_it() {
    let request = Request::new(Body::default());
    let errors = [
        Session::from_request(&request).await.unwrap_err(),
        ReadSession::from_request(&request).await.unwrap_err(),
        SessionHandle::from_request(&request).await.unwrap_err(),
    ];
    for error in errors {
        assert!(matches!(error, Error::MissingLayer));
        assert!(error.to_string().contains("SessionLayer"));
        assert_eq!(error.status(), StatusCode::INTERNAL_SERVER_ERROR);
    }
}
