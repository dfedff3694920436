//! The server's own authority and certificate, where none are given.
//!
//! The authority's key is kept, so that terminals that know its certificate go on
//! trusting the server. The server's own certificate is made anew at each start and
//! every two months, and never touches the disk.

use crate::folder::{Audience, Folder, FolderError, Made};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use types::{Seconds, Timestamp};

/// How long the authority is good for: as long as terminals live.
const CA_DAYS: u32 = 30 * 365;
/// How long a server's certificate is good for.
const CERT_DAYS: u32 = 397;
/// When certificates begin, in seconds since 1970: 2026-01-01, from where a terminal
/// counts whose clock was lost. It could not reach a server that begins later.
const BEGIN: u64 = 1_767_225_600;
const DAY: u32 = 86_400;

/// After how long the server's own certificate is made anew.
pub(crate) const RENEW_AFTER: Seconds = Seconds(60 * DAY);

/// Why the server has no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PkiError {
    /// The folder fails.
    #[error("cannot keep the server's authority")]
    Folder(#[from] FolderError),
    /// The stored authority is damaged, or a name fits no certificate.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// The given files are no certificate and key.
    #[error("`{path}` is not what it must be")]
    Given {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// Certificate and key do not belong together.
    #[error("the certificate cannot be used")]
    Use(#[from] rustls::Error),
}

/// The server's own authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of `folder`, made if there is none.
    pub(crate) fn open(folder: &Folder, now: Timestamp) -> Result<(Self, Made), PkiError> {
        let make = || {
            KeyPair::generate()
                .map(|key| key.serialize_pem().into_bytes())
                .map_err(|_| FolderError::Random(crate::secret::NoRandom))
        };
        let (pem, made) = folder.keep("ca.key", make)?;
        let key = KeyPair::from_pem(&String::from_utf8_lossy(&pem))?;
        let params = authority_params(now)?;
        if folder.read("ca.pem")?.is_none() {
            let certificate = params.self_signed(&key)?;
            folder.write("ca.pem", certificate.pem().as_bytes(), Audience::Everybody)?;
        }
        Ok((Self { issuer: Issuer::new(params, key) }, made))
    }

    /// A TLS configuration with a new certificate for `names`.
    pub(crate) fn config(
        &self,
        names: Vec<String>,
        now: Timestamp,
    ) -> Result<Arc<ServerConfig>, PkiError> {
        let mut params = dated(CertificateParams::new(names)?, now, CERT_DAYS);
        params.distinguished_name.push(DnType::CommonName, "refit-server");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        configure(vec![certificate.der().clone()], key.into())
    }
}

fn authority_params(now: Timestamp) -> Result<CertificateParams, rcgen::Error> {
    let mut params = dated(CertificateParams::new(Vec::new())?, now, CA_DAYS);
    params.distinguished_name.push(DnType::CommonName, "Refit server authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn dated(mut params: CertificateParams, now: Timestamp, days: u32) -> CertificateParams {
    let seconds = Duration::from_secs(u64::try_from(now.0 / 1000).unwrap_or(0));
    params.not_before = (UNIX_EPOCH + seconds.min(Duration::from_secs(BEGIN))).into();
    params.not_after =
        (UNIX_EPOCH + seconds + Duration::from_secs(u64::from(days) * 86_400)).into();
    params
}

/// A TLS configuration from given files.
pub(crate) fn given(cert: &Path, key: &Path) -> Result<Arc<ServerConfig>, PkiError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |cause| PkiError::Given { path, cause }
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(cert).map_err(failed(cert))?.collect();
    let key = PrivateKeyDer::from_pem_file(key).map_err(failed(key))?;
    configure(chain.map_err(failed(cert))?, key)
}

fn configure(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Arc<ServerConfig>, PkiError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // The session is in the ticket, so a million terminals that come back cost no memory.
    // Another server, or this one after a restart, makes a full handshake of it.
    config.ticketer = rustls::crypto::ring::Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(Arc::new(config))
}
