//! Whether two records are the same, and if not, where they differ (never how: a report must
//! not show data).

use tower_keep_core::{Head, Record};

/// `Err` names the fields that differ.
pub(super) fn records(a: &Record, b: &Record) -> Result<(), String> {
    let mut differ = differing_heads(&a.head, &b.head);
    let mut compare = |name, same: bool| {
        if !same {
            differ.push(name);
        }
    };
    compare("secret", a.secret.matches(&b.secret));
    compare("rotated_at", a.rotated_at == b.rotated_at);
    compare("lease", a.lease == b.lease);
    compare("waiting_until", a.waiting_until == b.waiting_until);
    compare("commits", a.commits == b.commits);
    compare("gone_at", a.gone_at == b.gone_at);
    compare("data", a.data == b.data);
    named(&differ)
}

/// `Err` names the fields that differ.
pub(super) fn heads(a: &Head, b: &Head) -> Result<(), String> {
    named(&differing_heads(a, b))
}

fn named(differ: &[&str]) -> Result<(), String> {
    if differ.is_empty() {
        Ok(())
    } else {
        Err(format!("`{}`", differ.join("`, `")))
    }
}

fn differing_heads(a: &Head, b: &Head) -> Vec<&'static str> {
    let fields = [
        ("id", a.id == b.id),
        ("version", a.version == b.version),
        ("generation", a.generation == b.generation),
        ("created_at", a.created_at == b.created_at),
        ("last_seen", a.last_seen == b.last_seen),
        ("authenticated_at", a.authenticated_at == b.authenticated_at),
        ("limits", a.limits == b.limits),
        ("idle_deadline", a.idle_deadline == b.idle_deadline),
        (
            "absolute_deadline",
            a.absolute_deadline == b.absolute_deadline,
        ),
        ("user", a.user == b.user),
        ("client", a.client == b.client),
        ("remember", a.remember == b.remember),
    ];
    fields
        .into_iter()
        .filter_map(|(name, same)| (!same).then_some(name))
        .collect()
}
