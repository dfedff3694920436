//! Outcome codes: numbered, documented, never reordered or reused.

use core::fmt;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The three ways not to succeed, kept apart because different people act on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The release runs (0–99).
    Done,
    /// The terminal decided against it; nothing was changed (100–199).
    Refused,
    /// Device, network or release failed; the terminal runs what it ran (200–299).
    Failed,
    /// A bug or damage of the updater itself (300–399).
    Wrong,
}

macro_rules! outcomes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $sentence:literal;)*) => {
        /// How an attempt ended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum Outcome { $($(#[$doc])* #[doc = $sentence] $name,)* }

        impl Outcome {
            /// Every outcome, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// The number that crosses the wire.
            pub fn code(self) -> u16 {
                match self { $(Self::$name => $code,)* }
            }

            /// What happened, as a sentence for people.
            pub fn sentence(self) -> &'static str {
                match self { $(Self::$name => $sentence,)* }
            }

            /// The outcome with this number.
            pub fn from_code(code: u16) -> Option<Self> {
                match code { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

outcomes! {
    Ok = 0, "the release was booted and confirmed";
    Partial = 1, "the release runs, but a component without a second copy could not be applied";
    WrongProduct = 100, "the package is for another product";
    WrongHardware = 101, "the package does not name this hardware";
    WrongVariant = 102, "the package is for another brand or carrier variant";
    Downgrade = 103, "the package is older than what this terminal must run at least";
    UntrustedKey = 104, "no key that this terminal trusts signed the package";
    TooFewSignatures = 105, "fewer different trusted keys signed the package than are required";
    Expired = 106, "the package's signature has expired";
    Malformed = 107, "the package is damaged or not a package of this format";
    FailedBefore = 108, "this release failed on this terminal before and was not ordered anew";
    Declined = 109, "the owner declined the update";
    Cancelled = 110, "the update was cancelled before it was activated";
    AlreadyRunning = 111, "the terminal already runs this release";
    SlotTooSmall = 112, "the image is larger than the slot";
    UnknownComponent = 113, "the package has a component that this terminal does not have";
    UnknownFormat = 114, "the package needs a newer agent";
    NotConfirmed = 115, "the running release was not confirmed yet, so its fallback must stay";
    HookRefused = 116, "a hook of the package decided against it before anything was written";
    NoSandbox = 117, "the package has hooks, which this terminal cannot contain";
    NoMigration = 118, "the package works with a form of configuration that this terminal's cannot be brought to";
    NoFallback = 119, "a bootloader is updated only where a second copy starts when the new one does not";
    WrongRegion = 120, "the package is for other regions than this terminal's";
    Unreachable = 200, "the package could not be fetched";
    CorruptPayload = 201, "no payload of the package gave the image that was signed";
    Truncated = 202, "the payload ended before the image was complete";
    Oversized = 203, "the payload went on after the image was complete";
    TooSlow = 204, "the payload came slower than the least rate for too long";
    BadRedirect = 205, "the server redirected to an address that is not allowed";
    StorageFull = 206, "the terminal's storage is full";
    WriteFailed = 207, "the slot could not be written";
    ReadBackMismatch = 208, "the slot does not hold what was written to it";
    BootFailed = 209, "the new release did not boot; the terminal runs the old one";
    Unhealthy = 210, "the new release booted but was not healthy; the terminal runs the old one";
    BootControlFailed = 211, "the bootloader could not be told about the slot";
    SwitchFailed = 212, "a component could not be switched to the new release";
    TrustStoreFailed = 213, "the terminal's record of rollback floors could not be read";
    HookFailed = 214, "a hook of the package failed; the terminal runs what it ran";
    MigrationFailed = 215, "the configuration could not be brought to the new release's form";
    RecoveryFailed = 216, "the recovery did not start or was not healthy; the system was not touched";
    JobLost = 300, "the description of the update in progress was lost";
    JournalLost = 301, "the agent's record of the update in progress was lost";
    RollbackFailed = 302, "the terminal could not return to the old release";
    Internal = 303, "the agent met a state that should not exist";
    NotBack = 400, "the terminal did not come back within the stated time";
}

impl Outcome {
    /// Which of the families this outcome is of. `NotBack` is only ever written
    /// by a server, about a terminal that is silent; it counts as failed.
    pub fn kind(self) -> Kind {
        match self.code() {
            0..=99 => Kind::Done,
            100..=199 => Kind::Refused,
            300..=399 => Kind::Wrong,
            _ => Kind::Failed,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.sentence(), self.code())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.code())
    }
}

impl<'de> Deserialize<'de> for Outcome {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u16::deserialize(deserializer)?;
        // A newer agent's code still tells its family: an old server must count it.
        Ok(Self::from_code(code).unwrap_or(match code {
            0..=99 => Self::Partial,
            100..=199 => Self::Declined,
            300..=399 => Self::Internal,
            _ => Self::Unreachable,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_never_move() {
        let mut last = None;
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(*outcome));
            assert!(last < Some(outcome.code()), "{outcome:?} is out of order");
            last = Some(outcome.code());
        }
        assert_eq!(Outcome::BootFailed.code(), 209);
        assert_eq!(Outcome::NotBack.kind(), Kind::Failed);
    }
}
