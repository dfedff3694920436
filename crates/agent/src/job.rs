//! The job file: what is installed, written once it is verified, read after every
//! restart. It is trusted because the journal holds its digest.

use package::{Component, Manifest};
use trust::ChunkList;
use types::{Digest, Document};

/// First bytes of a job file; the last one is its version.
const MAGIC: &[u8] = b"refit job 1\n";

/// One component that is to be installed.
#[derive(Debug, Clone)]
pub(crate) struct Part {
    /// What the manifest says of it.
    pub(crate) component: Component,
    /// Its chunks' signed digests.
    pub(crate) chunks: ChunkList,
}

/// What is installed, in order.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    /// What the maker signed.
    pub(crate) manifest: Manifest,
    /// SHA-256 of the manifest: the release's identity.
    pub(crate) release: Digest,
    /// The components that are to be installed.
    pub(crate) parts: Vec<Part>,
}

impl Job {
    /// The document's name in the store.
    pub(crate) const NAME: &'static str = "job";

    /// Bytes of all images together.
    pub(crate) fn image_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.component.image.size).sum()
    }
}

/// The exact bytes of a job file. `lists` are the chunk lists of the components
/// `chosen`, by their index in the manifest.
pub(crate) fn encode(manifest: &[u8], chosen: &[(u8, &ChunkList)]) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    put(&mut out, manifest);
    for (index, list) in chosen {
        out.push(*index);
        put(&mut out, list.bytes());
    }
    out
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend(len.to_be_bytes());
    out.extend(bytes);
}

/// Takes a length and so many bytes from the front.
fn take<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok()?;
    let (bytes, tail) = tail.split_at_checked(len)?;
    *rest = tail;
    Some(bytes)
}

impl Document for Job {
    const KIND: &'static str = "job file";
    const LIMIT: u32 = 48 << 20;

    fn decode(bytes: &[u8]) -> Result<Self, String> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or("not a job file of this version")?;
        let exact = take(&mut rest).ok_or("cut short")?;
        let manifest = Manifest::decode(exact)?;
        let mut parts = Vec::new();
        while let Some((index, tail)) = rest.split_first() {
            rest = tail;
            let list = take(&mut rest).ok_or("cut short")?;
            parts.push(part(&manifest, *index, list)?);
        }
        Ok(Self { release: Digest::of(exact), manifest, parts })
    }
}

fn part(manifest: &Manifest, index: u8, list: &[u8]) -> Result<Part, String> {
    let component = manifest.components.get(usize::from(index)).ok_or("no such component")?;
    let chunks = ChunkList::check(&component.image, list.to_vec()).map_err(|e| e.to_string())?;
    Ok(Part { component: component.clone(), chunks })
}
