//! The key that the others' packages are signed with.

use crate::process::{said, system};
use anyhow::{Context, Result};
use std::path::{Path, PathBuf};

/// A key and its certificate, which both other installers trust.
pub(super) struct Signer {
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
}

impl Signer {
    /// Takes the key in `folder`, or makes one. The purpose in the certificate is the
    /// one that SWUpdate asks for; RAUC takes it, too.
    pub(super) fn take_or_make(folder: &Path) -> Result<Self> {
        let own = Self { certificate: folder.join("signer.pem"), key: folder.join("signer.key") };
        if own.certificate.exists() {
            return Ok(own);
        }
        let mut openssl = system("openssl", "openssl")?;
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650"]);
        openssl.args(["-subj", "/O=Refit lab/CN=signer"]);
        openssl.args(["-addext", "keyUsage=critical,digitalSignature,keyCertSign"]);
        openssl.args(["-addext", "extendedKeyUsage=emailProtection"]);
        openssl.arg("-keyout").arg(&own.key).arg("-out").arg(&own.certificate);
        said(&mut openssl).context("cannot make a key for the others")?;
        Ok(own)
    }

    /// A detached CMS signature of `document` in DER.
    pub(super) fn sign(&self, document: &Path, signature: &Path) -> Result<()> {
        let mut openssl = system("openssl", "openssl")?;
        openssl.args(["cms", "-sign", "-outform", "DER", "-nosmimecap", "-binary"]);
        openssl.arg("-signer").arg(&self.certificate).arg("-inkey").arg(&self.key);
        openssl.arg("-in").arg(document).arg("-out").arg(signature);
        said(&mut openssl).context("cannot sign for the others")?;
        Ok(())
    }
}
