//! Whose a session is, by what others keep in it.

use serde_json::{Map, Value};

/// Whose a session is, by what axum-login keeps in it under its own key, `axum-login.data`: for
/// [`TowerSessionsLayer::user`](crate::TowerSessionsLayer::user) and
/// [`OldTowerSessions::user`](crate::OldTowerSessions::user). An id that is text is that text, any
/// other is its JSON.
///
/// ```
/// use serde_json::json;
/// use tower_keep_tower_sessions::axum_login_user;
///
/// let values = json!({ "axum-login.data": { "user_id": 7, "auth_hash": [1, 2] } });
/// assert_eq!(axum_login_user(values.as_object().unwrap()), Some("7".to_owned()));
/// ```
pub fn axum_login_user(values: &Map<String, Value>) -> Option<String> {
    match values.get("axum-login.data")?.get("user_id")? {
        Value::Null => None,
        Value::String(id) => Some(id.clone()),
        id => Some(id.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_of_every_kind() {
        for (data, user) in [
            (json!({}), None),
            (json!({ "axum-login.data": null }), None),
            (json!({ "axum-login.data": { "user_id": null } }), None),
            (json!({ "axum-login.data": { "user_id": -7 } }), Some("-7")),
            (
                json!({ "axum-login.data": { "user_id": "ann" } }),
                Some("ann"),
            ),
        ] {
            let found = data.as_object().and_then(axum_login_user);
            assert_eq!(found.as_deref(), user, "{data}");
        }
    }
}
