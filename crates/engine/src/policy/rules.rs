//! The maker's rules about when a terminal may work on an update, and what they are
//! held against: facts of the moment, which someone else measures.

use super::Reason;
use super::zone::{Hours, Zone};
use alloc::vec::Vec;
use types::{Seconds, Timestamp};

/// A fact of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// This terminal has no such thing, or nobody asks.
    #[default]
    Absent,
    /// It should be known and could not be found out.
    Unknown,
    /// It is so.
    Known(T),
}

/// What a terminal runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Battery {
    /// How full it is.
    pub percent: u8,
    /// Where power comes from.
    pub power: Power,
}

/// Where power comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// From outside.
    Supplied,
    /// From the battery.
    Battery,
}

/// The line to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// Whether bytes cost.
    pub cost: Cost,
    /// In whose network.
    pub network: Network,
}

/// Whether bytes cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    /// They do not.
    Free,
    /// They do, or there is a cap.
    Metered,
}

/// In whose network a terminal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Its own operator's.
    Home,
    /// Another one's.
    Roaming,
}

/// What people do with the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Idle,
    /// Something.
    InUse,
    /// A call is in progress; perhaps to an emergency number.
    Call,
}

/// The facts of the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Conditions {
    /// What time it is; unknown while the clock was not set.
    pub time: Fact<Timestamp>,
    /// Battery.
    pub battery: Fact<Battery>,
    /// MiB that are free for the agent's own files.
    pub storage: Fact<u32>,
    /// The line to the server.
    pub link: Fact<Link>,
    /// Degrees Celsius.
    pub temperature: Fact<i16>,
    /// What people do with it.
    pub activity: Fact<Activity>,
}

/// What is fetched over a line that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnMetered {
    /// Everything.
    All,
    /// Deltas, and never a full image.
    #[default]
    NeverFull,
    /// Nothing.
    Nothing,
}

/// What is fetched while roaming.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnRoaming {
    /// As at home.
    AsAtHome,
    /// Nothing.
    #[default]
    Nothing,
}

/// During what a terminal is not restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Disturb {
    /// During calls.
    #[default]
    NoCall,
    /// While it is used at all.
    NoUse,
}

/// The maker's and the operator's rules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Rules {
    /// The least charge without power from outside, in percent.
    pub battery: u8,
    /// The least charge with power from outside, in percent.
    pub battery_supplied: u8,
    /// The least room for the agent's own files, in MiB.
    pub storage: u32,
    /// What is fetched over a line that costs.
    pub metered: OnMetered,
    /// What is fetched while roaming.
    pub roaming: OnRoaming,
    /// Degrees Celsius between which it works on an update.
    pub temperature: Option<(i16, i16)>,
    /// During what it is not restarted.
    pub disturb: Disturb,
    /// When it is not restarted.
    pub quiet: Vec<Hours>,
    /// Where it is.
    pub zone: Zone,
    /// What "tonight" means.
    pub night: Option<Hours>,
    /// How often an owner may postpone.
    pub postponements: u8,
    /// How long after it became known an update can still be postponed; 0 for ever.
    pub postpone: Seconds,
    /// What becomes of a security update whose owner did not agree by then.
    pub security: Security,
}

/// What becomes of a security update whose owner did not agree in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// As of any other: it waits.
    #[default]
    AsAny,
    /// It is installed, and cannot be declined.
    Forced,
}

/// What the next command would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Fetch a package's small documents.
    Look(From),
    /// Fetch images and write them.
    Write(From, Payload),
    /// Stop what runs and start what was written.
    Restart,
}

/// Where a package comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum From {
    /// Over the line.
    #[default]
    Network,
    /// From a file of this terminal.
    File,
    /// From a file that is not there: its card was taken out.
    Nowhere,
}

/// What would be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Payload {
    /// The whole image.
    #[default]
    Full,
    /// The difference to what runs.
    Delta,
}

/// Whether the owner wants it at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Haste {
    /// It may wait for a good time.
    #[default]
    None,
    /// Quiet hours and use do not count: the owner said "now".
    Now,
}

