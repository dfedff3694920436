//! The gate: may the next command be performed now, and if not, why.

pub mod consent;
pub mod rules;
#[cfg(test)]
mod tests;
pub mod zone;

use crate::{BootId, State};
use alloc::format;
use alloc::string::String;
use consent::{Consent, Consents};
use core::fmt;
use rules::{Conditions, From, Payload, Rules, Step, obstacle};
use types::{Outcome, Seconds, Timestamp};
use zone::Zone;

/// How often it is looked whether a rule still stands in the way: at most two
/// wake-ups a minute.
const LOOK_AGAIN: Seconds = Seconds(30);

/// What the gate is told. Facts are read fresh before each command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Facts {
    /// What the owner agreed to.
    pub consent: Consents,
    /// The owner or operator paused updates on this terminal.
    pub hold: Hold,
    /// The order in progress was withdrawn.
    pub order: Standing,
    /// How long to rest after failures before the network is asked again.
    pub rest: Seconds,
    /// Where the package comes from.
    pub from: From,
    /// What would be fetched next.
    pub payload: Payload,
    /// Battery, line, temperature, people, time.
    pub around: Conditions,
    /// The boot that runs now.
    pub boot: BootId,
    /// What the terminal goes on with when the update is given up.
    pub left: Left,
}

/// What a terminal goes on with when its update is given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Left {
    /// A release.
    #[default]
    Release,
    /// Its recovery only: the system is being written.
    Recovery,
}

/// Whether updates are paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Hold {
    /// Not paused.
    #[default]
    Off,
    /// Paused until resumed.
    Paused,
}

/// Whether the source still wants what it ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Standing {
    /// It does, as far as is known.
    #[default]
    Stands,
    /// It does not.
    Withdrawn,
}

/// What the gate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// Perform the command.
    Go,
    /// Not now; ask again later.
    Wait(Reason),
    /// Not at all.
    Refuse(Outcome),
}

/// Why a terminal waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The owner or operator paused updates.
    Paused,
    /// The owner has to agree first.
    AwaitingConsent,
    /// The owner chose a later time.
    Scheduled(Timestamp),
    /// The owner postponed it.
    Postponed(Timestamp),
    /// It was ordered to be written only.
    DownloadOnly,
    /// The same, and before it is written, the terminal's only system has to be left.
    FetchedOnly,
    /// The same, and this terminal has no place to keep what it fetches before.
    NotFetched,
    /// The last try failed; the next one is due in so many seconds.
    Resting(Seconds),
    /// Before the release is activated, its source must say that it still stands.
    AwaitingSource,
    /// The battery is not charged enough.
    BatteryLow {
        /// How full it is.
        percent: u8,
        /// How full it has to be.
        least: u8,
    },
    /// The battery cannot be asked.
    BatteryUnknown,
    /// There is too little room.
    StorageLow {
        /// MiB that are free.
        free: u32,
        /// MiB that have to be.
        least: u32,
    },
    /// The room cannot be found out.
    StorageUnknown,
    /// The line costs.
    Metered,
    /// The line costs, and only a full image would help.
    FullOnMetered,
    /// The terminal is in another operator's network.
    Roaming,
    /// The line cannot be judged.
    LinkUnknown,
    /// It is too hot.
    TooHot {
        /// Degrees Celsius.
        is: i16,
        /// The most.
        most: i16,
    },
    /// It is too cold.
    TooCold {
        /// Degrees Celsius.
        is: i16,
        /// The least.
        least: i16,
    },
    /// The temperature cannot be measured.
    TemperatureUnknown,
    /// The package is not there any more.
    MediumGone,
    /// A call is in progress.
    Call,
    /// The terminal is used.
    InUse,
    /// Whether it is used cannot be found out.
    ActivityUnknown,
    /// These are quiet hours.
    QuietHours {
        /// When they are over.
        until: Timestamp,
    },
    /// There are quiet hours, and it is not known what time it is.
    ClockNotSet,
}

