//! From options to a layer's builder.

use std::path::Path;
use std::time::Duration;

use tower_keep_core::data::DataLimits;
use tower_keep_core::{DynStore, Limits, SessionStore, UserCap, WhenFull};

use super::value::{Binding, Full, KeyText, Networks, Odds, ProxyHeader, Span, Way};
use super::{ConfigError, SessionConfig};
use crate::client_ip::TrustedProxies;
use crate::cookie::CookieConfig;
use crate::fingerprint::FingerprintConfig;
use crate::keys::KeyRing;
use crate::layer::{SessionLayer, SessionLayerBuilder, as_dyn};
use crate::lock::LockConfig;
use crate::shared::Lifetimes;
use crate::sweep::Lottery;
#[cfg(feature = "temp")]
use crate::temp::TempStorage;
use crate::transport::Transport;

impl SessionConfig {
    /// A layer over `store`, as it is configured, for what is code to be added.
    ///
    /// # Errors
    /// What contradicts what, keys that cannot be used, and what needs a feature that this build does
    /// not have. What else does not fit is found when the layer is
    /// [built](SessionLayerBuilder::build).
    pub fn builder(&self, store: impl SessionStore) -> Result<SessionLayerBuilder, ConfigError> {
        self.check()?;
        let lifetimes = self.lifetimes();
        let Lifetimes {
            usual, remembered, ..
        } = lifetimes;
        let builder = SessionLayer::builder(self.encrypted(store)?)
            .cookie(self.cookie())
            .transport(self.transport())
            .idle_timeout(usual.idle)
            .absolute_timeout(usual.absolute)
            .remember_timeouts(remembered.idle, remembered.absolute)
            .locks(self.locks())
            .data_limits(self.data_limits());
        let prefix = self.token_prefix.as_deref();
        let builder = set(builder, prefix, SessionLayerBuilder::token_prefix);
        let builder = set(
            builder,
            self.signing_keys()?,
            SessionLayerBuilder::token_keys,
        );
        let builder = set(builder, self.accept_unsigned_tokens, |builder, accept| {
            builder.accept_unsigned_tokens(accept)
        });
        let builder = set(builder, lifetimes.anonymous, |builder, limits| {
            builder.anonymous_timeouts(limits.idle, limits.absolute)
        });
        let builder = set(builder, self.touch_throttle, |builder, Span(least)| {
            builder.touch_throttle(least)
        });
        let builder = set(builder, self.max_request_age, |builder, Span(age)| {
            builder.max_request_age(age)
        });
        let builder = set(builder, self.user_cap(), SessionLayerBuilder::user_cap);
        let builder = set(
            builder,
            self.trusted_proxies(),
            SessionLayerBuilder::trusted_proxies,
        );
        let builder = set(
            builder,
            self.fingerprint(),
            SessionLayerBuilder::fingerprint,
        );
        let capacity = self.event_capacity;
        let builder = set(builder, capacity, SessionLayerBuilder::event_capacity);
        let builder = set(builder, self.check_ended_every, |builder, Span(every)| {
            builder.check_ended_every(every)
        });
        #[cfg(feature = "temp")]
        let builder = set(
            builder,
            self.temp_storage(),
            SessionLayerBuilder::temp_storage,
        );
        Ok(set(builder, self.lottery, |builder, Odds(wins, of)| {
            builder.lottery(Lottery::new(wins, of))
        }))
    }

    fn cookie(&self) -> CookieConfig {
        let cookie = if self.dev_http == Some(true) {
            CookieConfig::dev_http()
        } else {
            CookieConfig::new()
        };
        let cookie = set(cookie, self.cookie_name.as_deref(), CookieConfig::name);
        let cookie = set(cookie, self.cookie_path.as_deref(), CookieConfig::path);
        let cookie = set(cookie, self.cookie_domain.as_deref(), CookieConfig::domain);
        let cookie = set(cookie, self.cookie_secure, CookieConfig::secure);
        let cookie = set(cookie, self.cookie_http_only, CookieConfig::http_only);
        let cookie = set(cookie, self.cookie_same_site, CookieConfig::same_site);
        let cookie = set(cookie, self.cookie_partitioned, CookieConfig::partitioned);
        let on_close = self.cookie_expire_on_close;
        let cookie = set(cookie, on_close, CookieConfig::expire_on_close);
        set(cookie, self.cookie_policy, CookieConfig::policy)
    }

    fn transport(&self) -> Transport {
        let header = match self.transport {
            None | Some(Way::Cookie) => return Transport::Cookie,
            Some(Way::Bearer) => Transport::bearer(),
            Some(Way::Header) => {
                Transport::header(self.transport_header.as_deref().unwrap_or_default())
            }
        };
        let response = self.transport_response_header.as_deref();
        Transport::Header(set(header, response, |header, name| {
            header.response_header(name)
        }))
    }

