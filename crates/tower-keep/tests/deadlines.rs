//! B9: values that are gone before their session is. The rules of the data themselves have their
//! tests in `tower-keep-core`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::time::Duration;

use common::steps::Steps;
use common::{Backend, id_of, settle};
use http::StatusCode;
use serde_json::{Value, json};
use tower_keep::{Clock, DataError, Error, Literal, ReadSession, Session, UserPage};

const MINUTE: Duration = common::MINUTE;
const MOMENT: Duration = Duration::from_millis(1);
const ALMOST: Duration = Duration::from_millis(59_999);

/// Everything a reader can ask about `code` and `codes`, where nothing else is stored.
fn nothing_seen(session: &ReadSession) -> Result<(), Error> {
    assert_eq!(session.get::<Value>("code")?, None);
    assert_eq!(session.get::<Value>("codes.a.0")?, None);
    assert_eq!(session.get_or_default::<u8>("code")?, 0);
    assert!(!session.has("code")? && !session.contains_key("code")?);
    assert!(!session.contains_key(["codes", "code"])?);
    assert!(session.all()?.is_empty() && session.keys()?.is_empty());
    assert!(session.is_empty()? && session.len()? == 0);
    assert!(session.peek_flash()?.is_empty());
    Ok(())
}

fn two_codes(session: &Session) -> Result<(), Error> {
    session.insert_for("code", &7, MINUTE)?;
    session.insert_for("codes", &json!({ "a": [1] }), MINUTE)?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn b9_from_its_deadline_on_a_value_is_absent_everywhere() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps.write(|session| two_codes(&session)).await;
        backend.clock.advance(ALMOST);
        let seen = steps
            .read(|session| session.get::<Value>("codes.a.0"))
            .await;
        assert_eq!(seen, 1);
        let seen = steps.write(|session| session.get::<Value>("code")).await;
        assert_eq!(seen, 7);

        backend.clock.advance(MOMENT);
        steps.read(|session| nothing_seen(&session)).await;
        steps.write(|session| nothing_seen(&session)).await;
        let seen = steps
            .write(|session| {
                assert_eq!(session.remove::<Value>("code")?, None);
                assert_eq!(session.remove_all(["code", "codes"])?, 0);
                assert_eq!(session.increment("code", 2)?, 2);
                session.push("codes", &9)?;
                session.all()
            })
            .await;
        assert_eq!(seen, json!({ "code": 2, "codes": [9] }), "{}", backend.name);
        // What was written then has no deadline of its own.
        backend.clock.advance(10 * MINUTE);
        let seen = steps.read(|session| session.all()).await;
        assert_eq!(seen, json!({ "code": 2, "codes": [9] }));
    }
}

#[tokio::test(start_paused = true)]
async fn b9_what_is_over_goes_with_the_next_change_and_is_none_itself() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps.write(|session| two_codes(&session)).await;
        backend.clock.advance(MINUTE);
        let before = backend.record(&steps.client);
        steps.write(|session| nothing_seen(&session)).await;
        settle().await;
        let after = backend.record(&steps.client);
        assert_eq!(before.head.version, after.head.version, "{}", backend.name);
        assert_eq!(before.data, after.data);

        // A change of the head alone does not write the body.
        steps.write(|session| session.rotate()).await;
        assert_eq!(before.data, backend.record(&steps.client).data);

        steps
            .write(|session| {
                session.insert("other", &1)?;
                Ok(())
            })
            .await;
        let stored = backend.data(id_of(&steps.client));
        assert_eq!(stored, json!({ "data": { "other": 1 } }));
    }
}

