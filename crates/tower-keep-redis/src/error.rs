//! What errors of Redis mean. Their texts may quote anything, so only their kinds and codes pass.

use redis::{ErrorKind, RedisError, ServerErrorKind};
use tower_keep_core::{StoreError, StoreErrorKind};

pub(crate) fn from_redis(error: &RedisError) -> StoreError {
    let kind = match error.code() {
        Some("KEEPFORMAT") => StoreErrorKind::Unsupported,
        Some("KEEPCORRUPT" | "WRONGTYPE") => StoreErrorKind::Corrupt,
        Some("OOM") => StoreErrorKind::Full,
        _ => StoreErrorKind::Unavailable,
    };
    let message = match error.kind() {
        ErrorKind::Io if error.is_timeout() => "Redis did not answer in time".to_owned(),
        ErrorKind::Io if error.is_connection_dropped() && !error.is_connection_refusal() => {
            "Redis closed the connection; a port for TLS does so unless the URL is `rediss://`"
                .to_owned()
        }
        ErrorKind::Io => tls_failure(error)
            .unwrap_or("the connection to Redis failed")
            .to_owned(),
        ErrorKind::MasterNameNotFoundBySentinel => {
            "no sentinel knows a primary of this name that is alive".to_owned()
        }
        ErrorKind::AuthenticationFailed => "Redis refused the user name or password".to_owned(),
        ErrorKind::InvalidClientConfig => "the URL or the configuration is not valid".to_owned(),
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            "the Redis user may not run the commands that a session store needs".to_owned()
        }
        ErrorKind::Server(ServerErrorKind::ReadOnly) => {
            "this Redis is a replica; the address of the primary is needed".to_owned()
        }
        ErrorKind::Server(_) | ErrorKind::Extension => match error.code() {
            Some(code) if is_code(code) => format!("Redis answered with the error {code}"),
            _ => "Redis answered with an error".to_owned(),
        },
        _ => error.category().to_owned(),
    };
    StoreError::new(kind, message)
}

#[cfg(feature = "tls")]
use crate::tls::failure as tls_failure;

#[cfg(not(feature = "tls"))]
fn tls_failure(_: &RedisError) -> Option<&'static str> {
    None
}

/// What is asked for cannot be.
pub(crate) fn invalid(why: &'static str) -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, why)
}

pub(crate) fn timed_out() -> StoreError {
    StoreError::new(StoreErrorKind::Unavailable, "Redis did not answer in time")
}

pub(crate) fn unexpected() -> StoreError {
    StoreError::new(
        StoreErrorKind::Unavailable,
        "Redis sent a reply that the scripts of this version do not make",
    )
}

/// Codes are short words in capitals.
fn is_code(code: &str) -> bool {
    code.len() <= 20 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    /// The error that a line from the server becomes.
    fn from_line(line: &str) -> StoreError {
        let value = redis::parse_redis_value(line.as_bytes()).unwrap();
        from_redis(&value.extract_error().unwrap_err())
    }

    #[test]
    fn codes_have_their_kinds() {
        for (line, kind) in [
            ("-KEEPFORMAT x\r\n", StoreErrorKind::Unsupported),
            ("-KEEPCORRUPT x\r\n", StoreErrorKind::Corrupt),
            ("-WRONGTYPE Operation\r\n", StoreErrorKind::Corrupt),
            ("-OOM command not allowed\r\n", StoreErrorKind::Full),
            ("-LOADING dataset\r\n", StoreErrorKind::Unavailable),
            ("-READONLY replica\r\n", StoreErrorKind::Unavailable),
        ] {
            assert_eq!(from_line(line).kind(), kind, "{line}");
        }
    }

    #[test]
    fn texts_do_not_pass() {
        for line in ["-ERR value secret-123\r\n", "-secret-123 is odd\r\n"] {
            let error = from_line(line);
            let shown = format!("{error} {error:?} {:?}", error.source());
            assert!(!shown.contains("secret"), "{shown}");
        }
    }
}
