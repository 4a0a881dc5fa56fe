//! Which store a URL means.

use tower_keep::StoreError;

use crate::ConnectError;

/// What a scheme stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Memory,
    File,
    Sqlite,
    Postgres,
    MySql,
    Redis,
    RedisUnix,
    RedisCluster,
    RedisTls,
    RedisSentinel,
}

const SCHEMES: [(&str, Kind); 13] = [
    ("memory", Kind::Memory),
    ("file", Kind::File),
    ("sqlite", Kind::Sqlite),
    ("postgres", Kind::Postgres),
    ("postgresql", Kind::Postgres),
    ("mysql", Kind::MySql),
    ("mariadb", Kind::MySql),
    ("redis", Kind::Redis),
    ("valkey", Kind::Redis),
    ("redis+unix", Kind::RedisUnix),
    ("redis+cluster", Kind::RedisCluster),
    ("rediss", Kind::RedisTls),
    ("redis+sentinel", Kind::RedisSentinel),
];

/// The schemes, for people.
pub(crate) fn known() -> String {
    SCHEMES.map(|(name, _)| name).join(", ")
}

impl Kind {
    pub(crate) fn of(scheme: &str) -> Option<(&'static str, Self)> {
        let found = |(name, _): &(&str, _)| name.eq_ignore_ascii_case(scheme);
        SCHEMES.into_iter().find(found)
    }

    /// The name in `SESSION_DRIVER`.
    pub(crate) const fn driver(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::File => "file",
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::MySql => "mysql",
            Self::Redis
            | Self::RedisUnix
            | Self::RedisCluster
            | Self::RedisTls
            | Self::RedisSentinel => "redis",
        }
    }

    /// The cargo feature that brings the store; `None` if none does.
    pub(crate) const fn feature(self) -> Option<&'static str> {
        match self {
            Self::File if cfg!(not(unix)) => None,
            Self::Memory => None,
            Self::RedisCluster => Some("redis-cluster"),
            Self::RedisTls => Some("redis-tls"),
            Self::RedisSentinel => Some("redis-sentinel"),
            other => Some(other.driver()),
        }
    }

    /// The options that mean something to the store.
    pub(crate) const fn options(self) -> &'static [&'static str] {
        match self {
            Self::Memory => &["capacity"],
            Self::File => &["max_data", "codec"],
            Self::Sqlite => &["table", "migrate", "timeout", "max_connections", "max_data"],
            Self::Postgres | Self::MySql => &[
                "table",
                "schema",
                "migrate",
                "timeout",
                "max_connections",
                "max_data",
            ],
            Self::Redis
            | Self::RedisUnix
            | Self::RedisCluster
            | Self::RedisTls
            | Self::RedisSentinel => &["prefix", "timeout", "max_data", "codec"],
        }
    }
}

/// A URL, taken apart at its scheme.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    pub(crate) scheme: &'static str,
    pub(crate) kind: Kind,
    /// What comes after the scheme's colon. It may hold a password.
    pub(crate) rest: &'a str,
}

impl<'a> Target<'a> {
    pub(crate) fn of(url: &'a str) -> Result<Self, ConnectError> {
        let (scheme, rest) = url.split_once(':').ok_or(ConnectError::NoScheme)?;
        if let Some((scheme, kind)) = Kind::of(scheme) {
            return Ok(Self { scheme, kind, rest });
        }
        // What does not look like a scheme may be part of a secret.
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(fits) {
            let scheme = scheme.to_owned();
            Err(ConnectError::UnknownScheme { scheme })
        } else {
            Err(ConnectError::NoScheme)
        }
    }

    /// The URL without user, password and parameters. Where something is not as it should be, and
    /// so may belong to a password, nothing is shown.
    pub(crate) fn shown(&self) -> String {
        let scheme = self.scheme;
        let (shown, parameters) = self.rest.split_once(['?', '#']).unwrap_or((self.rest, ""));
        if matches!(self.kind, Kind::Memory | Kind::File | Kind::Sqlite) {
            return format!("{scheme}:{shown}");
        }
        let Some(shown) = shown.strip_prefix("//") else {
            return format!("{scheme}:…");
        };
        let (_, shown) = shown.rsplit_once('@').unwrap_or(("", shown));
        let hosts = shown.split('/').next().unwrap_or_default();
        let has_port = |host: &str| {
            let (_, end) = host.rsplit_once(']').unwrap_or(("", host));
            let port = end.split_once(':').map_or("", |(_, port)| port);
            port.bytes().all(|byte| byte.is_ascii_digit())
        };
        if parameters.contains('@') || !hosts.split(',').all(has_port) {
            return format!("{scheme}://…");
        }
        format!("{scheme}://{shown}")
    }

    pub(crate) const fn missing(&self, what: &'static str) -> ConnectError {
        let scheme = self.scheme;
        ConnectError::Missing { scheme, what }
    }

    /// `problem` must not quote the URL.
    pub(crate) fn invalid(&self, problem: impl Into<String>) -> ConnectError {
        let (scheme, problem) = (self.scheme, problem.into());
        ConnectError::InvalidUrl { scheme, problem }
    }

    #[cfg_attr(
        not(any(feature = "file", feature = "sqlite")),
        allow(dead_code, reason = "only stores in files have a path")
    )]
    pub(crate) fn not_there(&self, path: &str) -> ConnectError {
        let (scheme, path) = (self.scheme, path.into());
        ConnectError::NotThere { scheme, path }
    }

    pub(crate) fn failed(&self, source: StoreError) -> ConnectError {
        let scheme = self.scheme;
        ConnectError::Store { scheme, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_url_is_where_it_leads() {
        for (url, shown) in [
            ("memory:", "memory:"),
            ("sqlite:keep.db?mode=rwc", "sqlite:keep.db"),
            (
                "sqlite:/home/me@work/keep.db",
                "sqlite:/home/me@work/keep.db",
            ),
            ("FILE:///var/x", "file:///var/x"),
            (
                "postgres://u:pass-123@db:5432/shop",
                "postgres://db:5432/shop",
            ),
            (
                "postgres://db/shop?user=u&password=pass-123",
                "postgres://db/shop",
            ),
            (
                "redis+cluster://:pass-123@a:1,b:2",
                "redis+cluster://a:1,b:2",
            ),
            ("redis://u:pass-123@[::1]:6379/0", "redis://[::1]:6379/0"),
            ("redis://[::1]", "redis://[::1]"),
            (
                "redis+unix:///run/redis.sock",
                "redis+unix:///run/redis.sock",
            ),
            // Without a host.
            ("redis:pass-123", "redis:…"),
            ("redis://u:pass-123", "redis://…"),
            // Characters that should have been escaped.
            ("redis://u:pass/123@db:6379", "redis://db:6379"),
            ("redis://u:pass@123@db:6379", "redis://db:6379"),
            ("redis://u:pass?123@db:6379", "redis://…"),
            ("redis://u:pass#123@db:6379", "redis://…"),
            ("redis://db/0?pass=pass@123", "redis://…"),
        ] {
            assert_eq!(Target::of(url).unwrap().shown(), shown, "{url}");
        }
    }
}
