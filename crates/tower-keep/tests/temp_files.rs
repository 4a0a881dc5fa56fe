//! E8: temporary files over HTTP, for their own session only.

#![cfg(feature = "temp")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::fs;
use std::os::unix::fs::symlink;

use axum::Router;
use axum::routing::get;
use common::{Backend, Client, Gates, app, id_of};
use http::{Method, Request, StatusCode};
use tempfile::TempDir as Directory;
use tower_keep::{Error, Session, TempFiles, TempStorage};
use tower_keep_testkit::TestClient;

const SPECIAL: &str = "Bericht \"5%\" für Äpfel.csv";

async fn put(session: Session) -> Result<(), Error> {
    let dir = session.temp_dir().await?;
    dir.write("report.csv", "a,b\n").await?;
    dir.write("deep/er/page.html", "<script>alert(1)</script>")
        .await?;
    dir.write(SPECIAL, "x").await?;
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    Ok(dir.write("large", large).await?)
}

fn client(backend: &Backend, root: &Directory) -> Client {
    let storage = TempStorage::new(root.path());
    let layer = backend.layer().temp_storage(storage).build().unwrap();
    let routes: Router = app(Gates::default())
        .route("/put", get(put))
        .nest_service("/files", TempFiles::new());
    TestClient::with_body(routes.layer(layer)).with_clock(backend.clock.clone())
}

#[tokio::test]
async fn e8_a_file_comes_as_a_download_to_its_own_session() {
    for backend in Backend::both() {
        let root = Directory::new().unwrap();
        let client = client(&backend, &root);
        client.get("/put").await;
        let response = client.get("/files/report.csv").await;
        assert_eq!(
            (response.status(), response.text().as_str()),
            (StatusCode::OK, "a,b\n")
        );
        for (name, value) in [
            ("content-type", "application/octet-stream"),
            ("content-length", "4"),
            ("cache-control", "private, no-store"),
            ("x-content-type-options", "nosniff"),
            ("vary", "cookie"),
            (
                "content-disposition",
                "attachment; filename=\"report.csv\"; filename*=UTF-8''report.csv",
            ),
        ] {
            let found = response.header(name).unwrap_or_default();
            assert_eq!(found.to_lowercase(), value.to_lowercase(), "{name}");
        }
        let html = client.get("/files/deep/er/page.html").await;
        assert_eq!(
            html.header("content-type"),
            Some("application/octet-stream")
        );
        let large = client.get("/files/large").await;
        let expected: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
        assert_eq!(large.bytes(), &expected);
        let url = "/files/Bericht%20%225%25%22%20f%C3%BCr%20%C3%84pfel.csv";
        let special = client.get(url).await;
        assert_eq!(special.text(), "x");
        assert_eq!(
            special.header("content-disposition"),
            Some(
                "attachment; filename=\"Bericht _5__ f_r _pfel.csv\"; \
                 filename*=UTF-8''Bericht%20%225%25%22%20f%C3%BCr%20%C3%84pfel.csv"
            )
        );
    }
}

#[tokio::test]
async fn e8_head_and_other_methods() {
    let (backend, root) = (Backend::local(), Directory::new().unwrap());
    let client = client(&backend, &root);
    client.get("/put").await;
    let send = async |method: Method| {
        let request = Request::builder().method(method).uri("/files/large");
        client
            .request(request.body(axum::body::Body::empty()).unwrap())
            .await
    };
    let head = send(Method::HEAD).await;
    assert_eq!((head.status(), head.bytes().len()), (StatusCode::OK, 0));
    assert_eq!(head.header("content-length"), Some("1200000"));
    let post = send(Method::POST).await;
    assert_eq!(post.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(post.header("allow"), Some("GET, HEAD"));
}

#[tokio::test]
async fn e8_nobody_else_gets_it_and_no_name_leads_out() {
    for backend in Backend::both() {
        let root = Directory::new().unwrap();
        let client = client(&backend, &root);
        client.get("/put").await;
        let other = client.fork();
        other.clear_cookies();
        assert_eq!(
            other.get("/files/report.csv").await.status(),
            StatusCode::NOT_FOUND
        );
        other.get("/put").await;
        let (own, others) = (id_of(&client), id_of(&other));
        fs::write(root.path().join("outside"), "outside").unwrap();
        fs::write(root.path().join(own.to_string()).join(".hidden"), "hidden").unwrap();
        symlink(root.path(), root.path().join(own.to_string()).join("up")).unwrap();
        let stranger = format!("../{others}/report.csv");
        let encoded = format!("..%2f{others}%2Freport.csv");
        let dotted = format!("%2e%2e/{others}/report.csv");
        let twice = format!("%252e%252e%252f{others}%252freport.csv");
        let slash = format!("..%5c{others}%5creport.csv");
        let absolute = format!("/{}", root.path().join("outside").display());
        let linked = format!("up/{others}/report.csv");
        let via = format!("deep/../../{others}/report.csv");
        for hostile in [
            &stranger,
            &encoded,
            &dotted,
            &twice,
            &slash,
            &absolute,
            &linked,
            &via,
            "",
            ".",
            "..",
            "../outside",
            "..%2Foutside",
            "%2e%2e%2foutside",
            ".%2e/outside",
            "deep",
            "deep/",
            "deep/er",
            "deep/er/",
            "deep//er/page.html",
            "./report.csv",
            "deep/./er/page.html",
            "deep%2Fer%2Fpage.html",
            ".hidden",
            "%2Ehidden",
            "up/outside",
            "up",
            "report.csv%00",
            "report.csv%00.txt",
            "report.csv/",
            "report.csv%0a",
            "%ff%fe",
            "report.csv%",
            "REPORT.CSV",
            "deep\\er",
            "%c0%ae%c0%ae/outside",
            "..%00/outside",
            "report.csv/../../outside",
            "%2e%2e%5coutside",
        ] {
            let Ok(request) =
                Request::get(format!("/files/{hostile}")).body(axum::body::Body::empty())
            else {
                continue;
            };
            let response = client.request(request).await;
            let status = response.status();
            assert_eq!(
                status,
                StatusCode::NOT_FOUND,
                "{hostile}: {}",
                response.text()
            );
            assert!(!response.text().contains(&root.path().display().to_string()));
        }
        assert_eq!(
            client.get("/files/report.csv").await.status(),
            StatusCode::OK
        );
        client.get("/logout").await;
        assert_eq!(
            client.get("/files/report.csv").await.status(),
            StatusCode::NOT_FOUND
        );
    }
}

/// An outage is no "no such file".
#[tokio::test(start_paused = true)]
async fn e8_a_store_that_fails_is_said_so() {
    use tower_keep::StoreErrorKind;
    use tower_keep_testkit::{Fault, Script};
    let (backend, root) = (Backend::remote(), Directory::new().unwrap());
    let client = client(&backend, &root);
    client.get("/put").await;
    let outage = Script::new().every(Fault::Fail(StoreErrorKind::Unavailable));
    backend.faults.set_script(outage);
    let calls = backend.faults.calls().total();
    // A name that can be none is refused before anybody is asked.
    assert_eq!(
        client.get("/files/.hidden").await.status(),
        StatusCode::NOT_FOUND
    );
    assert_eq!(backend.faults.calls().total(), calls);
    let response = client.get("/files/report.csv").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}
