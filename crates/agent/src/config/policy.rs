//! The tables `policy` and `senses`: when a terminal may work on an update, and how
//! it finds out what the moment is like.

use crate::platform::senses::{Line, Sensors};
use crate::platform::zone;
use engine::policy::rules::{Cost, Disturb, Link, Network, OnMetered, OnRoaming, Rules, Security};
use engine::policy::zone::{Hours, Zone};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use types::tree::Node;
use types::{Seconds, Tree, TreeError};

/// Where a system says in which time zone it is.
const LOCALTIME: &str = "/etc/localtime";

/// When the terminal may work on an update.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policy {
    /// Percent that a battery must have without power from outside; 0 for any.
    pub battery_percent: u8,
    /// Percent that it must have with power from outside.
    pub battery_percent_supplied: u8,
    /// MiB that must be free where the agent keeps its files; 0 for any.
    pub storage_mib: u32,
    /// What is fetched over a line that costs.
    pub metered: Metered,
    /// Whether anything is fetched while roaming.
    pub roaming: bool,
    /// Degrees Celsius between which it works, both included.
    pub temperature: Option<(i16, i16)>,
    /// Restarts wait until nobody uses the terminal; calls are always waited for.
    pub idle: bool,
    /// Hours in which it is not restarted: `"07:00-23:00"`.
    pub quiet_hours: Vec<String>,
    /// The rule of its time zone, as in `TZ`; `/etc/localtime` where there is none.
    pub zone: Option<String>,
    /// A file with the zone: TZif, or a line with the rule.
    pub zone_file: Option<PathBuf>,
    /// What "tonight" means.
    pub night: String,
    /// How often an owner may postpone an update.
    pub postponements: u8,
    /// Days after which an update can no longer be postponed; 0 for never.
    pub postpone_days: u32,
    /// Security updates are installed after these days even if nobody agreed.
    pub forced_security: bool,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            battery_percent: 0,
            battery_percent_supplied: 0,
            storage_mib: 0,
            metered: Metered::NeverFull,
            roaming: false,
            temperature: None,
            idle: false,
            quiet_hours: Vec::new(),
            zone: None,
            zone_file: None,
            night: "02:00-05:00".into(),
            postponements: 3,
            postpone_days: 14,
            forced_security: false,
        }
    }
}

/// What is fetched over a line that costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metered {
    /// Everything.
    All,
    /// Deltas, and never a full image.
    NeverFull,
    /// Nothing.
    Nothing,
}

impl Policy {
    /// The rules.
    ///
    /// # Errors
    /// Which key has no meaning, as a sentence.
    pub fn rules(&self) -> Result<Rules, String> {
        let hours = |text: &String| text.parse::<Hours>().map_err(|e| format!("`{text}`: {e}"));
        if [self.battery_percent, self.battery_percent_supplied].iter().any(|n| *n > 100) {
            return Err("`policy.battery_percent` is more than 100".into());
        }
        if self.temperature.is_some_and(|(least, most)| least > most) {
            return Err("`policy.temperature` has the higher one first".into());
        }
        Ok(Rules {
            battery: self.battery_percent,
            battery_supplied: self.battery_percent_supplied,
            storage: self.storage_mib,
            metered: match self.metered {
                Metered::All => OnMetered::All,
                Metered::NeverFull => OnMetered::NeverFull,
                Metered::Nothing => OnMetered::Nothing,
            },
            roaming: if self.roaming { OnRoaming::AsAtHome } else { OnRoaming::Nothing },
            temperature: self.temperature,
            disturb: if self.idle { Disturb::NoUse } else { Disturb::NoCall },
            quiet: self.quiet_hours.iter().map(hours).collect::<Result<_, _>>()?,
            zone: self.zone()?,
            night: Some(hours(&self.night)?),
            postponements: self.postponements,
            postpone: Seconds(self.postpone_days.saturating_mul(24 * 3600)),
            security: if self.forced_security { Security::Forced } else { Security::AsAny },
        })
    }