impl Reason {
    /// A stable word for scripts and servers.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::AwaitingConsent => "consent",
            Self::Scheduled(_) => "scheduled",
            Self::Postponed(_) => "postponed",
            Self::DownloadOnly | Self::FetchedOnly | Self::NotFetched => "download-only",
            Self::Resting(_) => "resting",
            Self::AwaitingSource => "source",
            Self::BatteryLow { .. } => "battery-low",
            Self::BatteryUnknown => "battery-unknown",
            Self::StorageLow { .. } => "storage-low",
            Self::StorageUnknown => "storage-unknown",
            Self::Metered => "metered",
            Self::FullOnMetered => "full-on-metered",
            Self::Roaming => "roaming",
            Self::LinkUnknown => "link-unknown",
            Self::TooHot { .. } => "too-hot",
            Self::TooCold { .. } => "too-cold",
            Self::TemperatureUnknown => "temperature-unknown",
            Self::MediumGone => "medium-gone",
            Self::Call => "call",
            Self::InUse => "in-use",
            Self::ActivityUnknown => "activity-unknown",
            Self::QuietHours { .. } => "quiet-hours",
            Self::ClockNotSet => "clock-not-set",
        }
    }

    /// When to look again whether it still holds; not at all where someone will say so.
    pub fn again(&self) -> Option<Seconds> {
        match self {
            Self::Paused | Self::AwaitingSource | Self::Resting(_) => None,
            _ => Some(LOOK_AGAIN),
        }
    }

    /// The reason as a sentence, with times as the clocks of `zone` show them.
    pub fn sentence(&self, zone: &Zone) -> String {
        match self {
            Self::Scheduled(at) => {
                format!("the owner chose {}; `now` does it at once", zone.show(*at))
            }
            Self::Postponed(until) => {
                format!("the owner postponed it until {}; `now` does it at once", zone.show(*until))
            }
            Self::QuietHours { until } => {
                let until = zone.show(*until);
                format!("quiet hours: it is not restarted before {until}; `now` does it at once")
            }
            Self::AwaitingConsent => {
                "the owner has to agree first: automatic install is switched off, or the \
                 operator asks for that in this region"
                    .into()
            }
            other => format!("{other}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Resting(Seconds(s)) => {
                return write!(f, "the last try failed; the next is due in {s} s");
            }
            Self::Scheduled(at) => return write!(f, "the owner chose {at}"),
            Self::Postponed(at) => return write!(f, "the owner postponed it until {at}"),
            Self::QuietHours { until } => return write!(f, "quiet hours until {until}"),
            Self::BatteryLow { percent, least } => {
                return write!(f, "the battery has {percent} %; an update needs {least} %");
            }
            Self::StorageLow { free, least } => {
                return write!(f, "{free} MiB are free; an update needs {least} MiB");
            }
            Self::TooHot { is, most } => {
                return write!(f, "the terminal has {is} °C; an update is made up to {most} °C");
            }
            Self::TooCold { is, least } => {
                return write!(f, "the terminal has {is} °C; an update is made from {least} °C on");
            }
            _ => {}
        }
        f.write_str(self.plain())
    }
}

impl Reason {
    /// The sentence of a reason without numbers.
    fn plain(&self) -> &'static str {
        match self {
            Self::Paused => "updates are paused; `resume` continues",
            Self::AwaitingConsent => "the owner has to agree first",
            Self::DownloadOnly => {
                "it is written and waits for whoever ordered it; `agree` starts it"
            }
            Self::FetchedOnly => {
                "it is fetched and sound, and waits for whoever ordered it; `agree` lets the \
                 recovery write it"
            }
            Self::NotFetched => {
                "nothing is fetched yet, because the recovery writes while it fetches; it waits \
                 for whoever ordered it, and `agree` starts it"
            }
            Self::AwaitingSource => {
                "whoever ordered the update must first say that it still stands"
            }
            Self::BatteryUnknown => "the battery cannot be asked how full it is",
            Self::StorageUnknown => "it cannot be found out how much storage is free",
            Self::Metered => "bytes cost on this line; nothing is fetched over it",
            Self::FullOnMetered => {
                "bytes cost on this line, and only a full image would help; none is fetched over it"
            }
            Self::Roaming => "the terminal is roaming; nothing is fetched",
            Self::LinkUnknown => "it cannot be found out whether bytes cost on this line",
            Self::TemperatureUnknown => "the temperature cannot be measured",
            Self::MediumGone => {
                "the card or stick with the package was taken out; put it back, or `cancel`"
            }
            Self::Call => "a call is in progress",
            Self::InUse => "the terminal is in use",
            Self::ActivityUnknown => "it cannot be found out whether the terminal is in use",
            Self::ClockNotSet => "there are quiet hours, and the clock was not set yet",
            _ => "",
        }
    }
}