#[tokio::test(start_paused = true)]
async fn b9_what_ends_a_deadline_and_what_keeps_it() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        steps
            .write(|session| {
                for key in ["set", "removed", "flashed", "inside", "pushed", "counted"] {
                    session.insert_for(key, &json!({ "n": [1] }), MINUTE)?;
                }
                session.insert_for("pushed", &[1], MINUTE)?;
                session.insert_for("counted", &1, MINUTE)?;
                Ok(())
            })
            .await;
        steps
            .write(|session| {
                // An equal value, but without a deadline.
                session.insert("set", &json!({ "n": [1] }))?;
                session.remove::<Value>("removed")?;
                session.insert("removed", &1)?;
                session.flash("flashed", &1)?;
                session.reflash()?;
                session.insert("inside.n.0", &2)?;
                session.push("inside.n", &3)?;
                session.push("pushed", &2)?;
                session.increment("counted", 1)?;
                session.rotate()?;
                Ok(())
            })
            .await;
        let seen = steps.read(|s| s.get::<Value>("inside.n")).await;
        assert_eq!(seen, json!([2, 3]));
        backend.clock.advance(MINUTE);
        let seen = steps.read(|session| session.all()).await;
        let expected = json!({ "set": { "n": [1] }, "removed": 1, "flashed": 1 });
        assert_eq!(seen, expected, "{}", backend.name);

        // Another deadline for an equal value is a change, and `clear` ends it.
        steps
            .write(|s| s.insert_for("set", &json!({ "n": [1] }), MINUTE))
            .await;
        backend.clock.advance(ALMOST);
        steps
            .write(|s| s.insert_for("set", &json!({ "n": [1] }), MINUTE))
            .await;
        backend.clock.advance(ALMOST);
        assert_eq!(steps.read(|s| s.has("set")).await, true);
        steps
            .write(|s| {
                s.clear()?;
                s.insert("set", &1)
            })
            .await;
        backend.clock.advance(MINUTE);
        assert_eq!(steps.read(|s| s.get::<Value>("set")).await, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn b9_a_new_session_counts_from_its_commit() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        let clock = backend.clock.clone();
        steps
            .write(move |session| {
                session.insert_for("code", &7, MINUTE)?;
                session.insert_until("fixed", &7, clock.now().plus(MINUTE))?;
                // The handler takes its time.
                clock.advance(MINUTE / 2);
                Ok(())
            })
            .await;
        backend.clock.advance(MINUTE / 2);
        let seen = steps.read(|session| session.keys()).await;
        assert_eq!(seen, json!(["code"]), "{}", backend.name);
        backend.clock.advance(MINUTE / 2);
        steps.read(|session| nothing_seen(&session)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn b9_no_time_left_is_absent_at_once() {
    for backend in Backend::both() {
        let steps = Steps::over(&backend);
        let clock = backend.clock.clone();
        let gone_at_once = move |session: Session| {
            session.insert("code", &1)?;
            session.insert_for("code", &2, Duration::from_micros(999))?;
            session.flash("codes", &1)?;
            session.insert_until("codes", &2, clock.now())?;
            nothing_seen(&session)
        };
        steps.write(gone_at_once.clone()).await;
        // Nothing was left to make a session of.
        assert_eq!(steps.client.cookie(common::COOKIE), None);
        steps.write(|session| session.insert("n", &1)).await;
        let after = move |session: Session| {
            session.remove_all("n")?;
            gone_at_once(session)
        };
        steps.write(after).await;
        let stored = backend.data(id_of(&steps.client));
        assert_eq!(stored, json!({ "data": {} }), "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b9_a_deadline_belongs_to_a_whole_value() {
    let backend = Backend::local();
    let steps = Steps::over(&backend);
    steps
        .write(|session| {
            let error = session.insert_for("cart.coupon", &1, MINUTE).unwrap_err();
            let named = matches!(
                &error,
                Error::Data(DataError::NestedDeadline { key }) if key == "cart.coupon"
            );
            assert!(named, "{error}");
            assert!(session.is_empty()?);
            session.insert_for(Literal("ann@example.com"), &1, MINUTE)?;
            // From now on this is a top-level key.
            session.insert_for("ann@example.com", &2, MINUTE)?;
            Ok(())
        })
        .await;
    let refused = steps
        .try_write(|session| session.insert_for("a.b", &1, MINUTE))
        .await;
    assert_eq!(refused, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(steps.read(|s| s.get::<Value>("ann@example.com")).await, 2);
    backend.clock.advance(MINUTE);
    steps.read(|session| nothing_seen(&session)).await;
}

#[tokio::test(start_paused = true)]
async fn b9_without_a_request_too() {
    for backend in Backend::both() {
        let layer = backend.layer().build().unwrap();
        let sessions = layer.sessions();
        let id = sessions.create(Some("ann"), [("n", 1)]).await.unwrap().id;
        let dated = async |session: Session| two_codes(&session);
        sessions.write(id, dated).await.unwrap();
        let codes = async || {
            let one = sessions.get(id).await.unwrap().unwrap();
            let page = UserPage {
                data: true,
                ..UserPage::default()
            };
            let ann = sessions.of("ann");
            let listed = ann.list(page).await.unwrap().remove(0);
            let found = ann.find(|session| session.get::<u8>("code").unwrap().is_some());
            let keys = async |sum: usize| {
                let add =
                    |sum, one: tower_keep::StoredSession| Ok::<_, Error>(sum + one.all()?.len());
                ann.fold(sum, add).await.unwrap()
            };
            [
                one.all().unwrap().len(),
                listed.all().unwrap().len(),
                usize::from(found.await.unwrap().is_some()),
                keys(0).await,
            ]
        };
        assert_eq!(codes().await, [3, 3, 1, 3], "{}", backend.name);
        backend.clock.advance(MINUTE);
        assert_eq!(codes().await, [1, 1, 0, 1], "{}", backend.name);
        sessions.update(id, [("codes.a", 5)]).await.unwrap();
        let stored = json!({ "data": { "codes": { "a": 5 }, "n": 1 } });
        assert_eq!(backend.data(id), stored, "{}", backend.name);
    }
}

#[tokio::test(start_paused = true)]
async fn b9_an_early_commit_leaves_what_was_seen() {
    let backend = Backend::remote();
    let routes = axum::Router::new().route(
        "/",
        axum::routing::get(async |session: Session| -> Result<String, Error> {
            let first = session.len()? == 0;
            session.insert_for("code", &7, MINUTE)?;
            session.commit().await?;
            Ok(format!("{first} {}", session.len()?))
        }),
    );
    let client = backend.client(routes);
    assert_eq!(client.get("/").await.text(), "true 1");
    backend.clock.advance(MINUTE);
    assert_eq!(client.get("/").await.text(), "true 1");
}