    /// The rule of the terminal's time zone, where there is one.
    pub fn zone_rule(&self) -> Option<String> {
        let file = self.zone_file.as_deref().unwrap_or(Path::new(LOCALTIME));
        self.zone.clone().or_else(|| zone::rule(file).ok())
    }

    fn zone(&self) -> Result<Zone, String> {
        if let Some(rule) = &self.zone {
            return rule.parse().map_err(|e| format!("`policy.zone`: {e}"));
        }
        match &self.zone_file {
            Some(file) => zone::read(file)
                .map_err(|e| format!("`policy.zone_file = {}`: {e}", file.display())),
            // A system that does not say where it is shows UTC.
            None => Ok(zone::read(Path::new(LOCALTIME)).unwrap_or_default()),
        }
    }
}

/// How the terminal finds out what the moment is like.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Senses {
    /// The kernel's power supplies, where the terminal has a battery.
    pub power_supply: Option<PathBuf>,
    /// A file of thousandths of degrees Celsius.
    pub temperature: Option<PathBuf>,
    /// Who knows about the line: a word, or a program and its arguments.
    pub line: Option<WordOrProgram>,
    /// A program that says `idle`, `in-use` or `call`.
    pub activity: Vec<String>,
    /// A program that asks the owner, on the terminal's own screen.
    pub consent: Vec<String>,
    /// Seconds after which such a program is ended, 1 to 60.
    pub limit_seconds: u32,
    /// Seconds for which what a program said counts.
    pub every_seconds: u32,
}

impl Default for Senses {
    fn default() -> Self {
        Self {
            power_supply: None,
            temperature: None,
            line: None,
            activity: Vec::new(),
            consent: Vec::new(),
            limit_seconds: 5,
            every_seconds: 30,
        }
    }
}

/// A word with a meaning, or a program and its arguments.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Tree")]
pub enum WordOrProgram {
    /// A word.
    Word(LineWord),
    /// Program and arguments.
    Program(Vec<String>),
}

impl TryFrom<Tree> for WordOrProgram {
    type Error = TreeError;

    fn try_from(tree: Tree) -> Result<Self, TreeError> {
        match &tree.node {
            Node::Text(_) => tree.read().map(Self::Word),
            _ => tree.read().map(Self::Program),
        }
    }
}

/// What a line always is, or who knows.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineWord {
    /// Bytes cost nothing.
    Free,
    /// Bytes cost.
    Metered,
    /// NetworkManager knows.
    NetworkManager,
    /// ModemManager knows.
    ModemManager,
    /// Whichever of both is there.
    Auto,
}

impl Senses {
    /// The sensors; `storage` is where room is needed.
    pub fn sensors(&self, storage: &Path) -> Sensors {
        let always = |cost| Line::Always(Link { cost, network: Network::Home });
        let line = self.line.as_ref().map(|line| match line {
            WordOrProgram::Word(LineWord::Free) => always(Cost::Free),
            WordOrProgram::Word(LineWord::Metered) => always(Cost::Metered),
            WordOrProgram::Word(LineWord::NetworkManager) => Line::NetworkManager,
            WordOrProgram::Word(LineWord::ModemManager) => Line::ModemManager,
            WordOrProgram::Word(LineWord::Auto) => Line::WhoeverIsThere,
            WordOrProgram::Program(command) => Line::Program(command.clone()),
        });
        Sensors {
            power_supply: self.power_supply.clone(),
            temperature: self.temperature.clone(),
            line,
            activity: self.activity.clone(),
            storage: storage.into(),
            limit: self.limit(),
            keep: u64::from(self.every_seconds) * 1000,
        }
    }

    /// Milliseconds after which a program is ended.
    pub fn limit(&self) -> u64 {
        u64::from(self.limit_seconds.clamp(1, 60)) * 1000
    }
}
