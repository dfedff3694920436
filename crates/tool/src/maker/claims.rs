//! What signatures say about themselves, whoever made them; nothing is verified.

use package::Manifest;
use serde_json::Value;

/// The text at `pointer` (RFC 6901) of the metadata.
fn text(targets: &[u8], pointer: &str) -> Option<String> {
    let value: Value = serde_json::from_slice(targets).ok()?;
    Some(value.pointer(pointer)?.as_str()?.to_owned())
}

/// When they expire.
pub(crate) fn expires(targets: &[u8]) -> Option<String> {
    text(targets, "/signed/expires")
}

/// The SHA-256 of the manifest that they are for.
pub(crate) fn manifest_digest(targets: &[u8]) -> Option<String> {
    text(targets, &format!("/signed/targets/{}/hashes/sha256", Manifest::ENTRY))
}

/// The key ids of the signatures, each once.
pub(crate) fn signers(targets: &[u8]) -> Vec<String> {
    let value: Value = serde_json::from_slice(targets).unwrap_or_default();
    let signatures = value.get("signatures").and_then(Value::as_array);
    let id = |signature: &Value| Some(signature.get("keyid")?.as_str()?.to_owned());
    let mut ids: Vec<_> = signatures.into_iter().flatten().filter_map(id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}
