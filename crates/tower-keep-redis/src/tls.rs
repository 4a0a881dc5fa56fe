//! TLS, by rustls.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

use redis::{ClientTlsConfig, ConnectionAddr, ConnectionInfo, RedisError, TlsCertificates};
use rustls::CertificateError;
use rustls::crypto::{CryptoProvider, ring};
use tower_keep_core::StoreError;

use crate::error::invalid;

/// In PEM.
#[derive(Clone, Default)]
pub(crate) struct Certificates {
    pub(crate) authorities: Option<Vec<u8>>,
    /// The chain and its key.
    pub(crate) client: Option<(Vec<u8>, Vec<u8>)>,
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Certificates { .. }")
    }
}

impl Certificates {
    /// As the driver takes them, if there are any.
    pub(crate) fn get(&self) -> Result<Option<TlsCertificates>, StoreError> {
        // The driver takes a file without certificates for one that trusts nobody.
        let chains = self.client.iter().map(|(chain, _)| chain);
        for pem in self.authorities.iter().chain(chains) {
            if !pem.windows(BEGIN.len()).any(|window| window == BEGIN) {
                return Err(unreadable());
            }
        }
        let client_tls = self.client.clone();
        let client_tls = client_tls.map(|(client_cert, client_key)| ClientTlsConfig {
            client_cert,
            client_key,
        });
        let root_cert = self.authorities.clone();
        let some = client_tls.is_some() || root_cert.is_some();
        Ok(some.then_some(TlsCertificates {
            client_tls,
            root_cert,
        }))
    }
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

pub(crate) fn unreadable() -> StoreError {
    invalid("the certificates or the key are not readable PEM, or the URL is not `rediss://`")
}

pub(crate) fn is_secure(info: &ConnectionInfo) -> bool {
    matches!(info.addr(), ConnectionAddr::TcpTls { .. })
}

/// rustls takes the process's provider of cryptography. If the application has chosen none, it
/// chooses the one it was built with, and panics if these are two.
pub(crate) fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Another thread may have been faster.
        let _ = ring::default_provider().install_default();
    }
}

/// What went wrong with TLS, if that is what did.
pub(crate) fn failure(error: &RedisError) -> Option<&'static str> {
    // The driver shares its errors.
    let shared: &Arc<dyn Error + Send + Sync> = error.source()?.downcast_ref()?;
    let io: &io::Error = shared.downcast_ref()?;
    Some(match io.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => {
                "the certificate of Redis is of no authority that is trusted here"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "the certificate of Redis is for another name than the URL has"
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "the certificate of Redis has expired"
            }
            _ => "the certificate of Redis is not valid",
        },
        rustls::Error::AlertReceived(_) => {
            "Redis broke off TLS: it may want a client certificate that it trusts"
        }
        _ => "no TLS connection to Redis: is it the port for TLS?",
    })
}
