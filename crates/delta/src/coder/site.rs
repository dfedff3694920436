//! Places in old and new at which bytes are compared, and where their words refer to.

/// The steps in which aligned bytes are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grid {
    /// Four bytes, instructions of fixed size: relative places count in words
    /// and have 24 bits.
    Words,
    /// Single bytes: relative places count in bytes and have 32 bits.
    Bytes,
    /// Single bytes, but four together where an instruction of x86 may hold an address.
    Code,
}

/// One place in old and new.
#[derive(Clone, Copy)]
pub(crate) struct Site {
    /// The old bytes from here, little-endian.
    pub(crate) old: u32,
    /// The four old bytes behind those.
    pub(crate) next: u32,
    /// The four old bytes before, the nearest highest.
    pub(crate) before: u32,
    /// The two new bytes before, the nearest lowest.
    pub(crate) last: u32,
    /// Address in plain old.
    pub(crate) from: u64,
    /// Address in plain new.
    pub(crate) to: u64,
}

/// The bits of a relative place on the grid of words.
const PLACE: u32 = 0x00ff_ffff;

/// The place that an old word would refer to.
pub(super) fn place(site: &Site, grid: Grid) -> u32 {
    match grid {
        Grid::Words => site.old.wrapping_add((site.from >> 2) as u32) & PLACE,
        _ => site.old.wrapping_add(site.from as u32),
    }
}

/// How far a word's place moved between old and new addresses.
pub(super) fn difference(relative: bool, site: &Site, grid: Grid, new: u32) -> u32 {
    let plain = new.wrapping_sub(site.old);
    match (relative, grid) {
        (true, Grid::Words) => {
            plain.wrapping_add((site.to >> 2) as u32).wrapping_sub((site.from >> 2) as u32)
        }
        (true, _) => plain.wrapping_add(site.to as u32).wrapping_sub(site.from as u32),
        _ => plain,
    }
}

/// The new word when its place moves as `difference` says.
pub(super) fn apply(relative: bool, site: &Site, grid: Grid, difference: u32) -> u32 {
    match (relative, grid) {
        (true, Grid::Words) => {
            let moved = site.old.wrapping_add(difference);
            let moved =
                moved.wrapping_sub((site.to >> 2) as u32).wrapping_add((site.from >> 2) as u32);
            site.old & !PLACE | moved & PLACE
        }
        (true, _) => site
            .old
            .wrapping_add(difference)
            .wrapping_sub(site.to as u32)
            .wrapping_add(site.from as u32),
        _ => site.old.wrapping_add(difference),
    }
}
