//! An app that does in each request what the test tells it for that request.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use tower_keep::{Error, ReadSession, Session, SessionLayerBuilder};

use super::{Backend, Client};

type Answer = Result<Value, Error>;

enum Step {
    Write(Box<dyn FnOnce(Session) -> Answer + Send>),
    Read(Box<dyn FnOnce(ReadSession) -> Answer + Send>),
}

type Next = Arc<Mutex<Option<Step>>>;

/// A client of such an app.
#[derive(Clone)]
pub struct Steps {
    pub client: Client,
    next: Next,
}

impl Steps {
    pub fn over(backend: &Backend) -> Self {
        Self::with(backend, backend.layer())
    }

    pub fn with(backend: &Backend, layer: SessionLayerBuilder) -> Self {
        async fn write(State(next): State<Next>, session: Session) -> Result<String, Error> {
            match next.lock().unwrap().take() {
                Some(Step::Write(step)) => Ok(step(session)?.to_string()),
                _ => panic!("no step for a writer"),
            }
        }
        async fn read(State(next): State<Next>, session: ReadSession) -> Result<String, Error> {
            match next.lock().unwrap().take() {
                Some(Step::Read(step)) => Ok(step(session)?.to_string()),
                _ => panic!("no step for a reader"),
            }
        }
        let next = Next::default();
        let routes = Router::new()
            .route("/write", get(write))
            .route("/read", get(read))
            .with_state(next.clone());
        let client = backend.client_of(routes, layer);
        Self { client, next }
    }

    /// A request with a `Session`, and its status.
    pub async fn try_write<T: Serialize>(
        &self,
        step: impl FnOnce(Session) -> Result<T, Error> + Send + 'static,
    ) -> StatusCode {
        *self.next.lock().unwrap() = Some(Step::Write(Box::new(|session| value(step(session)))));
        self.client.get("/write").await.status()
    }

    /// A request with a `Session`, which must succeed.
    pub async fn write<T: Serialize>(
        &self,
        step: impl FnOnce(Session) -> Result<T, Error> + Send + 'static,
    ) -> Value {
        *self.next.lock().unwrap() = Some(Step::Write(Box::new(|session| value(step(session)))));
        self.sent("/write").await
    }

    /// A request with a `ReadSession`, which must succeed.
    pub async fn read<T: Serialize>(
        &self,
        step: impl FnOnce(ReadSession) -> Result<T, Error> + Send + 'static,
    ) -> Value {
        *self.next.lock().unwrap() = Some(Step::Read(Box::new(|session| value(step(session)))));
        self.sent("/read").await
    }

    async fn sent(&self, path: &str) -> Value {
        let answer = self.client.get(path).await;
        assert_eq!(answer.status(), StatusCode::OK, "{answer:?}");
        serde_json::from_str(&answer.text()).unwrap()
    }
}

fn value(answer: Result<impl Serialize, Error>) -> Answer {
    Ok(serde_json::to_value(answer?).unwrap())
}