    fn lifetimes(&self) -> Lifetimes {
        let default = Lifetimes::default();
        let usual = limits(self.idle_timeout, self.absolute_timeout, default.usual);
        let (idle, absolute) = (self.remember_idle_timeout, self.remember_absolute_timeout);
        let remembered = limits(idle, absolute, default.remembered);
        let (idle, absolute) = (self.anonymous_idle_timeout, self.anonymous_absolute_timeout);
        let anonymous = idle.or(absolute).map(|_| limits(idle, absolute, usual));
        Lifetimes {
            usual,
            remembered,
            anonymous,
        }
    }

    fn user_cap(&self) -> Option<UserCap> {
        let when_full = match self.user_cap_when_full {
            None | Some(Full::EvictOldest) => WhenFull::EvictOldest,
            Some(Full::Refuse) => WhenFull::Refuse,
        };
        let most = self.user_cap?;
        Some(UserCap { most, when_full })
    }

    fn locks(&self) -> LockConfig {
        let default = LockConfig::default();
        LockConfig {
            lease: span(self.lock_lease, default.lease),
            hold: span(self.lock_hold, default.hold),
            wait: span(self.lock_wait, default.wait),
            max_waiting: self.lock_max_waiting.unwrap_or(default.max_waiting),
            cohort: self.lock_cohort.unwrap_or(default.cohort),
            poll: span(self.lock_poll, default.poll),
            store_timeout: span(self.lock_store_timeout, default.store_timeout),
        }
    }

    fn data_limits(&self) -> DataLimits {
        let default = DataLimits::default();
        DataLimits {
            max_key: self.data_max_key.unwrap_or(default.max_key),
            max_size: self.data_max_size.unwrap_or(default.max_size),
        }
    }

    fn trusted_proxies(&self) -> Option<TrustedProxies> {
        let Networks(networks) = self.trusted_proxies.clone()?;
        let proxies = TrustedProxies::of(networks);
        Some(match self.trusted_proxies_header {
            None | Some(ProxyHeader::XForwardedFor) => proxies,
            Some(ProxyHeader::Forwarded) => proxies.forwarded(),
        })
    }

    fn fingerprint(&self) -> Option<FingerprintConfig> {
        let print = FingerprintConfig::new().on_mismatch(self.fingerprint?);
        let print = set(
            print,
            self.fingerprint_user_agent,
            FingerprintConfig::user_agent,
        );
        let language = self.fingerprint_accept_language;
        let print = set(print, language, FingerprintConfig::accept_language);
        Some(set(print, self.fingerprint_ip, |print, Binding(ip)| {
            print.ip(ip)
        }))
    }

    #[cfg(feature = "temp")]
    fn temp_storage(&self) -> Option<TempStorage> {
        let temp = TempStorage::new(self.temp_dir.as_deref()?);
        let temp = set(temp, self.temp_max_bytes, TempStorage::max_bytes);
        Some(set(temp, self.temp_max_files, TempStorage::max_files))
    }

    fn signing_keys(&self) -> Result<Option<KeyRing>, ConfigError> {
        let (text, file) = (&self.token_keys, &self.token_keys_file);
        ring(("token_keys", text), ("token_keys_file", file.as_deref()))
    }

    fn encrypted(&self, store: impl SessionStore) -> Result<DynStore, ConfigError> {
        let (text, file) = (&self.encryption_keys, &self.encryption_keys_file);
        let file = ("encryption_keys_file", file.as_deref());
        let Some(keys) = ring(("encryption_keys", text), file)? else {
            return Ok(as_dyn(store));
        };
        #[cfg(feature = "encryption")]
        {
            let accept = self.accept_plaintext.unwrap_or_default();
            let store = crate::EncryptedStore::new(store, &keys).accept_plaintext(accept);
            Ok(DynStore::new(store))
        }
        #[cfg(not(feature = "encryption"))]
        {
            drop(keys);
            Err(ConfigError::NotInThisBuild {
                option: "encryption_keys",
                feature: "encryption",
            })
        }
    }
}

/// Passes on what is set.
fn set<B, T>(builder: B, value: Option<T>, set: impl FnOnce(B, T) -> B) -> B {
    match value {
        Some(value) => set(builder, value),
        None => builder,
    }
}

fn span(set: Option<Span>, default: Duration) -> Duration {
    set.map_or(default, |Span(span)| span)
}

fn limits(idle: Option<Span>, absolute: Option<Span>, default: Limits) -> Limits {
    Limits {
        idle: span(idle, default.idle),
        absolute: span(absolute, default.absolute),
    }
}

/// The keys of one of two options.
fn ring(
    (option, text): (&'static str, &Option<KeyText>),
    (file_option, file): (&'static str, Option<&Path>),
) -> Result<Option<KeyRing>, ConfigError> {
    let (option, ring) = match (text, file) {
        (None, None) => return Ok(None),
        (Some(_), Some(_)) => {
            let problem = format!("is set as well as `{file_option}`: leave one of them out");
            return Err(ConfigError::Contradiction { option, problem });
        }
        (Some(KeyText(text)), None) => (option, text.parse()),
        (None, Some(file)) => (file_option, KeyRing::from_file(file)),
    };
    ring.map(Some)
        .map_err(|source| ConfigError::Keys { option, source })
}
