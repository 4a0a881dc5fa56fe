//! What the scripts that most requests run, `open.lua` and `finish.lua`, are given and what they
//! answer. An argument takes the server as long as five numbers that it reads from one, and an
//! array more than all of them: so numbers go as one argument, and most answers are one value.

use std::time::Duration;

use redis::Value;
use tower_keep_core::{
    Finish, Finished, Op, Open, Opened, Owner, STALE_WINDOW, StoreError, Timestamp, View, WAIT_MARK,
};

use crate::error::unexpected;
use crate::format::{Fields, span, span_up, unpack};
use crate::script::number;

/// That the secret is to be checked.
const CHECKS: u8 = 1;
/// That the lease is wanted.
const LOCKS: u8 = 2;

pub(crate) fn pack_open(open: &Open, grace: Duration) -> Vec<u8> {
    let secret = open.secret.map(|secret| *secret.as_bytes());
    let mut out = Vec::with_capacity(97);
    out.push(secret.map_or(0, |_| CHECKS) | open.lease.map_or(0, |_| LOCKS));
    // A deadline that is moved at all is moved by one at least.
    put(
        &mut out,
        open.touch.map_or(0, |touch| span_up(touch).max(1)),
    );
    put_lease(&mut out, open.lease);
    out.extend(secret.unwrap_or_default());
    for spanned in [open.age, STALE_WINDOW, WAIT_MARK, grace] {
        put(&mut out, span(spanned));
    }
    out
}

pub(crate) fn opened(answer: Value, open: &Open, max_body: usize) -> Result<Opened, StoreError> {
    match answer {
        Value::Array(values) => granted(values, open, max_body).map(Opened::Granted),
        Value::Int(number) if number < 0 => {
            Ok(Opened::Busy(Duration::from_millis(number.unsigned_abs())))
        }
        Value::BulkString(word) => match &*word {
            b"stale" => Ok(Opened::Stale),
            b"absent" => Ok(Opened::Absent),
            b"expired" => Ok(Opened::Expired),
            _ => Err(unexpected()),
        },
        _ => Err(unexpected()),
    }
}

fn granted(values: Vec<Value>, open: &Open, max_body: usize) -> Result<View, StoreError> {
    let mut values = values.into_iter();
    let fields = Fields::from_values(&mut values)?.ok_or_else(unexpected)?;
    let (record, _) = unpack(open.id, fields, max_body)?;
    let now = match open.lease {
        // The lease was granted just now.
        Some((_, lease)) => {
            let granted = record.lease.ok_or_else(unexpected)?;
            granted.until.minus(Duration::from_millis(span(lease)))
        }
        None => Timestamp::from_millis(number(&mut values)?),
    };
    Ok(View {
        head: record.head,
        data: record.data,
        now,
    })
}

/// `channel` is where it is told that a lease was given up.
pub(crate) fn pack_finish(finish: &Finish, grace: Duration, channel: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(90 + channel.len());
    out.push(match finish.op {
        Op::Release => 0,
        Op::Put(_) => 1,
        Op::Merge(_) => 2,
        Op::Destroy => 3,
    });
    out.push(u8::from(finish.next.is_some()));
    put(&mut out, finish.version);
    out.extend(finish.owner.to_u128().to_be_bytes());
    out.extend(finish.commit.to_u128().to_be_bytes());
    put_lease(&mut out, finish.next);
    put(&mut out, span(grace));
    out.extend(finish.id.as_bytes());
    out.extend(channel.as_bytes());
    out
}

/// With the absolute deadline, if the commit changed more than the data or was done before.
pub(crate) fn finished(
    answer: Value,
    finish: &Finish,
) -> Result<(Finished, Option<Timestamp>), StoreError> {
    Ok(match answer {
        Value::Int(number) => {
            let done = Finished::Done {
                version: finish.version + u64::from(!matches!(finish.op, Op::Release)),
                now: Timestamp::from_millis(number.unsigned_abs()),
                waiting: number < 0,
            };
            (done, None)
        }
        Value::Array(values) => {
            let mut values = values.into_iter();
            let done = Finished::Done {
                version: number(&mut values)?,
                now: Timestamp::from_millis(number(&mut values)?),
                waiting: number(&mut values)? == 1,
            };
            let deadline = Timestamp::from_millis(number(&mut values)?);
            (done, Some(deadline))
        }
        Value::BulkString(word) => match &*word {
            b"lost" => (Finished::Lost, None),
            b"gone" => (Finished::Gone, None),
            b"unknown" => (Finished::Unknown, None),
            _ => return Err(unexpected()),
        },
        _ => return Err(unexpected()),
    })
}

fn put(out: &mut Vec<u8>, number: u64) {
    out.extend(number.to_be_bytes());
}

/// Zeros where there is none.
fn put_lease(out: &mut Vec<u8>, lease: Option<(Owner, Duration)>) {
    put(out, lease.map_or(0, |(_, lease)| span(lease)));
    let owner = lease.map_or(0, |(owner, _)| owner.to_u128());
    out.extend(owner.to_be_bytes());
}
