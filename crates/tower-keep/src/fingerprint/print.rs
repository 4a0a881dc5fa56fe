//! What a client looks like, in a form that tells nobody what it looks like.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use http::header::{ACCEPT_LANGUAGE, HeaderName, USER_AGENT};
use sha2::{Digest, Sha256};
use tower_keep_core::data::{DataError, Edit};

use super::{FingerprintConfig, IpBinding};

/// Where it is kept.
const ENTRY: &str = "client";

/// Hashed in front of every header, so that a digest from here means nothing anywhere else.
const DOMAIN: &[u8] = b"tower-keep/client/v1";

/// Half of a digest is enough to tell two clients apart.
const LEN: usize = 16;

/// The parts that are looked at; `None` for the others, and for an address that is not known. A
/// header that is not there is an empty text.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Print {
    user_agent: Option<String>,
    ip: Option<IpAddr>,
    accept_language: Option<String>,
}

impl Print {
    /// Of a request with these headers, from `ip`.
    pub(crate) fn new(
        config: FingerprintConfig,
        headers: &HeaderMap,
        ip: impl FnOnce() -> Option<IpAddr>,
    ) -> Self {
        let of = |looked_at: bool, name| looked_at.then(|| digest(headers, &name));
        let address = config.ip != IpBinding::Relaxed;
        Self {
            user_agent: of(config.user_agent, USER_AGENT),
            ip: address.then(ip).flatten().map(|ip| ip.to_canonical()),
            accept_language: of(config.accept_language, ACCEPT_LANGUAGE),
        }
    }

    /// Notes it in the session.
    pub(crate) fn note(&self, edit: &mut Edit) -> Result<(), DataError> {
        edit.system_insert(ENTRY, &(&self.user_agent, &self.ip, &self.accept_language))
    }

    /// Whether this client is the one that was noted in the session, if one was.
    pub(crate) fn fits(&self, config: FingerprintConfig, edit: &Edit) -> bool {
        let (user_agent, ip, accept_language) = match edit.system_get(ENTRY) {
            Ok(Some(noted)) => noted,
            Ok(None) => return true,
            // What cannot be read is nobody's.
            Err(_) => return false,
        };
        let noted = Self {
            user_agent,
            ip,
            accept_language,
        };
        same(noted.user_agent.as_ref(), self.user_agent.as_ref())
            && same(
                noted.accept_language.as_ref(),
                self.accept_language.as_ref(),
            )
            && match (noted.ip, self.ip) {
                (Some(noted), Some(now)) => config.ip.allows(noted, now),
                (Some(_), None) => config.ip == IpBinding::Relaxed,
                (None, _) => true,
            }
    }
}

/// Shows nothing: it is personal data.
impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Print(..)")
    }
}

/// Only what both look at is compared.
fn same(noted: Option<&String>, now: Option<&String>) -> bool {
    noted.zip(now).is_none_or(|(noted, now)| noted == now)
}

fn digest(headers: &HeaderMap, name: &HeaderName) -> String {
    let mut lines = headers.get_all(name).iter().peekable();
    if lines.peek().is_none() {
        return String::new();
    }
    let mut hash = Sha256::new().chain_update(DOMAIN);
    for line in lines {
        // No header has a line feed in it.
        hash = hash.chain_update(line).chain_update(b"\n");
    }
    URL_SAFE_NO_PAD.encode(&hash.finalize()[..LEN])
}
