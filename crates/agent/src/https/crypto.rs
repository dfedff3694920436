//! The cryptography of a terminal's connections: what ring has, as far as a client
//! needs it that shows no certificate of its own.
//!
//! Deliberately absent: keys (a terminal says who it is inside the connection), and
//! groups and signatures that no server needs where it knows the others.

use ring::rand::{SecureRandom as _, SystemRandom};
use rustls::crypto::ring::cipher_suite as suite;
use rustls::crypto::ring::kx_group::{SECP256R1, X25519};
use rustls::crypto::{
    CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::PrivateKeyDer;
use rustls::sign::SigningKey;
use rustls::version::TLS13;
use rustls::{Error, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion};
use std::sync::Arc;
use webpki::ring as algorithm;

/// The versions of TLS that are spoken.
pub(super) const VERSIONS: &[&SupportedProtocolVersion] = &[
    &TLS13,
    #[cfg(feature = "tls12")]
    &rustls::version::TLS12,
];

/// How records are protected, what is liked best first.
const SUITES: &[SupportedCipherSuite] = &[
    suite::TLS13_AES_256_GCM_SHA384,
    suite::TLS13_AES_128_GCM_SHA256,
    suite::TLS13_CHACHA20_POLY1305_SHA256,
    #[cfg(feature = "tls12")]
    suite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    #[cfg(feature = "tls12")]
    suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    #[cfg(feature = "tls12")]
    suite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    #[cfg(all(feature = "tls12", feature = "rsa"))]
    suite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    #[cfg(all(feature = "tls12", feature = "rsa"))]
    suite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    #[cfg(all(feature = "tls12", feature = "rsa"))]
    suite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
];

/// What certificates may be signed with, and what a server may sign with.
const ALGORITHMS: WebPkiSupportedAlgorithms = WebPkiSupportedAlgorithms {
    all: &[
        algorithm::ECDSA_P256_SHA256,
        algorithm::ECDSA_P256_SHA384,
        algorithm::ECDSA_P384_SHA256,
        algorithm::ECDSA_P384_SHA384,
        algorithm::ED25519,
        #[cfg(feature = "rsa")]
        algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
        #[cfg(feature = "rsa")]
        algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
        #[cfg(feature = "rsa")]
        algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        #[cfg(feature = "rsa")]
        algorithm::RSA_PKCS1_2048_8192_SHA256,
        #[cfg(feature = "rsa")]
        algorithm::RSA_PKCS1_2048_8192_SHA384,
        #[cfg(feature = "rsa")]
        algorithm::RSA_PKCS1_2048_8192_SHA512,
    ],
    mapping: &[
        // TLS 1.2 does not bind the curve to the digest; TLS 1.3 takes the first.
        (
            SignatureScheme::ECDSA_NISTP384_SHA384,
            &[algorithm::ECDSA_P384_SHA384, algorithm::ECDSA_P256_SHA384],
        ),
        (
            SignatureScheme::ECDSA_NISTP256_SHA256,
            &[algorithm::ECDSA_P256_SHA256, algorithm::ECDSA_P384_SHA256],
        ),
        (SignatureScheme::ED25519, &[algorithm::ED25519]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PSS_SHA512, &[algorithm::RSA_PSS_2048_8192_SHA512_LEGACY_KEY]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PSS_SHA384, &[algorithm::RSA_PSS_2048_8192_SHA384_LEGACY_KEY]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PSS_SHA256, &[algorithm::RSA_PSS_2048_8192_SHA256_LEGACY_KEY]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PKCS1_SHA512, &[algorithm::RSA_PKCS1_2048_8192_SHA512]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PKCS1_SHA384, &[algorithm::RSA_PKCS1_2048_8192_SHA384]),
        #[cfg(feature = "rsa")]
        (SignatureScheme::RSA_PKCS1_SHA256, &[algorithm::RSA_PKCS1_2048_8192_SHA256]),
    ],
};

/// All of it.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: SUITES.to_vec(),
        kx_groups: vec![X25519, SECP256R1],
        signature_verification_algorithms: ALGORITHMS,
        secure_random: &System,
        key_provider: &NoKeys,
    }
}

/// The system's random numbers.
#[derive(Debug)]
struct System;

impl SecureRandom for System {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        SystemRandom::new().fill(buffer).map_err(|_| GetRandomFailed)
    }
}

/// Nothing is signed here.
#[derive(Debug)]
struct NoKeys;

impl KeyProvider for NoKeys {
    fn load_private_key(&self, _: PrivateKeyDer<'static>) -> Result<Arc<dyn SigningKey>, Error> {
        Err(Error::General("a terminal has no key for certificates".into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All that ring knows, and what is left out on purpose.
    #[test]
    #[cfg(all(feature = "tls12", feature = "rsa"))]
    fn nothing_is_missing_by_mistake() {
        let all = rustls::crypto::ring::default_provider();
        let ours = provider();
        assert_eq!(ours.cipher_suites, all.cipher_suites);
        let groups = |provider: &CryptoProvider| -> Vec<_> {
            provider.kx_groups.iter().map(|group| group.name()).collect()
        };
        assert_eq!(groups(&ours), groups(&all)[..2]);
        assert_eq!(
            ours.signature_verification_algorithms.supported_schemes(),
            all.signature_verification_algorithms.supported_schemes()
        );
    }
}