/// The first rule that stands against `step` at this moment.
pub fn obstacle(rules: &Rules, now: &Conditions, step: Step, haste: Haste) -> Option<Reason> {
    match step {
        Step::Look(from) => line(rules, now, from, None).or_else(|| storage(rules, now)),
        Step::Write(from, payload) => line(rules, now, from, Some(payload))
            .or_else(|| storage(rules, now))
            .or_else(|| body(rules, now)),
        Step::Restart => body(rules, now).or_else(|| people(rules, now, haste)),
    }
}

/// The line; documents are so small that they pass as deltas do.
fn line(rules: &Rules, now: &Conditions, from: From, payload: Option<Payload>) -> Option<Reason> {
    match from {
        From::Network => {}
        From::File => return None,
        From::Nowhere => return Some(Reason::MediumGone),
    }
    let link = match now.link {
        Fact::Absent => return None,
        Fact::Unknown => return Some(Reason::LinkUnknown),
        Fact::Known(link) => link,
    };
    if link.network == Network::Roaming && rules.roaming == OnRoaming::Nothing {
        return Some(Reason::Roaming);
    }
    match (link.cost, rules.metered, payload) {
        (Cost::Metered, OnMetered::Nothing, _) => Some(Reason::Metered),
        (Cost::Metered, OnMetered::NeverFull, Some(Payload::Full)) => Some(Reason::FullOnMetered),
        _ => None,
    }
}

fn storage(rules: &Rules, now: &Conditions) -> Option<Reason> {
    match now.storage {
        _ if rules.storage == 0 => None,
        Fact::Absent => None,
        Fact::Unknown => Some(Reason::StorageUnknown),
        Fact::Known(free) => {
            (free < rules.storage).then_some(Reason::StorageLow { free, least: rules.storage })
        }
    }
}

/// Battery and temperature.
fn body(rules: &Rules, now: &Conditions) -> Option<Reason> {
    battery(rules, now).or_else(|| temperature(rules, now))
}

fn temperature(rules: &Rules, now: &Conditions) -> Option<Reason> {
    match (rules.temperature, now.temperature) {
        (None, _) | (_, Fact::Absent) => None,
        (_, Fact::Unknown) => Some(Reason::TemperatureUnknown),
        (Some((least, _)), Fact::Known(is)) if is < least => Some(Reason::TooCold { is, least }),
        (Some((_, most)), Fact::Known(is)) if is > most => Some(Reason::TooHot { is, most }),
        _ => None,
    }
}

fn battery(rules: &Rules, now: &Conditions) -> Option<Reason> {
    if rules.battery == 0 && rules.battery_supplied == 0 {
        return None;
    }
    let battery = match now.battery {
        Fact::Absent => return None,
        Fact::Unknown => return Some(Reason::BatteryUnknown),
        Fact::Known(battery) => battery,
    };
    let least = match battery.power {
        Power::Supplied => rules.battery_supplied,
        Power::Battery => rules.battery,
    };
    let percent = battery.percent;
    (percent < least).then_some(Reason::BatteryLow { percent, least })
}

/// Calls, use and quiet hours.
fn people(rules: &Rules, now: &Conditions, haste: Haste) -> Option<Reason> {
    match (now.activity, rules.disturb, haste) {
        (Fact::Unknown, _, _) => return Some(Reason::ActivityUnknown),
        (Fact::Known(Activity::Call), _, _) => return Some(Reason::Call),
        (Fact::Known(Activity::InUse), Disturb::NoUse, Haste::None) => return Some(Reason::InUse),
        _ => {}
    }
    if haste == Haste::Now || rules.quiet.is_empty() {
        return None;
    }
    match now.time {
        Fact::Known(at) => {
            let quiet = rules.quiet.iter().find(|hours| hours.contain(&rules.zone, at))?;
            Some(Reason::QuietHours { until: quiet.end(&rules.zone, at) })
        }
        Fact::Absent | Fact::Unknown => Some(Reason::ClockNotSet),
    }
}
