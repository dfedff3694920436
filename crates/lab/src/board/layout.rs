//! What the slots of a board are for, and how large they are.

/// MiB of a slot.
pub const SLOT_MIB: u64 = 48;
/// MiB of the partition for what survives, and of one that has room for a package.
const DATA_MIB: [u64; 2] = [16, 64];

/// What the two slots of a board are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Each for a release.
    Banks,
    /// A for the system, B for a recovery.
    Recovery,
    /// The same, and there is room to keep a package before the system is left.
    Staged,
    /// Each for a release, and a bootloader in two copies besides.
    Loaders,
}

impl Layout {
    /// Whether slot B holds a recovery.
    pub fn has_recovery(self) -> bool {
        matches!(self, Self::Recovery | Self::Staged)
    }

    /// MiB of the partition for what survives.
    pub(super) fn data_mib(self) -> u64 {
        let [usual, more] = DATA_MIB;
        if self == Self::Staged { more } else { usual }
    }
}
