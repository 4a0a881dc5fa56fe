//! axum-messages, unchanged.

use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use axum_messages::{Messages, MessagesManagerLayer};
use tower_keep::SessionLayer;

use crate::life::COOKIE;
use crate::served::{served, stores};

async fn say(messages: Messages, Path(what): Path<String>) {
    messages.info(what).warning("twice");
}

async fn show(messages: Messages) -> String {
    let texts: Vec<_> = messages.map(|m| format!("{} {m}", m.level)).collect();
    texts.join(", ")
}

#[tokio::test]
async fn f2_axum_messages_shows_each_once() {
    for store in stores().await {
        let routes = Router::new()
            .route("/say/{what}", get(say))
            .route("/show", get(show))
            .layer(MessagesManagerLayer);
        let client = served(routes, SessionLayer::builder(store));
        assert_eq!(client.get("/show").await.text(), "");
        assert_eq!(client.cookie(COOKIE), None);
        client.get("/say/saved").await;
        assert_eq!(
            client.get("/show").await.text(),
            "Info saved, Warning twice"
        );
        assert_eq!(client.get("/show").await.text(), "");
        client.get("/say/again").await;
        assert_eq!(
            client.get("/show").await.text(),
            "Info again, Warning twice"
        );
    }
}
