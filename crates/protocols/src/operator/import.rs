//! Terminals that a factory gave their credentials, made known in bulk.

use crate::json::Message;
use crate::native::Facts;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
use types::{DeviceId, Digest};

/// The most terminals of one request.
pub const IMPORT_LIMIT: usize = 5000;

/// A terminal as its factory knows it: one line of the file of an import.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// Who.
    pub device: DeviceId,
    /// What it is.
    #[serde(flatten)]
    pub facts: Facts,
    /// SHA-256 of the credential that the factory wrote into it: whoever reads the list
    /// learns no secret.
    pub credential_sha256: Digest,
}

/// Makes terminals known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportOrder {
    /// At most [`IMPORT_LIMIT`].
    pub devices: Vec<Made>,
}

/// What became of an import. To send it again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Imports {
    /// So many are new.
    pub added: u32,
    /// So many were known, with the same credential.
    pub known: u32,
    /// These names belong to terminals with other credentials, and stay theirs.
    #[serde(default)]
    pub taken: Vec<DeviceId>,
}

impl Message for ImportOrder {
    const KIND: &'static str = "import of terminals";
    const LIMIT: usize = 4 << 20;
    fn fault(&self) -> Option<&'static str> {
        (self.devices.len() > IMPORT_LIMIT).then_some("names more than 5000 terminals")
    }
}

impl Message for Imports {
    const KIND: &'static str = "result of an import";
    const LIMIT: usize = 1 << 20;
}
