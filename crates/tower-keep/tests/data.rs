//! A session's data through requests (B1 to B8, B11, B13), and what it costs in the store. The
//! rules of the data themselves have their tests in `tower-keep-core`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of tests are tests too"
)]

mod common;

use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use common::{Backend, Client, Gates, app, id_of, settle};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use tower_keep::{DataError, DataLimits, Error, Literal, Session};
use tower_keep_testkit::Verb;

type Step = fn(&Session) -> Result<Value, Error>;
type Steps = Arc<Mutex<Step>>;

/// An app of one route that does what it is told for the next request, in its session.
struct Script(Client, Steps);

impl Script {
    fn over(backend: &Backend) -> Self {
        Self::with(backend, backend.layer())
    }

    fn with(backend: &Backend, layer: tower_keep::SessionLayerBuilder) -> Self {
        async fn run(State(steps): State<Steps>, session: Session) -> Result<String, Error> {
            let step = *steps.lock().unwrap();
            Ok(step(&session)?.to_string())
        }
        let steps: Steps = Arc::new(Mutex::new(|_| Ok(Value::Null)));
        let routes = Router::<Steps>::new()
            .route("/run", get(run))
            .with_state(steps.clone());
        let routes = routes.merge(app(Gates::default()));
        Self(backend.client_of(routes, layer), steps)
    }

    async fn status(&self, step: Step) -> StatusCode {
        *self.1.lock().unwrap() = step;
        self.0.get("/run").await.status()
    }

    /// One request, which must succeed.
    async fn run(&self, step: Step) -> Value {
        *self.1.lock().unwrap() = step;
        let answer = self.0.get("/run").await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        serde_json::from_str(&answer.text()).unwrap()
    }

    fn stored(&self, backend: &Backend) -> Value {
        backend.data(id_of(&self.0))["data"].take()
    }
}

