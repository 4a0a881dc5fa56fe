//! The index of users has who is there, and nobody else: what it keeps too long grows for ever.

use tower_keep_core::{Expect, SessionStore};

use super::*;

#[tokio::test]
async fn cas_has_a_session_leave_its_user_exactly_where_that_is_another_one() {
    for (before, after) in [
        (None, Some("ann")),
        (Some("ann"), Some("ann")),
        (Some("ann"), Some("bob")),
        (Some("ann"), None),
    ] {
        let (store, _) = store(1);
        let new = NewSession {
            user: before.map(Into::into),
            ..session(60 * SECOND)
        };
        assert!(matches!(
            SessionStore::create(&store, &new).await,
            Ok(Created::Done(_))
        ));
        let (mut record, revision) = store.look(new.id).await.unwrap().record.unwrap();
        record.head.user = after.map(Into::into);
        let expect = Expect::Revision(revision);
        assert!(store.cas(new.id, expect, &record).await.unwrap());
        for user in ["ann", "bob"] {
            let expected = usize::from(after == Some(user));
            assert_eq!(store.0.indexed(user), expected, "{before:?} {after:?}");
        }
    }
}
