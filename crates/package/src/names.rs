//! What entries are called, and what an entry may be called at all.

use alloc::format;
use alloc::string::String;
use types::Name;

/// The longest name: a folder, a component's name of 64 bytes, and endings.
pub(crate) const NAME_MAX: usize = 96;

/// The entry of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The entry that holds the signatures: TUF targets metadata, read by `trust`.
pub(crate) const TARGETS: &str = "targets.json";
/// The entry kept free for a transparency log's proof. Readers of format 1 pass
/// over it: they neither need nor believe it.
pub const PROOF: &str = "proof.tlog";
/// Where roots of trust are that follow the ones on terminals, `roots/N.root.json`. They
/// come before what the manifest speaks of, and vouch for themselves.
pub const ROOTS: &str = "roots/";
/// The entry of the list of deltas.
pub(crate) const DELTAS: &str = "deltas.json";

/// The entry of the chunk digests of `component`.
pub fn chunks_entry(component: &Name) -> String {
    format!("chunks/{component}")
}

/// The entry of the full payload of `component`.
pub fn payload_entry(component: &Name) -> String {
    format!("payload/{component}.zst")
}

/// One or two parts, each harmless as a file name.
pub(crate) fn is_entry_name(name: &str) -> bool {
    name.len() <= NAME_MAX && name.split('/').count() <= 2 && name.split('/').all(is_part)
}

fn is_part(part: &str) -> bool {
    let allowed =
        |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'+' | b':' | b'-');
    part.bytes().all(allowed) && part.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}