fn kind(error: Result<impl Sized, Error>) -> Value {
    match error {
        Ok(_) => "fine".into(),
        Err(Error::Data(error)) => error.to_string().into(),
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test(start_paused = true)]
async fn b1_b2_insert_and_get_over_requests() {
    #[derive(Serialize, Deserialize, PartialEq, Debug)]
    struct Cart {
        items: Vec<String>,
        total: u32,
    }
    for backend in Backend::both() {
        let script = Script::over(&backend);
        script
            .run(|s| {
                let cart = Cart {
                    items: vec!["tea".into()],
                    total: 3,
                };
                s.insert("cart", &cart)?;
                s.insert_all([("a", 1), ("b", 2)])?;
                s.insert("nothing", &Value::Null)?;
                Ok(Value::Null)
            })
            .await;
        let stored = script.stored(&backend);
        let cart = json!({ "items": ["tea"], "total": 3 });
        assert_eq!(
            stored,
            json!({ "cart": cart, "a": 1, "b": 2, "nothing": null })
        );
        script
            .run(|s| {
                let cart: Cart = s.get("cart")?.unwrap();
                assert_eq!((cart.total, s.get_or("missing", 7)?), (3, 7));
                assert_eq!(s.get_or_default::<String>("missing")?, "");
                assert_eq!(s.get::<Option<u8>>("nothing")?, Some(None));
                Ok(Value::Null)
            })
            .await;
        let wrong = script.run(|s| Ok(kind(s.get::<bool>("cart")))).await;
        assert!(
            wrong.as_str().unwrap().contains("`cart` holds an object"),
            "{wrong}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b3_b4_b5_has_remove_all_keys_clear() {
    for backend in Backend::both() {
        let script = Script::over(&backend);
        script
            .run(|s| {
                s.insert_all([("a", json!(1)), ("b", json!(null)), ("c", json!([1, 2]))])?;
                s.set_user("ann").map(|()| Value::Null)
            })
            .await;
        let id = id_of(&script.0);
        script
            .run(|s| {
                assert!(s.has("a")? && !s.has("b")? && s.contains_key("b")?);
                assert!(s.has(["a", "c"])? && !s.has(["a", "b"])? && s.contains_key(["a", "b"])?);
                assert_eq!((s.keys()?.len(), s.len()?, s.is_empty()?), (3, 3, false));
                assert_eq!(s.remove::<u8>("a")?, Some(1));
                assert_eq!(s.remove::<u8>("a")?, None);
                assert_eq!(s.remove_all(["b", "missing"])?, 1);
                assert_eq!(Value::Object(s.all()?), json!({ "c": [1, 2] }));
                Ok(Value::Null)
            })
            .await;
        assert_eq!(script.stored(&backend), json!({ "c": [1, 2] }));
        script.run(|s| s.clear().map(|()| Value::Null)).await;
        assert_eq!(script.stored(&backend), json!({}));
        // The session, its cookie and its user stay.
        assert_eq!(id_of(&script.0), id);
        assert_eq!(
            script.0.get("/who").await.text(),
            "ann 0",
            "{}",
            backend.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b6_dotted_paths_and_literal_keys() {
    for backend in Backend::both() {
        let script = Script::over(&backend);
        script
            .run(|s| {
                s.insert("cart.items", &[json!({ "qty": 1 }), json!({ "qty": 2 })])?;
                s.insert(Literal("ann@example.com"), &"Ann")?;
                s.insert("deep.a.b.c", &1)?;
                Ok(Value::Null)
            })
            .await;
        let seen = script
            .run(|s| {
                s.increment("cart.items.1.qty", 5)?;
                s.remove::<u8>("deep.a.b.c")?;
                Ok(json!([
                    s.get::<u8>("cart.items.0.qty")?,
                    s.get::<u8>("cart.items.9.qty")?,
                    s.get::<String>("ann@example.com")?,
                    s.has("deep.a.b")?,
                    s.has("deep.a.b.c")?,
                ]))
            })
            .await;
        assert_eq!(
            seen,
            json!([1, null, "Ann", true, false]),
            "{}",
            backend.name
        );
        let stored = script.stored(&backend);
        assert_eq!(stored["cart"]["items"][1]["qty"], 7);
        assert_eq!(stored["ann@example.com"], "Ann");
        assert_eq!(stored["deep"], json!({ "a": { "b": {} } }));
    }
}

#[tokio::test(start_paused = true)]
async fn b7_b8_push_and_increment() {
    for backend in Backend::both() {
        let script = Script::over(&backend);
        for _ in 0..3 {
            script
                .run(|s| {
                    s.push("list", &s.increment("n", 2)?)?;
                    Ok(s.decrement("m", 1)?.into())
                })
                .await;
        }
        let stored = json!({ "list": [2, 4, 6], "n": 6, "m": -3 });
        assert_eq!(script.stored(&backend), stored);
        let errors = script
            .run(|s| {
                s.insert_all([("text", json!("x")), ("big", json!(i64::MAX))])?;
                Ok(json!([
                    kind(s.push("text", &1)),
                    kind(s.increment("text", 1)),
                    kind(s.increment("big", 1))
                ]))
            })
            .await;
        for (error, word) in errors
            .as_array()
            .unwrap()
            .iter()
            .zip(["array", "text", "range"])
        {
            assert!(error.as_str().unwrap().contains(word), "{error}");
        }
        assert_eq!(script.stored(&backend)["big"], json!(i64::MAX));
    }
}

/// A step that changes nothing costs an open and a release, which nobody waits for, and no write.
#[tokio::test(start_paused = true)]
async fn b11_an_unchanged_session_is_not_saved() {
    let same: [Step; 6] = [
        |s| s.get::<u8>("a").map(|_| Value::Null),
        |s| s.insert("a", &1).map(|()| Value::Null),
        |s| {
            s.insert("deep", &json!({ "y": [1, 2.5], "x": null }))
                .map(|()| Value::Null)
        },
        |s| s.insert("deep.y.0", &1).map(|()| Value::Null),
        |s| {
            s.insert("a", &2)?;
            s.insert("a", &1).map(|()| Value::Null)
        },
        |s| s.remove_all("missing").map(|_| Value::Null),
    ];
    for backend in Backend::both() {
        let script = Script::over(&backend);
        script
            .run(|s| {
                s.insert("a", &1)?;
                s.insert("deep", &json!({ "x": null, "y": [1, 2.5] }))?;
                Ok(Value::Null)
            })
            .await;
        let version = backend.record(&script.0).head.version;
        backend.faults.calls().clear();
        for step in same {
            script.run(step).await;
            settle().await;
        }
        assert_eq!(
            backend.record(&script.0).head.version,
            version,
            "{}",
            backend.name
        );
        let log = backend.faults.calls().log();
        if backend.name == "remote" {
            assert_eq!(log.len(), 2 * same.len());
            assert!(
                log.iter()
                    .all(|c| matches!(c.verb, Verb::Open | Verb::Finish))
            );
        }
        // And a change is one, however deep.
        script
            .run(|s| s.insert("deep.y.0", &2).map(|()| Value::Null))
            .await;
        assert_eq!(backend.record(&script.0).head.version, version + 1);
    }
}

#[tokio::test(start_paused = true)]
async fn b11_keys_have_rules() {
    for backend in Backend::both() {
        let limits = DataLimits {
            max_key: 20,
            ..DataLimits::default()
        };
        let script = Script::with(&backend, backend.layer().data_limits(limits));
        let refused = script
            .run(|s| {
                s.insert("x".repeat(20).as_str(), &1)?;
                Ok(json!([
                    kind(s.insert("x".repeat(21).as_str(), &1)),
                    kind(s.insert("a\nb", &1)),
                    kind(s.insert("", &1)),
                    kind(s.insert("a..b", &1)),
                ]))
            })
            .await;
        for (error, word) in refused
            .as_array()
            .unwrap()
            .iter()
            .zip(["21 bytes", "control", "empty", "empty"])
        {
            assert!(error.as_str().unwrap().contains(word), "{error}");
        }
        assert_eq!(
            script.stored(&backend).as_object().unwrap().len(),
            1,
            "{}",
            backend.name
        );
    }
}

#[tokio::test(start_paused = true)]
async fn b13_the_size_cap_is_500_and_the_old_record_stays() {
    for backend in Backend::both() {
        let script = Script::over(&backend);
        script
            .run(|s| s.insert("a", &1).map(|()| Value::Null))
            .await;
        let before = backend.record(&script.0);
        let big: Step = |s| {
            s.insert("big", &"x".repeat(64 * 1_024))
                .map(|()| Value::Null)
        };
        backend.faults.calls().clear();
        assert_eq!(script.status(big).await, StatusCode::INTERNAL_SERVER_ERROR);
        settle().await;
        let after = backend.record(&script.0);
        assert_eq!(
            after.data.to_json(),
            before.data.to_json(),
            "{}",
            backend.name
        );
        assert_eq!(
            (after.head.version, after.lease),
            (before.head.version, None)
        );
        // Nor does it rotate half-way.
        let login: Step = |s| {
            s.set_user("ann")?;
            s.insert("big", &"x".repeat(64 * 1_024))
                .map(|()| Value::Null)
        };
        assert_eq!(
            script.status(login).await,
            StatusCode::INTERNAL_SERVER_ERROR
        );
        assert_eq!(script.0.get("/who").await.text(), "nobody 0");
        // A first visit that is too much stores nothing.
        script.0.clear_cookies();
        assert_eq!(script.status(big).await, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(backend.memory.len(), 1);
        let fits: Step = |s| s.insert("big", &"x".repeat(60_000)).map(|()| Value::Null);
        assert_eq!(
            script.status(fits).await,
            StatusCode::OK,
            "{}",
            backend.name
        );
    }
}

/// Errors of the data are the handler's to answer, and a 500 if it passes them on.
#[tokio::test(start_paused = true)]
async fn b2_an_error_of_the_data_as_a_response() {
    let backend = Backend::local();
    let script = Script::over(&backend);
    script
        .run(|s| {
            s.insert("a", &BTreeMap::from([("b", 1)]))
                .map(|()| Value::Null)
        })
        .await;
    let wrong: Step = |s| match s.get::<u64>("a") {
        Err(Error::Data(error @ DataError::WrongType { .. })) => Err(error.into()),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        script.status(wrong).await,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    let answer: http::Response<Body> = axum::response::IntoResponse::into_response(Error::Closed);
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}
