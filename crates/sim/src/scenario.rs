//! What is tried: which image, which bootloader, which components, which faults.

use std::fmt;
use std::str::FromStr;
use types::{Effect, Outcome, Tries};

/// How the new release is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Image {
    /// It boots and is healthy.
    Good,
    /// Its payload is not what was signed.
    Corrupt,
    /// It does not boot.
    NonBooting,
    /// It hangs before the agent starts, until the watchdog bites.
    Hanging,
    /// It boots and is not healthy.
    Unhealthy,
    /// It boots, and its health changes its mind.
    Moody,
}

/// What a release consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// One component in banks.
    Slot,
    /// One in banks and one that switches without a boot.
    SlotLive,
    /// One in banks and one without a second copy.
    SlotDirect,
    /// One component in banks, for which there is a delta.
    SlotDelta,
    /// The same, and the delta makes something else from its middle on.
    SlotBadDelta,
    /// One component in banks, and a bootloader in two copies.
    SlotCopies,
    /// The same, and the new bootloader does not start.
    SlotDeadCopy,
    /// One system, in slot A, and a recovery in slot B.
    Recovery,
    /// The same, and what it fetches is kept before its system is left.
    Staged,
    /// The same, with two payloads, of which the first one is damaged.
    Spare,
    /// What it fetches would be kept, and there is no room for it.
    NoRoom,
    /// The same, and the room is used up while it is kept.
    Filling,
    /// One system and a recovery, and the recovery does not boot.
    DeadRecovery,
    /// The same, and the recovery boots and is not healthy.
    SickRecovery,
}

/// How the bootloader tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Loader {
    /// Three tries, counted down by itself.
    Counted,
    /// One try; the agent arms it again.
    Single,
}

/// What else is wrong with the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// Nothing.
    None,
    /// The flash says that it flushed and forgets a sector, now and then.
    LyingFlash,
    /// The store is full, now and then.
    FullStore,
    /// A cut damages both copies of the journal, now and then.
    LostJournal,
}

/// One kind of run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Scenario {
    /// How the new release is.
    pub image: Image,
    /// How the bootloader tries.
    pub loader: Loader,
    /// What the release consists of.
    pub layout: Layout,
    /// What else is wrong.
    pub fault: Fault,
}

impl Image {
    /// The five that every point and pair is tried on.
    pub const FIVE: [Self; 5] =
        [Self::Good, Self::Corrupt, Self::NonBooting, Self::Hanging, Self::Unhealthy];

    /// How an update to this image ends when fewer than three cuts come between.
    pub fn outcomes(self) -> &'static [Outcome] {
        match self {
            Self::Good => &[Outcome::Ok],
            Self::Corrupt => &[Outcome::CorruptPayload],
            Self::NonBooting | Self::Hanging => &[Outcome::BootFailed],
            Self::Unhealthy => &[Outcome::Unhealthy],
            Self::Moody => &[Outcome::Ok, Outcome::Unhealthy],
        }
    }
}

impl Layout {
    /// Those with full payloads only.
    pub const FULL: [Self; 3] = [Self::Slot, Self::SlotLive, Self::SlotDirect];

    /// Those with a recovery.
    pub const RECOVERIES: [Self; 7] = [
        Self::Recovery,
        Self::Staged,
        Self::Spare,
        Self::NoRoom,
        Self::Filling,
        Self::DeadRecovery,
        Self::SickRecovery,
    ];

    /// Whether there is a place to keep packages before the only system is left.
    pub fn has_stage(self) -> bool {
        matches!(self, Self::Staged | Self::Spare | Self::NoRoom | Self::Filling)
    }

    /// Whether what has no bank is a bootloader in two copies.
    pub fn has_copies(self) -> bool {
        matches!(self, Self::SlotCopies | Self::SlotDeadCopy)
    }

    /// Whether there is one system and a recovery.
    pub fn has_recovery(self) -> bool {
        Self::RECOVERIES.contains(&self)
    }

    /// Those with a delta.
    pub const DELTAS: [Self; 2] = [Self::SlotDelta, Self::SlotBadDelta];

    /// Effects of the components, in the order of the manifest.
    pub fn effects(self) -> &'static [Effect] {
        match self {
            Self::Slot | Self::SlotDelta | Self::SlotBadDelta => &[Effect::Slot],
            recovery if recovery.has_recovery() => &[Effect::Slot],
            Self::SlotLive => &[Effect::Slot, Effect::Live],
            // One with a bootloader, or with something else that has one place.
            _ => &[Effect::Slot, Effect::Direct],
        }
    }
}

impl Loader {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Counted, Self::Single];

    /// As the agent is told.
    pub fn tries(self) -> Tries {
        match self {
            Self::Counted => Tries::Counted(engine::TRIES),
            Self::Single => Tries::Single,
        }
    }
}

impl Scenario {
    /// The scenarios of the exhaustive sweeps: five images, both bootloaders, three
    /// layouts, no further fault.
    pub fn all() -> Vec<Self> {
        Self::of(&Image::FIVE, &Loader::BOTH, &Layout::FULL)
    }

    /// The scenarios with deltas. How the image is and how the bootloader tries has
    /// nothing to do with how it was fetched.
    pub fn deltas() -> Vec<Self> {
        Self::of(&[Image::Good, Image::Corrupt], &[Loader::Counted], &Layout::DELTAS)
    }

    /// The scenarios with a recovery. One that cannot write has nothing to do with how
    /// the image is; and what is kept is written as what is fetched, once it was looked at.
    pub fn recoveries() -> Vec<Self> {
        let [whole, staged, spare, no_room, filling, broken @ ..] = Layout::RECOVERIES;
        let mut all = Self::of(&Image::FIVE, &Loader::BOTH, &[whole]);
        let kept = [Image::Good, Image::Corrupt, Image::NonBooting];
        all.extend(Self::of(&kept, &[Loader::Counted], &[staged]));
        all.extend(Self::of(&[Image::Good], &[Loader::Counted], &[spare, no_room, filling]));
        all.extend(Self::of(&[Image::Good], &Loader::BOTH, &broken));
        all
    }

    /// The scenarios with a bootloader. One that does not start has nothing to do with how
    /// the rest is.
    pub fn bootloaders() -> Vec<Self> {
        let mut all = Self::of(&Image::FIVE, &[Loader::Counted], &[Layout::SlotCopies]);
        all.extend(Self::of(&[Image::Good], &Loader::BOTH, &[Layout::SlotDeadCopy]));
        all
    }

    fn of(images: &[Image], loaders: &[Loader], layouts: &[Layout]) -> Vec<Self> {
        let mut all = Vec::new();
        for &image in images {
            for &loader in loaders {
                for &layout in layouts {
                    all.push(Self { image, loader, layout, fault: Fault::None });
                }
            }
        }
        all
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image, loader, layout, fault } = self;
        write!(f, "{image:?}/{loader:?}/{layout:?}/{fault:?}")
    }
}

impl FromStr for Scenario {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let faults = [Fault::None, Fault::LyingFlash, Fault::FullStore, Fault::LostJournal];
        let moody = Loader::BOTH.into_iter().flat_map(|loader| {
            let layout = |layout| Self { image: Image::Moody, loader, layout, fault: Fault::None };
            Layout::FULL.map(layout)
        });
        let known = Self::all().into_iter().chain(moody).chain(Self::deltas());
        let known = known.chain(Self::recoveries()).chain(Self::bootloaders());
        let mut known = known.flat_map(|s| faults.map(|fault| Self { fault, ..s }));
        known.find(|s| s.to_string() == text).ok_or_else(|| format!("no scenario `{text}`"))
    }
}