/// Decides whether the command of `state` may be performed now.
///
/// The owner is asked when the package was inspected, because only then it is known
/// what is offered. What is written is read back only when the terminal may be
/// restarted, right before the bootloader is told. From then on nothing stops it: it
/// must reach one release or the other. Where the recovery writes the only system, that
/// holds from the first byte on.
pub fn gate(state: &State, facts: &Facts, rules: &Rules) -> Gate {
    match state {
        State::Idle { .. } | State::Reporting { .. } => Gate::Go,
        State::Ordered { .. } => before(facts, rules, Step::Look(facts.from), asked_later(facts)),
        State::Entering { failed_boots: 0, boot, .. } if *boot == facts.boot => leave(facts, rules),
        State::Installing { .. } if facts.left == Left::Recovery => {
            let step = Step::Write(facts.from, facts.payload);
            obstacle(rules, &facts.around, step, facts.consent.haste)
                .or_else(|| resting(facts))
                .map_or(Gate::Go, Gate::Wait)
        }
        State::Verifying { .. } | State::Activating { .. } if facts.left == Left::Recovery => {
            resting(facts).map_or(Gate::Go, Gate::Wait)
        }
        State::Checking { .. } => match facts.consent.write {
            Consent::Denied => Gate::Refuse(Outcome::Cancelled),
            consent => before(facts, rules, Step::Look(facts.from), consent),
        },
        State::Installing { cursor, .. } | State::Staging { cursor, .. } => {
            if facts.consent.write == Consent::Denied && *cursor != crate::Cursor::default() {
                return Gate::Refuse(Outcome::Cancelled);
            }
            let step = Step::Write(facts.from, facts.payload);
            before(facts, rules, step, facts.consent.write)
        }
        State::Verifying { .. } => match facts.consent.restart {
            Consent::Denied => Gate::Refuse(Outcome::Cancelled),
            consent => before(facts, rules, Step::Restart, consent),
        },
        // In another boot, or after a boot that failed, the new slot may be on trial.
        State::Activating { failed_boots: 0, boot, .. } if *boot == facts.boot => {
            obstacle(rules, &facts.around, Step::Restart, facts.consent.haste)
                .or_else(|| resting(facts))
                .map_or(Gate::Go, Gate::Wait)
        }
        State::Entering { .. } | State::Activating { .. } | State::Committing { .. } => {
            resting(facts).map_or(Gate::Go, Gate::Wait)
        }
        _ => Gate::Go,
    }
}

/// Whether the system may be left for the recovery, which writes at once: whatever is
/// asked before writing and before restarting is asked here, while the system still runs.
fn leave(facts: &Facts, rules: &Rules) -> Gate {
    let step = Step::Write(facts.from, facts.payload);
    match before(facts, rules, step, facts.consent.write) {
        Gate::Go => match before(facts, rules, Step::Restart, facts.consent.restart) {
            // Nothing is written yet.
            Gate::Wait(Reason::DownloadOnly) if facts.from == From::File => {
                Gate::Wait(Reason::FetchedOnly)
            }
            Gate::Wait(Reason::DownloadOnly) => Gate::Wait(Reason::NotFetched),
            answer => answer,
        },
        stop => stop,
    }
}

fn resting(facts: &Facts) -> Option<Reason> {
    (facts.rest > Seconds(0)).then_some(Reason::Resting(facts.rest))
}

/// Looking at a package needs nobody's consent, but who said no is not asked again.
fn asked_later(facts: &Facts) -> Consent {
    match facts.consent.write {
        Consent::Denied => Consent::Denied,
        _ => Consent::Given,
    }
}

fn before(facts: &Facts, rules: &Rules, step: Step, consent: Consent) -> Gate {
    let refused = match (facts.order, consent) {
        (Standing::Withdrawn, _) => Some(Outcome::Cancelled),
        (_, Consent::Denied) => Some(Outcome::Declined),
        _ => None,
    };
    if let Some(outcome) = refused {
        return Gate::Refuse(outcome);
    }
    let waits = match (facts.hold, consent) {
        (Hold::Paused, _) => Some(Reason::Paused),
        (_, Consent::Awaited) => Some(Reason::AwaitingConsent),
        (_, Consent::Later(at)) => Some(Reason::Scheduled(at)),
        (_, Consent::Postponed(until)) => Some(Reason::Postponed(until)),
        (_, Consent::Held) => Some(Reason::DownloadOnly),
        _ => None,
    };
    let waits = waits.or_else(|| obstacle(rules, &facts.around, step, facts.consent.haste));
    waits.or_else(|| resting(facts)).map_or(Gate::Go, Gate::Wait)
}
