//! An authority of the test's own, and its server's certificate.

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use std::sync::Arc;

/// An authority, and a certificate of it for this machine.
#[derive(Debug)]
pub struct Authority {
    ca: String,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    key: KeyPair,
}

impl Authority {
    /// A new authority.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> Result<Self> {
        let (ca_key, key) = (KeyPair::generate()?, KeyPair::generate()?);
        let mut params = dated(CertificateParams::new(Vec::new())?);
        params.distinguished_name.push(DnType::CommonName, "Refit lab authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = params.self_signed(&ca_key)?.pem();
        let names = vec!["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut leaf = dated(CertificateParams::new(names)?);
        leaf.distinguished_name.push(DnType::CommonName, "localhost");
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        leaf.use_authority_key_identifier_extension = true;
        let certificate = leaf.signed_by(&key, &Issuer::new(params, ca_key))?;
        let certificate_pem = certificate.pem();
        Ok(Self { ca, certificate: certificate.der().clone(), certificate_pem, key })
    }

    /// The authority's certificate, for those who trust it.
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// The server's certificate and key, for servers that are not ours.
    pub fn server_pem(&self) -> (&str, String) {
        (&self.certificate_pem, self.key.serialize_pem())
    }

    /// How a server speaks TLS with its certificate.
    pub(super) fn server(&self) -> Result<Arc<ServerConfig>> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = PrivatePkcs8KeyDer::from(self.key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], key.into())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// Valid for the life of any test.
fn dated(mut params: CertificateParams) -> CertificateParams {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2099, 1, 1);
    params
}
