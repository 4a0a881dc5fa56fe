//! What goes wrong while sessions are imported.

use tower_keep::{ReadSession, SessionLayer};
use tower_keep_testkit::TestClient;
use tower_keep_tower_sessions::Old14;
use tower_sessions_core_014::session_store;

use crate::import::{New, old_session, routes};
use crate::life::COOKIE;
use crate::rows::Rows;

fn outage() -> session_store::Error {
    session_store::Error::Backend("gone fishing".to_owned())
}

#[tokio::test]
async fn f8_an_outage_of_the_old_store_logs_nobody_out() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    client.set_cookie("id", &cookie);
    old.fail(Some(outage));
    let answer = client.get("/show").await;
    assert_eq!(answer.status(), 503);
    assert!(answer.set_cookies().is_empty());
    assert_eq!((new.live(), old.all().len()), (0, 1));
    old.fail(None);
    assert_eq!(client.get("/show").await.text(), "nobody Some(1)");
}

/// It is created before the old one is ended, and not shown before that.
#[tokio::test]
async fn f8_a_failure_between_both_is_made_good() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    client.set_cookie("id", &cookie);
    old.fail_deletions(true);
    assert_eq!(client.get("/add").await.status(), 503);
    assert_eq!(client.get("/add").await.status(), 503);
    assert_eq!((new.live(), old.all().len()), (1, 1));
    old.fail_deletions(false);
    assert_eq!(client.get("/add").await.text(), "2");
    assert_eq!((new.live(), old.all().len()), (1, 0));
}

/// The client leaves at any moment; the next request finds one session or the other, never both.
#[tokio::test]
async fn f8_an_import_that_nobody_waits_for_is_made_to_its_end() {
    use std::future::Future;
    use std::task::{Context, Poll, Waker};

    for polls in 0.. {
        let (new, old) = (New::server(), Rows::default());
        let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
        let client = new.client(routes(), Old14::new(old.clone()));
        client.set_cookie("id", &cookie);
        let mut request = Box::pin(client.get("/show"));
        let mut ended = false;
        for _ in 0..polls {
            let mut cx = Context::from_waker(Waker::noop());
            if let Poll::Ready(answer) = request.as_mut().poll(&mut cx) {
                assert_eq!(answer.text(), "nobody Some(1)");
                ended = true;
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(request);
        let again = client.fork();
        again.clear_cookies();
        again.set_cookie("id", &cookie);
        assert_eq!(again.get("/add").await.text(), "2", "after {polls} polls");
        assert_eq!((new.live(), old.all().len()), (1, 0), "after {polls} polls");
        if ended {
            assert!(polls > 1, "it was never dropped on its way");
            break;
        }
    }
}

#[tokio::test]
async fn f8_what_no_session_can_hold_is_left_as_it_is() {
    let (new, old) = (New::server(), Rows::default());
    let large = "x".repeat(70_000);
    let cookie = old_session(&old, serde_json::json!({ "large": large })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    client.set_cookie("id", &cookie);
    let answer = client.get("/show").await;
    assert_eq!(answer.text(), "nobody None");
    assert!(answer.set_cookies().is_empty());
    assert_eq!((new.live(), old.all().len()), (0, 1));
    // The visitor may go on.
    assert_eq!(client.get("/add").await.text(), "1");
    assert_eq!(client.get("/show").await.text(), "nobody Some(1)");
}

#[tokio::test]
async fn f8_what_is_no_cookie_of_theirs_is_not_asked_for() {
    let (new, old) = (New::server(), Rows::default());
    let id = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let client = new.client(routes(), Old14::new(old.clone()));
    old.calls();
    for junk in ["", "x", &id[1..], &format!("{id}A"), &format!("{id}="), "ä"] {
        client.set_cookie("id", junk);
        assert_eq!(client.get("/show").await.text(), "nobody None", "{junk}");
    }
    assert_eq!(old.calls(), [""; 0]);
    assert_eq!(client.cookie(COOKIE), None);
}

#[tokio::test]
async fn f8_it_is_opt_in_and_nothing_shows_an_old_cookie() {
    let (new, old) = (New::server(), Rows::default());
    let cookie = old_session(&old, serde_json::json!({ "n": 1 })).await;
    let layer = SessionLayer::new(new.memory.clone());
    let show = async |session: ReadSession| session.is_new().to_string();
    let routes = axum::Router::new().route("/", axum::routing::get(show));
    let client = TestClient::new(routes.layer(layer));
    client.set_cookie("id", &cookie);
    assert_eq!(client.get("/").await.text(), "true");
    assert_eq!(old.all().len(), 1);

    let theirs = Old14::new(old).name("id");
    let shown = format!(
        "{theirs:?} {:?}",
        tower_keep::OldCookie::new(cookie.clone())
    );
    assert!(
        !shown.contains(&cookie) && !shown.contains("everything"),
        "{shown}"
    );
}
