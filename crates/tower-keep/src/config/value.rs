//! The values of options, as they are written.

use std::fmt;
use std::time::Duration;

use ipnet::IpNet;
use serde::de::{Error, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use crate::client_ip::network;
use crate::fingerprint::IpBinding;

/// A span with its unit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span(pub(super) Duration);

/// How many of how many.
#[derive(Debug, Clone, Copy)]
pub(super) struct Odds(pub(super) u32, pub(super) u32);

/// A transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    Cookie,
    Bearer,
    Header,
}

/// What happens to one session too many.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Full {
    EvictOldest,
    Refuse,
}

/// Which header proxies append to.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProxyHeader {
    XForwardedFor,
    Forwarded,
}

/// How far a client's address may change.
#[derive(Debug, Clone, Copy)]
pub(super) struct Binding(pub(super) IpBinding);

/// Networks of proxies.
#[derive(Debug, Clone)]
pub(super) struct Networks(pub(super) Vec<IpNet>);

/// Keys that are not looked at yet, so that nothing here can have to say what is wrong with them.
#[derive(Clone)]
pub(super) struct KeyText(pub(super) Zeroizing<String>);

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText(..)")
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| humantime::parse_duration(text).ok().map(Span);
        deserializer.deserialize_str(Text(read, "a number and a unit, such as \"30m\""))
    }
}

impl<'de> Deserialize<'de> for Odds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = |text: &str| {
            let (wins, of) = text.split_once('/')?;
            let (wins, of) = (wins.trim().parse().ok()?, of.trim().parse().ok()?);
            (wins <= of && of > 0).then_some(Odds(wins, of))
        };
        deserializer.deserialize_str(Text(read, "two numbers, such as \"2/100\""))
    }
}

impl<'de> Deserialize<'de> for Binding {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let prefixes = |text: &str| {
            let (v4, v6) = text.split_once('/')?;
            let (v4, v6) = (v4.trim().parse().ok()?, v6.trim().parse().ok()?);
            (v4 <= 32 && v6 <= 128).then_some(IpBinding::Prefix { v4, v6 })
        };
        let read = |text: &str| match text {
            "strict" => Some(Self(IpBinding::Strict)),
            "relaxed" => Some(Self(IpBinding::Relaxed)),
            text => prefixes(text).map(Self),
        };
        let expected = "`strict`, `relaxed`, or prefixes of IPv4 and IPv6, such as \"24/64\"";
        deserializer.deserialize_str(Text(read, expected))
    }
}

/// Reads text, or says what was expected.
struct Text<F>(F, &'static str);

impl<F: Fn(&str) -> Option<T>, T> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.1)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        self.0(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

impl<'de> Deserialize<'de> for Networks {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Proxies)
    }
}

struct Proxies;

impl<'de> Visitor<'de> for Proxies {
    type Value = Networks;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("networks as text, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Networks, E> {
        let all = text.split(',').map(|text| network(text.trim()));
        all.collect::<Result<_, _>>()
            .map(Networks)
            .map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Networks, A::Error> {
        let mut all = Vec::new();
        while let Some(Networks(some)) = list.next_element()? {
            all.extend(some);
        }
        Ok(Networks(all))
    }
}

impl<'de> Deserialize<'de> for KeyText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Keys)
    }
}

struct Keys;

impl Keys {
    /// Without what there is instead.
    fn refused<E: Error>() -> E {
        E::custom("keys must be text, or a list of texts")
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = KeyText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys as text, or a list of them")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<KeyText, E> {
        Ok(KeyText(Zeroizing::new(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<KeyText, A::Error> {
        let mut all = Zeroizing::new(String::new());
        while let Some(KeyText(key)) = list.next_element()? {
            all.push_str(&key);
            all.push(',');
        }
        Ok(KeyText(all))
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<KeyText, E> {
        Err(Self::refused())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<KeyText, E> {
        Err(Self::refused())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<KeyText, E> {
        Err(Self::refused())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<KeyText, E> {
        Err(Self::refused())
    }
}
