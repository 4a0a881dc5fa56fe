//! TLS, with certificates made here.

use std::error::Error;
use std::sync::OnceLock;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use tower_keep_core::StoreErrorKind;
use tower_keep_redis::{RedisStore, RedisStoreBuilder};
use tower_keep_testkit::conformance::Harness;

use crate::server::{Server, prefix};

/// Who vouches for others.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([]).unwrap();
        let name = format!("authority {}", prefix());
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        Self { issuer, pem }
    }

    /// A certificate for this name, and its key.
    fn vouch_for(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        (certificate.pem(), key.serialize_pem())
    }
}

struct Secured {
    authority: Authority,
    server: Server,
    _files: TempDir,
}

impl Secured {
    /// A server with a certificate for this name, which asks clients for one or not.
    fn start(name: &str, asks_clients: &str) -> Self {
        let (authority, files) = (Authority::new(), tempfile::tempdir().unwrap());
        let (certificate, key) = authority.vouch_for(name);
        let file = |name: &str, pem: &str| {
            let path = files.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let server = Server::start_tls(&[
            "--tls-cert-file",
            &file("certificate", &certificate),
            "--tls-key-file",
            &file("key", &key),
            "--tls-ca-cert-file",
            &file("authority", &authority.pem),
            "--tls-auth-clients",
            asks_clients,
        ]);
        Self {
            authority,
            server,
            _files: files,
        }
    }

    /// Trusts the server.
    fn builder(&self) -> RedisStoreBuilder {
        builder().tls_authorities(&*self.authority.pem)
    }
}

fn builder() -> RedisStoreBuilder {
    let builder = RedisStore::builder().prefix(prefix());
    builder.command_timeout(Duration::from_secs(20))
}

/// Why this URL is refused.
async fn refusal(builder: RedisStoreBuilder, url: &str) -> String {
    let error = builder.connect(url).await.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let source = error.source().unwrap().to_string();
    let shown = format!("{error} {error:?} {source}");
    assert!(!shown.contains("password-1"), "{shown}");
    assert!(!shown.contains("PRIVATE"), "{shown}");
    source
}

/// The server of the cases below, which share it until the process ends.
fn shared() -> &'static Secured {
    static SERVER: OnceLock<Secured> = OnceLock::new();
    SERVER.get_or_init(|| Secured::start("127.0.0.1", "no"))
}

async fn harness() -> Harness {
    let builder = shared().builder().scan_to_sweep(true);
    Harness::new(builder.connect(&shared().server.url()).await.unwrap())
}

tower_keep_testkit::conformance_tests!(harness);

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_trusted_is_refused_and_why_is_said() {
    let url = |server: &Server| server.url().replace("//", "//user:password-1@");
    let server = &shared().server;
    for builder in [
        // The operating system does not know it either.
        builder(),
        builder().tls_authorities(Authority::new().pem),
    ] {
        let why = refusal(builder, &url(server)).await;
        assert!(why.contains("no authority that is trusted"), "{why}");
    }
    let elsewhere = Secured::start("elsewhere.example", "no");
    let why = refusal(elsewhere.builder(), &url(&elsewhere.server)).await;
    assert!(why.contains("for another name"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_wrong_port_is_an_error() {
    let server = &shared().server;
    let plain = format!("redis://:password-1@127.0.0.1:{}/", server.port());
    let why = refusal(builder(), &plain).await;
    assert!(why.contains("unless the URL is `rediss://`"), "{why}");
    let server = Server::start(&[]);
    let secure = format!("rediss://:password-1@127.0.0.1:{}/", server.port());
    // To a server without TLS the first bytes are the beginning of a long command.
    let hasty = builder().command_timeout(Duration::from_millis(300));
    let why = refusal(hasty, &secure).await;
    assert!(why.contains("did not answer in time"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_may_ask_for_a_client_certificate() {
    let asking = Secured::start("127.0.0.1", "yes");
    let url = asking.server.url();
    let (certificate, key) = asking.authority.vouch_for("shop");
    let known = asking.builder().tls_client_certificate(certificate, key);
    assert!(!format!("{known:?}").contains("PRIVATE"));
    known.connect(&url).await.unwrap();
    let why = refusal(asking.builder(), &url).await;
    assert!(why.contains("may want a client certificate"), "{why}");
    let (certificate, key) = Authority::new().vouch_for("shop");
    let stranger = asking.builder().tls_client_certificate(certificate, key);
    let why = refusal(stranger, &url).await;
    assert!(why.contains("may want a client certificate"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_certificates_are_told_before_anything_is_sent() {
    let server = &shared().server;
    let (certificate, key) = shared().authority.vouch_for("shop");
    for builder in [
        builder().tls_authorities("no PEM"),
        shared().builder().tls_client_certificate("", key.as_str()),
        shared()
            .builder()
            .tls_client_certificate(certificate, "no PEM"),
    ] {
        let why = refusal(builder, &server.url()).await;
        assert!(why.contains("not readable PEM"), "{why}");
    }
    let plain = format!("redis://127.0.0.1:{}/", server.port());
    let why = refusal(shared().builder(), &plain).await;
    assert!(why.contains("not `rediss://`"), "{why}");
}
