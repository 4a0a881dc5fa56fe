//! The long lists of parameters, in the order that their statements name.

use tower_keep_core::data::Data;
use tower_keep_core::{CommitId, HeadChange, NewSession, Put, Record, StoreError};

use crate::row::{CLIENT, JSON, REMEMBER};
use crate::value::Value;

/// The data, if nothing else changes.
pub(crate) fn only_data(put: &Put) -> Option<&Data> {
    match &put.head {
        HeadChange {
            secret: None,
            user: None,
            // For a user only.
            cap: _,
            authenticated: false,
            anchor: false,
            limits: None,
            extend: None,
            client: None,
            remember: None,
        } => put.data.as_ref(),
        _ => None,
    }
}

/// Those of a commit, from its data on.
pub(crate) fn changes(put: &Put, max: usize) -> Result<[Value; 14], StoreError> {
    let HeadChange {
        secret,
        user,
        cap: _,
        authenticated,
        anchor,
        limits,
        extend,
        client,
        remember,
    } = &put.head;
    let known = client.as_deref();
    let (mut cleared, mut set) = (0, 0);
    if let Some(remember) = remember {
        cleared |= REMEMBER;
        set |= if *remember { REMEMBER } else { 0 };
    }
    if client.is_some() {
        set |= CLIENT;
    }
    Ok([
        match &put.data {
            Some(data) => Value::data(data, max)?,
            None => Value::Text(None),
        },
        Value::secret(secret.as_ref()),
        Value::Flag(user.is_some()),
        Value::Text(user.clone().flatten().map(|user| user.to_string())),
        Value::Flag(*authenticated),
        Value::Flag(*anchor),
        Value::span(limits.map(|limits| limits.idle)),
        Value::span(limits.map(|limits| limits.absolute)),
        Value::span(*extend),
        Value::Flag(client.is_some()),
        Value::Text(known.and_then(|client| client.ip).map(|ip| ip.to_string())),
        Value::Text(
            known
                .and_then(|client| client.user_agent.as_deref())
                .map(str::to_owned),
        ),
        Value::Int(Some(!cleared)),
        Value::Int(Some(set)),
    ])
}

/// Those of a creation, from the secret on.
pub(crate) fn creation(new: &NewSession, max: usize) -> Result<Vec<Value>, StoreError> {
    let client = new.client.as_deref();
    let first = new.extend.unwrap_or_default().max(new.limits.idle);
    Ok(vec![
        Value::secret(Some(&new.secret)),
        Value::commit(new.commit),
        Value::span(Some(new.limits.idle)),
        Value::span(Some(new.limits.absolute)),
        Value::span(Some(first)),
        Value::Text(new.user.as_deref().map(str::to_owned)),
        Value::Flag(new.authenticated),
        Value::Text(client.and_then(|client| client.ip).map(|ip| ip.to_string())),
        Value::Text(
            client
                .and_then(|client| client.user_agent.as_deref())
                .map(str::to_owned),
        ),
        Value::Int(Some(flags(new.remember, new.client.is_some()))),
        Value::data(&new.data, max)?,
    ])
}

/// Those of a whole record, from the secret on.
pub(crate) fn whole(record: &Record, revision: u64, max: usize) -> Result<Vec<Value>, StoreError> {
    let Record {
        head,
        secret,
        rotated_at,
        lease,
        waiting_until,
        commits,
        gone_at,
        data,
        ..
    } = record;
    let client = head.client.as_deref();
    let mut values = vec![
        Value::secret(Some(secret)),
        Value::count(head.version),
        Value::count(head.generation),
        Value::count(revision),
    ];
    values.extend(
        commits
            .to_array()
            .map(|bits| Value::commit(CommitId::from_u128(bits))),
    );
    values.extend([
        Value::owner(lease.map(|lease| lease.owner)),
        Value::at(lease.map(|lease| lease.until)),
        Value::at(*waiting_until),
        Value::at(Some(head.created_at)),
        Value::at(Some(head.last_seen)),
        Value::at(head.authenticated_at),
        Value::at(*rotated_at),
        Value::at(*gone_at),
        Value::span(Some(head.limits.idle)),
        Value::span(Some(head.limits.absolute)),
        Value::at(Some(head.idle_deadline)),
        Value::at(Some(head.absolute_deadline)),
        Value::Text(head.user.as_deref().map(str::to_owned)),
        Value::Text(client.and_then(|client| client.ip).map(|ip| ip.to_string())),
        Value::Text(
            client
                .and_then(|client| client.user_agent.as_deref())
                .map(str::to_owned),
        ),
        Value::Int(Some(flags(head.remember, head.client.is_some()))),
        Value::Int(Some(JSON)),
        Value::data(data, max)?,
    ]);
    Ok(values)
}

fn flags(remember: bool, client: bool) -> i64 {
    (if remember { REMEMBER } else { 0 }) | (if client { CLIENT } else { 0 })
}
