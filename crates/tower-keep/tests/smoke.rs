//! smoke
use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_keep::{Error, MemoryStore, ReadSession, Session, SessionLayer};

async fn count(session: Session) -> Result<String, Error> {
    Ok(session.increment("n", 1)?.to_string())
}
async fn read(session: ReadSession) -> Result<String, Error> {
    Ok(session.get_or("n", 0)?.to_string())
}

#[tokio::test]
async fn counts() {
    let store = MemoryStore::new();
    let app: Router = Router::new()
        .route("/", get(count))
        .route("/read", get(read))
        .layer(SessionLayer::new(store.clone()));
    let res = app
        .clone()
        .oneshot(Request::get("/").body(Body::empty()).unwrap())
        .await
        .unwrap();
    assert_eq!(res.status(), StatusCode::OK);
    let cookie = res.headers()["set-cookie"].to_str().unwrap().to_owned();
    println!("{:?}", res.headers());
    let cookie = cookie.split(';').next().unwrap().to_owned();
    for i in 0..3 {
        let res = app
            .clone()
            .oneshot(
                Request::get("/")
                    .header("cookie", &cookie)
                    .body(Body::empty())
                    .unwrap(),
            )
            .await
            .unwrap();
        println!("{i} {:?}", res.headers());
    }
    let res = app
        .clone()
        .oneshot(
            Request::get("/read")
                .header("cookie", &cookie)
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .unwrap();
    use http_body_util::BodyExt;
    assert_eq!(res.into_body().collect().await.unwrap().to_bytes(), "4");
    assert_eq!(store.len(), 1);
}
