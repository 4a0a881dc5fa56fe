//! The layer's options from a file or from the environment.

mod apply;
mod check;
mod error;
mod value;
mod vars;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::cookie::{CookiePolicy, SameSite};
use crate::fingerprint::OnMismatch;
pub use error::ConfigError;
use value::{Binding, Full, KeyText, Networks, Odds, ProxyHeader, Span, Way};

/// The options of a [`SessionLayer`](crate::SessionLayer) from a configuration file, by
/// [serde](https://serde.rs), or from [the environment](Self::from_env).
///
/// What is not set has the builder's default; what is unknown, or contradicts something else, is an
/// error that names it. Spans are texts with their units, as
/// [humantime](https://docs.rs/humantime) reads them: `"500ms"`, `"1h 30m"`, `"14days"`.
///
/// | options | of the builder, where their defaults are told |
/// |---|---|
/// | `cookie_name`, `cookie_path`, `cookie_domain`, `cookie_secure`, `cookie_http_only`, `cookie_same_site` (`strict`, `lax`, `none`), `cookie_partitioned`, `cookie_expire_on_close`, `cookie_policy` (`on_change`, `always`) | [`CookieConfig`](crate::cookie::CookieConfig) |
/// | `dev_http` | [`CookieConfig::dev_http`](crate::cookie::CookieConfig::dev_http), with the cookie's other options |
/// | `transport` (`cookie`, `bearer`, `header`), `transport_header`, `transport_response_header` | [`Transport`](crate::Transport) |
/// | `token_prefix` | [`token_prefix`](crate::SessionLayerBuilder::token_prefix) |
/// | `token_keys` or `token_keys_file`, `accept_unsigned_tokens` | [`token_keys`](crate::SessionLayerBuilder::token_keys) |
/// | `encryption_keys` or `encryption_keys_file`, `accept_plaintext` | `EncryptedStore`, around the store; needs the feature `encryption` |
/// | `idle_timeout`, `absolute_timeout` | the methods of the same names |
/// | `remember_idle_timeout`, `remember_absolute_timeout` | [`remember_timeouts`](crate::SessionLayerBuilder::remember_timeouts) |
/// | `anonymous_idle_timeout`, `anonymous_absolute_timeout` | [`anonymous_timeouts`](crate::SessionLayerBuilder::anonymous_timeouts); if one is set, the other is the usual one |
/// | `touch_throttle`, `max_request_age` | the methods of the same names |
/// | `user_cap`, `user_cap_when_full` (`evict_oldest`, the default, or `refuse`) | [`user_cap`](crate::SessionLayerBuilder::user_cap) |
/// | `lock_lease`, `lock_hold`, `lock_wait`, `lock_max_waiting`, `lock_cohort`, `lock_poll`, `lock_store_timeout` | [`LockConfig`](crate::LockConfig) |
/// | `data_max_size`, `data_max_key` | [`DataLimits`](crate::DataLimits), in bytes |
/// | `trusted_proxies` (networks and addresses, in a list or with commas between them), `trusted_proxies_header` (`x-forwarded-for`, the default, or `forwarded`) | [`TrustedProxies`](crate::TrustedProxies) |
/// | `fingerprint` (`refuse`, `destroy`: either turns it on), `fingerprint_user_agent`, `fingerprint_accept_language`, `fingerprint_ip` (`strict`, `relaxed`, or prefixes of IPv4 and IPv6 such as `"24/64"`) | [`FingerprintConfig`](crate::FingerprintConfig) |
/// | `event_capacity`, `check_ended_every` | the methods of the same names |
/// | `temp_dir`, `temp_max_bytes`, `temp_max_files` | `TempStorage`; needs the feature `temp` |
/// | `lottery` (such as `"2/100"`) | [`lottery`](crate::SessionLayerBuilder::lottery) |
/// | `sweep_interval` | none: see [`sweep_interval`](Self::sweep_interval) |
///
/// [Keys](crate::keys) are text, in a list or with commas between them, the one in use first; the
/// files that the options with `_file` name hold them likewise. Neither `Debug` nor an error shows
/// one, but the errors of some file formats quote the line they are about: where others read
/// those, keep keys in files of their own.
///
/// What is code (`skip`, `lock_for`, `commit_when`, `client_ip`, `on_error`, `on_event`, `clock`,
/// `key`) is set on the builder that comes out of it.
///
/// ```
/// use tower_keep::{MemoryStore, SessionConfig};
///
/// let config: SessionConfig = toml::from_str(
///     r#"
///     cookie_name = "__Host-shop"
///     idle_timeout = "30m"
///     user_cap = 5
///     "#,
/// )?;
/// let layer = config
///     .builder(MemoryStore::new())?
///     .skip(|request| request.uri.path().starts_with("/static/"))
///     .build()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SessionConfig {
    cookie_name: Option<String>,
    cookie_path: Option<String>,
    cookie_domain: Option<String>,
    cookie_secure: Option<bool>,
    cookie_http_only: Option<bool>,
    cookie_same_site: Option<SameSite>,
    cookie_partitioned: Option<bool>,
    cookie_expire_on_close: Option<bool>,
    cookie_policy: Option<CookiePolicy>,
    dev_http: Option<bool>,
    transport: Option<Way>,
    transport_header: Option<String>,
    transport_response_header: Option<String>,
    token_prefix: Option<String>,
    token_keys: Option<KeyText>,
    token_keys_file: Option<PathBuf>,
    accept_unsigned_tokens: Option<bool>,
    encryption_keys: Option<KeyText>,
    encryption_keys_file: Option<PathBuf>,
    accept_plaintext: Option<bool>,
    idle_timeout: Option<Span>,
    absolute_timeout: Option<Span>,
    remember_idle_timeout: Option<Span>,
    remember_absolute_timeout: Option<Span>,
    anonymous_idle_timeout: Option<Span>,
    anonymous_absolute_timeout: Option<Span>,
    touch_throttle: Option<Span>,
    max_request_age: Option<Span>,
    user_cap: Option<NonZeroUsize>,
    user_cap_when_full: Option<Full>,
    lock_lease: Option<Span>,
    lock_hold: Option<Span>,
    lock_wait: Option<Span>,
    lock_max_waiting: Option<usize>,
    lock_cohort: Option<u32>,
    lock_poll: Option<Span>,
    lock_store_timeout: Option<Span>,
    data_max_size: Option<usize>,
    data_max_key: Option<usize>,
    trusted_proxies: Option<Networks>,
    trusted_proxies_header: Option<ProxyHeader>,
    fingerprint: Option<OnMismatch>,
    fingerprint_user_agent: Option<bool>,
    fingerprint_accept_language: Option<bool>,
    fingerprint_ip: Option<Binding>,
    event_capacity: Option<usize>,
    check_ended_every: Option<Span>,
    temp_dir: Option<PathBuf>,
    temp_max_bytes: Option<u64>,
    temp_max_files: Option<usize>,
    lottery: Option<Odds>,
    sweep_interval: Option<Span>,
}

impl SessionConfig {
    /// How often to sweep, if that was configured, for [`sweep_every`](crate::sweep_every). The
    /// layer does not start that by itself: it is a task of the server's.
    pub fn sweep_interval(&self) -> Option<Duration> {
        self.sweep_interval.map(|Span(span)| span)
    }
}
