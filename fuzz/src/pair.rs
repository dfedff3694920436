//! Whatever two images are: a patch is made of them, and gives the new one.

use crate::images;
use crate::patch::apply;
use delta::{DiffOptions, Effort, HEADER_MAX, PatchHeader, diff};

/// Bytes of both images that are looked at.
const MOST: usize = 16 << 10;

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let pairs = images::each(0).into_iter().zip(images::each(1));
    pairs
        .map(|(old, new)| pair(&old, &new))
        .chain([pair(&images::all(0), &images::all(1))])
        .collect()
}

fn pair(old: &[u8], new: &[u8]) -> Vec<u8> {
    let len = u16::try_from(old.len()).unwrap_or(u16::MAX);
    let old = old.get(..usize::from(len)).unwrap_or_default();
    [&len.to_le_bytes(), old, new].concat()
}

pub(crate) fn run(data: &[u8]) {
    let Some((len, images)) =
        data.get(..MOST.min(data.len())).unwrap_or_default().split_first_chunk()
    else {
        return;
    };
    let len = usize::from(u16::from_le_bytes(*len)).min(images.len());
    let (old, new) = images.split_at(len);
    for effort in [Effort::Fast, Effort::Best] {
        let options =
            DiffOptions { max_heap: 4 << 20, effort, threads: 1, ..DiffOptions::default() };
        let patch = diff(old, new, &options, &()).map(|delta| delta.bytes);
        assert!(patch.is_ok(), "no patch is made: {patch:?}");
        let patch = patch.unwrap_or_default();
        let start = patch.get(..HEADER_MAX.min(patch.len())).unwrap_or_default();
        let header = PatchHeader::read(start).ok().flatten();
        assert!(header.is_some(), "its header cannot be read");
        let Some((header, used)) = header else { return };
        let made = apply(header, patch.get(used..).unwrap_or_default(), old);
        assert_eq!(made.as_deref().ok(), Some(new), "another image comes back");
    }
}
