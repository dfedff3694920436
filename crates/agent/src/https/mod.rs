//! HTTPS as this terminal speaks it: the operator's roots only, TLS 1.3 and, with the
//! feature `tls12`, 1.2, small buffers, and a peer that must keep a least rate.
//!
//! HTTP/1.1 is as much of it as a terminal needs (`client`, `answer`), on a connection
//! (`line`) with a receive window that bounds what is under way, the device's own clock
//! for certificates, and the least rate. Deliberately absent: what is asked for.

mod address;
mod answer;
mod client;
mod crypto;
mod line;
mod pace;

pub(crate) use address::Address;
pub use client::{Agent, Answer, Body, Lines};
pub use pace::{Least, Pace};

use crate::platform::clock;
use rustls::RootCertStore;
use rustls::client::{ClientConfig, Resumption};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::time_provider::TimeProvider;
use std::sync::Arc;
use std::time::Duration;
use types::Timestamp;

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

/// Why a request has no answer. Its text is a sentence that quotes nothing of the peer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The connection could not be made, or did not last.
    #[error("{}", io_sentence(.0))]
    Io(#[from] std::io::Error),
    /// Nobody knows the host.
    #[error("its name cannot be found")]
    NoSuchHost,
    /// It is no `https` address, or a line of the request is none.
    #[error("that is no address to ask at")]
    Address,
    /// A head or a body is longer than it may be.
    #[error("it answers more than it may")]
    TooLong,
    /// What came is none of its answers.
    #[error("it does not speak HTTP/1.1")]
    NotHttp,
}

/// After how many seconds whoever answered wants to be asked again, if it says so.
pub(crate) fn retry_after(answer: &Answer) -> Option<u32> {
    answer.line("retry-after")?.parse().ok()
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
pub fn agent(trust: &Trust, limits: &Limits) -> Result<(Agent, Arc<Pace>), TrustError> {
    let pace = Arc::new(Pace::new(limits.least));
    Ok((Agent::new(Arc::new(tls(trust)?), *limits, Arc::clone(&pace)), pace))
}

fn tls(trust: &Trust) -> Result<ClientConfig, TrustError> {
    let mut roots = RootCertStore::empty();
    for root in &trust.roots {
        roots.add(CertificateDer::from(root.as_slice())).map_err(TrustError::Certificate)?;
    }
    let time = Arc::new(DeviceTime(trust.floor));
    let builder = ClientConfig::builder_with_details(Arc::new(crypto::provider()), time);
    let builder = builder.with_protocol_versions(crypto::VERSIONS);
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

/// What the system or TLS said, in words.
fn io_sentence(e: &std::io::Error) -> String {
    if let Some(tls) = e.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return format!("no trusted connection: {tls}");
    }
    if let Some(http) = e.get_ref().and_then(|inner| inner.downcast_ref::<HttpError>()) {
        return http.to_string();
    }
    match e.kind() {
        std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut => "it is silent".into(),
        std::io::ErrorKind::UnexpectedEof => "the connection was cut".into(),
        _ => e.to_string(),
    }
}
