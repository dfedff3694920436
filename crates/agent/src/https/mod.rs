//! HTTPS as this terminal speaks it: the operator's roots only, TLS 1.2 and 1.3,
//! small buffers, and a peer that must keep a least rate.
//!
//! HTTP/1.1 itself is ureq's; the connection below it is ours (`line`), because three
//! things are wanted there: a receive window that bounds what is under way, the
//! device's own clock for certificates, and the least rate. Deliberately absent:
//! what is asked for.

mod line;
mod pace;

pub use pace::{Least, Pace};

use crate::platform::clock;
use line::Dial;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, crypto::ring};
use std::sync::Arc;
use std::time::Duration;
use types::Timestamp;
use ureq::Body;
use ureq::http::{Response, header};
use ureq::unversioned::resolver::DefaultResolver;

/// What a peer may call itself in an answer's head, in bytes.
const HEAD_MAX: usize = 16 << 10;
/// Bytes of an answer that are held decrypted: one TLS record and a rest.
const INPUT: usize = 32 << 10;
/// Bytes of a request that are held; a heartbeat has less.
const OUTPUT: usize = 16 << 10;
/// How long a connection is kept for the next request.
const IDLE: Duration = Duration::from_secs(10);

/// Who is trusted to answer, and when.
#[derive(Debug, Clone)]
pub struct Trust {
    /// Certificates of authorities, DER.
    pub roots: Vec<Vec<u8>>,
    /// The earliest time that it can be now.
    pub floor: Timestamp,
}

/// How long and how much.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// To be connected.
    pub connect: Duration,
    /// Between two pieces that arrive.
    pub read: Duration,
    /// Bytes that may be under way without having been taken.
    pub window: usize,
    /// What a peer must keep up.
    pub least: Least,
}

/// Why no connection could ever be made.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file holds no certificate.
    #[error("there is no certificate in PEM form")]
    Empty,
    /// It is damaged.
    #[error("the certificates cannot be read")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// One of them is none.
    #[error("a certificate cannot be used")]
    Certificate(#[source] rustls::Error),
}

/// After how many seconds whoever answered wants to be asked again, if it says so.
pub(crate) fn retry_after(answer: &Response<Body>) -> Option<u32> {
    let wait = answer.headers().get(header::RETRY_AFTER)?;
    wait.to_str().ok()?.parse().ok()
}

/// The certificates in a PEM file, as DER.
///
/// # Errors
/// There is none, or one is damaged.
pub fn roots(pem: &[u8]) -> Result<Vec<Vec<u8>>, TrustError> {
    let all: Result<Vec<_>, _> =
        CertificateDer::pem_slice_iter(pem).map(|c| c.map(|c| c.to_vec())).collect();
    match all {
        Ok(all) if all.is_empty() => Err(TrustError::Empty),
        all => all.map_err(TrustError::Pem),
    }
}

/// Something that makes requests, and the rate that its peer keeps.
///
/// # Errors
/// A root cannot be used.
pub fn agent(trust: &Trust, limits: &Limits) -> Result<(ureq::Agent, Arc<Pace>), TrustError> {
    let pace = Arc::new(Pace::new(limits.least));
    let dial = Dial::new(Arc::new(tls(trust)?), *limits, Arc::clone(&pace));
    let config = ureq::Agent::config_builder()
        .https_only(true)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(HEAD_MAX)
        .max_idle_connections(1)
        .max_idle_connections_per_host(1)
        .max_idle_age(IDLE)
        .proxy(None)
        .user_agent(concat!("refit-agent/", env!("CARGO_PKG_VERSION")))
        .build();
    Ok((ureq::Agent::with_parts(config, dial, DefaultResolver::default()), pace))
}

fn tls(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    for root in &trust.roots {
        roots.add(CertificateDer::from(root.as_slice())).map_err(TrustError::Certificate)?;
    }
    let time = Arc::new(DeviceTime(trust.floor));
    let builder = ClientConfig::builder_with_details(Arc::new(ring::default_provider()), time);
    let builder = builder.with_protocol_versions(&[&TLS13, &TLS12]);
    let builder = builder.map_err(TrustError::Certificate)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.resumption = Resumption::in_memory_sessions(4);
    Ok(config)
}

/// The time by which certificates are judged.
#[derive(Debug)]
struct DeviceTime(Timestamp);

impl TimeProvider for DeviceTime {
    fn current_time(&self) -> Option<UnixTime> {
        let now = u64::try_from(clock::wall(self.0).0).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_millis(now)))
    }
}

/// The sentence of an error of ureq, without what it quotes of the peer's.
pub fn what(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(e) => io_sentence(e),
        ureq::Error::HostNotFound => "its name cannot be found".into(),
        ureq::Error::BodyExceedsLimit(_) => "it answers more than it may".into(),
        ureq::Error::Protocol(_) => "it does not speak HTTP/1.1".into(),
        other => other.to_string(),
    }
}

/// What the system or TLS said, in words.
fn io_sentence(e: &std::io::Error) -> String {
    if let Some(tls) = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return format!("no trusted connection: {tls}");
    }
    match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "it is silent".into(),
        std::io::ErrorKind::UnexpectedEof => "the connection was cut".into(),
        _ => e.to_string(),
    }
}
