//! What the unit tests share, and the tests that need the script of system calls.

mod races;
pub(crate) mod script;
mod trouble;
mod verbs;

use tower_keep_core::data::Data;
use tower_keep_core::{CommitId, Limits, NewSession, Record, Secret, SessionId, Timestamp};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub(crate) fn new_session() -> NewSession {
    NewSession {
        id: SessionId::new(NOW),
        secret: Secret::generate().unwrap().hash(),
        commit: CommitId::unique(),
        limits: Limits::default(),
        extend: None,
        user: Some("somebody".into()),
        cap: None,
        authenticated: true,
        client: None,
        remember: false,
        data: Data::from_json(br#"{"data":{"n":0}}"#, 1024).unwrap(),
    }
}

pub(crate) fn record() -> Record {
    Record::create(&new_session(), NOW)
}
