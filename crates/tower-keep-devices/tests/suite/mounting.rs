//! The router in an app: under any path, in its layout, in its language, with its session layer.

use std::sync::Arc;

use axum::Router;
use http::StatusCode;
use http::header::{ACCEPT_LANGUAGE, CONTENT_SECURITY_POLICY};
use tower_keep::SessionLayerBuilder;
use tower_keep_devices::{Devices, English, Texts};

use crate::app::{DEVICES, FIREFOX, Site, attribute, id_of, is_logged_in, page, send_form};

#[tokio::test]
async fn f6_it_works_under_any_path() {
    type Mount = fn(Devices) -> Router;
    let mounts: [(Mount, &str); 4] = [
        (
            |devices| Router::new().nest("/devices", devices.router()),
            "/devices",
        ),
        (
            |devices| {
                let inner = Router::new().nest("/{tenant}/devices", devices.router());
                Router::new().nest("/app", inner)
            },
            "/app/big%20co/devices",
        ),
        (
            |devices| Router::new().nest_service("/d", devices.router::<()>()),
            "/d",
        ),
        (Devices::router, "/"),
    ];
    for (mount, path) in mounts {
        let site = Site::mounted(|layer| layer, |sessions| mount(Devices::new(sessions)));
        let (desk, phone) = site.desk_and_phone().await;
        let html = desk.get(path).await.text();
        let style = attribute(&html, "rel=\"stylesheet\"", "href");
        assert_eq!(desk.get(&style).await.status(), StatusCode::OK, "{style}");
        let one = format!("{}/{}", path.trim_end_matches('/'), id_of(&phone));
        let answer = send_form(&desk, &html, &one).await;
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        assert_eq!(answer.location(), Some(path));
        assert!(!is_logged_in(&phone).await, "{path}");
        let html = desk.get(path).await.text();
        assert!(html.contains("Safari on iPhone is logged out."), "{html}");
    }
}

#[tokio::test]
async fn f6_behind_a_proxy_that_takes_a_part_of_the_path_off() {
    let public = "/shop/account/devices";
    let site = Site::with(|devices| devices.public_path(public));
    let (desk, phone) = site.desk_and_phone().await;
    let html = page(&desk).await;
    let action = format!("{public}/{}", id_of(&phone));
    assert!(html.contains(&format!("action=\"{action}\"")), "{html}");
    let token = attribute(&html, "name=\"_token\"", "value");
    let inner = format!("{DEVICES}/{}", id_of(&phone));
    let answer = desk.post_form(&inner, [("_token", token)]).await;
    assert_eq!(answer.location(), Some(public));
}

struct Pirate;

impl Texts for Pirate {
    fn lang(&self) -> &'static str {
        "en-x-pirate"
    }

    fn title(&self) -> &'static str {
        "Yer \"ships\" & <boats>"
    }

    fn device(&self, browser: Option<&str>, system: Option<&str>) -> String {
        format!("<{browser:?}> & {system:?}")
    }
}

#[tokio::test]
async fn f6_texts_are_the_apps_and_are_escaped() {
    let site = Site::with(|devices| devices.texts(Pirate));
    let (desk, phone) = site.desk_and_phone().await;
    let html = page(&desk).await;
    assert!(
        html.contains("<html lang=\"en-x-pirate\" dir=\"ltr\">"),
        "{html}"
    );
    let title = "Yer &quot;ships&quot; &amp; &lt;boats&gt;";
    assert!(html.contains(&format!("<title>{title}</title>")), "{html}");
    assert!(
        html.contains("&lt;Some(&quot;Safari&quot;)&gt; &amp;"),
        "{html}"
    );
    // The message is made of the texts of the request that shows it.
    let action = format!("{DEVICES}/{}", id_of(&phone));
    send_form(&desk, &html, &action).await;
    let html = page(&desk).await;
    let told = "&lt;Some(&quot;Safari&quot;)&gt; &amp; Some(&quot;iPhone&quot;) is logged out.";
    assert!(html.contains(told), "{html}");
}

#[tokio::test]
async fn f6_texts_may_follow_the_request() {
    let site = Site::with(|devices| {
        devices.texts_for(|request| -> Arc<dyn Texts> {
            match request.headers.get(ACCEPT_LANGUAGE) {
                Some(language) if language == "en-x-pirate" => Arc::new(Pirate),
                _ => Arc::new(English),
            }
        })
    });
    let (desk, _) = site.desk_and_phone().await;
    assert!(page(&desk).await.contains("<html lang=\"en\""));
    let pirate = desk.with_header("accept-language", "en-x-pirate");
    assert!(page(&pirate).await.contains("<html lang=\"en-x-pirate\""));
}

#[tokio::test]
async fn f6_the_page_may_have_the_apps_layout() {
    let site = Site::with(|devices| {
        devices.texts(Pirate).layout(|page, request| {
            format!(
                "<app lang=\"{}\" title=\"{}\" path={:?}><link href=\"{}\">{}</app>",
                page.lang,
                page.title,
                request.uri.path(),
                page.stylesheet,
                page.content,
            )
        })
    });
    let (desk, _) = site.desk_and_phone().await;
    let answer = desk.get(DEVICES).await;
    let html = answer.text();
    let title = "Yer &quot;ships&quot; &amp; &lt;boats&gt;";
    let start = format!("<app lang=\"en-x-pirate\" title=\"{title}\" path=\"/\">");
    assert!(html.starts_with(&start), "{html}");
    assert!(html.contains("<section class=\"keep-devices\""), "{html}");
    assert_eq!(
        answer.header(CONTENT_SECURITY_POLICY),
        None,
        "it is the app's"
    );
    let style = attribute(&html, "<link".trim_start_matches('<'), "href");
    assert_eq!(desk.get(&style).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn f6_the_sessions_may_be_those_of_a_layer_with_a_key() {
    struct Admin;
    let site = Site::mounted(SessionLayerBuilder::key::<Admin>, |sessions| {
        let devices = Devices::new(sessions).key::<Admin>();
        Router::new().nest(DEVICES, devices.router())
    });
    // The small app's own routes are those of a layer without a key.
    let own = site.sessions.create(Some("ann"), [("n", 1)]).await.unwrap();
    let other = site.sessions.create(Some("ann"), [("n", 1)]).await.unwrap();
    let desk = site.visitor(FIREFOX);
    desk.set_cookie("__Host-id", &own.token);
    let html = page(&desk).await;
    let answer = send_form(&desk, &html, &format!("{DEVICES}/{}", other.id)).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{answer:?}");
    assert!(site.sessions.get(other.id).await.unwrap().is_none());
}
