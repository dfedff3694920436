//! What the agent can be told: every command with its words, once, for whoever reads
//! them, explains them or completes them.

use super::words::{Given, Misread};
use super::{End, consent, follow, help, install, look, run, switch};
#[cfg(feature = "doctor")]
use super::{completions, doctor};
#[cfg(feature = "upkeep")]
use super::{configuration, partitions};
#[cfg(feature = "doctor")]
use agent::config;
#[cfg(feature = "upkeep")]
use types::Name;

/// One command.
#[derive(Debug)]
pub(super) struct Command {
    /// How it is called, in one word or two.
    pub(super) name: &'static str,
    /// What it does, one sentence without a full stop.
    pub(super) about: &'static str,
    /// What follows it, in order.
    pub(super) operands: &'static [Operand],
    /// What it may be told besides.
    pub(super) flags: &'static [Flag],
    /// Does it.
    pub(super) act: fn(&Given) -> anyhow::Result<End>,
}

/// A word after the command.
#[derive(Debug)]
pub(super) struct Operand {
    /// What stands for it in a line of usage.
    pub(super) name: &'static str,
    /// What it is.
    pub(super) about: &'static str,
    /// Whether it may be missing.
    pub(super) presence: Presence,
    /// The only words that it can be; none for any.
    pub(super) choices: &'static [&'static str],
}

/// A word with two dashes.
#[derive(Debug)]
pub(super) struct Flag {
    /// Without the dashes.
    pub(super) name: &'static str,
    /// What it changes.
    pub(super) about: &'static str,
    /// What stands for its value in a line of usage, if it has one.
    pub(super) value: Option<&'static str>,
    /// Whether it may be missing.
    pub(super) presence: Presence,
}

/// Whether a word may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    Needed,
    Optional,
}

/// A command without any further word.
const PLAIN: Command =
    Command { name: "", about: "", operands: &[], flags: &[], act: |_| Ok(End::Nothing) };

const JSON: Flag = flag("json", "One JSON object, for scripts");

/// All of them, in the order in which they are explained.
pub(super) const COMMANDS: &[Command] = &[
    Command {
        name: "run",
        about: "Run the agent until it is stopped",
        flags: &[flag("once", "Stop as soon as there is nothing to do: without a service")],
        act: |given| run::run(&given.config()?, until(given)),
        ..PLAIN
    },
    Command {
        name: "status",
        about: "Say what runs and what goes on",
        flags: &[flag("why", "Say why nothing moves, and how the last attempt ended"), JSON],
        act: |given| {
            let form = look::Form::new(given.has("why"), given.has("json"));
            look::status(&given.config()?, form)
        },
        ..PLAIN
    },
    Command {
        name: "check",
        about: "Ask the server now",
        act: |given| switch::check(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "pause",
        about: "Fetch and write nothing until `resume`",
        act: |given| switch::pause(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "resume",
        about: "Go on after `pause`, and agree to an update that waits for the owner",
        act: |given| switch::resume(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "cancel",
        about: "Give up the update in progress, unless it is activated already",
        act: |given| switch::cancel(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "agree",
        about: "Agree to the update in progress, and say when it is to be started",
        operands: &[Operand {
            name: "WHEN",
            about: "`now`, `soon` (the next good time; so without this word), `tonight`, or a \
                    date and time of this terminal's zone: `2026-11-25 19:30`",
            presence: Presence::Optional,
            choices: &[],
        }],
        act: |given| consent::agree(&given.config()?, given.text(0)?.unwrap_or("soon")),
        ..PLAIN
    },
    Command {
        name: "postpone",
        about: "Put the update in progress off for a while",
        flags: &[Flag {
            name: "hours",
            about: "For how many, 1 to 720; 24 without this",
            value: Some("HOURS"),
            presence: Presence::Optional,
        }],
        act: |given| consent::postpone(&given.config()?, hours(given)?),
        ..PLAIN
    },
    Command {
        name: "decline",
        about: "Refuse the update in progress",
        act: |given| consent::decline(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "install",
        about: "Install a package that is a file of this terminal",
        operands: &[operand("FILE", "The package")],
        flags: &[flag("test", "Only say whether this terminal would take it"), JSON],
        act: |given| {
            let form = follow::Form::new(given.has("json"));
            let install = if given.has("test") { install::test } else { install::install };
            install(&given.config()?, given.path(0)?, form)
        },
    },
    Command {
        name: "confirm",
        about: "Let the release on trial stay, whatever its health checks say",
        act: |given| switch::confirm(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "rollback",
        about: "Let the release on trial go, whatever its health checks say",
        act: |given| switch::rollback(&given.config()?),
        ..PLAIN
    },
    Command {
        name: "automatic",
        about: "Switch on or off what the agent does by itself",
        operands: &[
            Operand {
                choices: &["check", "install"],
                ..operand("WHAT", "Asking the server, or installing what it wants")
            },
            Operand { choices: &["on", "off"], ..operand("TO", "Whether") },
        ],
        act: |given| {
            let what = match given.text(0)? {
                Some("check") => switch::Automatic::Check,
                _ => switch::Automatic::Install,
            };
            let to =
                if given.text(1)? == Some("on") { switch::OnOff::On } else { switch::OnOff::Off };
            switch::automatic(&given.config()?, what, to)
        },
        ..PLAIN
    },
    #[cfg(feature = "upkeep")]
    Command {
        name: "backup",
        about: "Write a named partition to a file",
        operands: &[PARTITION, operand("FILE", "Where to")],
        act: |given| partitions::backup(&given.config()?, &partition(given)?, given.path(1)?),
        ..PLAIN
    },
    #[cfg(feature = "upkeep")]
    Command {
        name: "restore",
        about: "Write a backup back to its partition",
        operands: &[PARTITION, operand("FILE", "Where from")],
        flags: &[needed("yes", "What is there is lost")],
        act: |given| partitions::restore(&given.config()?, &partition(given)?, given.path(1)?),
    },
    #[cfg(feature = "upkeep")]
    Command {
        name: "factory-reset",
        about: "Make the terminal as from the factory, at its next start",
        flags: &[needed("yes", "What its owner set up is lost")],
        act: |given| partitions::factory_reset(&given.config()?),
        ..PLAIN
    },
    #[cfg(feature = "doctor")]
    Command {
        name: "doctor",
        about: "Say whether this terminal is put together so that updates can work",
        flags: &[JSON],
        act: |given| doctor::examine(given.config_path(), given.has("json")),
        ..PLAIN
    },
    #[cfg(feature = "doctor")]
    Command {
        name: "config example",
        about: "Print a commented example of a configuration",
        act: |_| said(config::EXAMPLE),
        ..PLAIN
    },
    Command {
        name: "config check",
        about: "Say whether the configuration can be used",
        act: |given| {
            given.config()?;
            said(&format!("{} can be used\n", given.config_path().display()))
        },
        ..PLAIN
    },
    #[cfg(feature = "upkeep")]
    Command {
        name: "config status",
        about: "Say which copies of the terminal's own configuration there are",
        act: |given| configuration::status(&given.config()?),
        ..PLAIN
    },
    #[cfg(feature = "upkeep")]
    Command {
        name: "config migrate",
        about: "Say how a package would change the terminal's own configuration",
        operands: &[operand("FILE", "The package")],
        flags: &[needed(
            "dry-run",
            "Only say so: the copy is made aside and removed again. An update does the same and \
             keeps it",
        )],
        act: |given| configuration::rehearse(&given.config()?, given.path(0)?),
    },
    #[cfg(feature = "doctor")]
    Command {
        name: "completions",
        about: "Print completions for a shell",
        operands: &[Operand { choices: completions::SHELLS, ..operand("SHELL", "Which") }],
        act: |given| said(&completions::of(given.text(0)?.unwrap_or_default())),
        ..PLAIN
    },
    Command {
        name: "help",
        about: "Explain one command, or all",
        operands: &[Operand {
            presence: Presence::Optional,
            ..operand("COMMAND", "Which; `config check` is one, too")
        }],
        act: |given| said(&help::on(given)?),
        ..PLAIN
    },
];

#[cfg(feature = "upkeep")]
const PARTITION: Operand = operand("PARTITION", "Which, as in the configuration");

/// Commands that a feature brings.
pub(super) const BROUGHT: &[(&str, &str)] = &[
    ("backup", "upkeep"),
    ("completions", "doctor"),
    ("config example", "doctor"),
    ("config migrate", "upkeep"),
    ("config status", "upkeep"),
    ("doctor", "doctor"),
    ("factory-reset", "upkeep"),
    ("restore", "upkeep"),
];

const fn operand(name: &'static str, about: &'static str) -> Operand {
    Operand { name, about, presence: Presence::Needed, choices: &[] }
}

const fn flag(name: &'static str, about: &'static str) -> Flag {
    Flag { name, about, value: None, presence: Presence::Optional }
}

#[cfg(feature = "upkeep")]
const fn needed(name: &'static str, about: &'static str) -> Flag {
    Flag { presence: Presence::Needed, ..flag(name, about) }
}

fn until(given: &Given) -> run::Until {
    if given.has("once") { run::Until::Idle } else { run::Until::Stopped }
}

fn said(text: &str) -> anyhow::Result<End> {
    print!("{text}");
    Ok(End::Done)
}

fn hours(given: &Given) -> anyhow::Result<u32> {
    let Some(said) = given.value("hours")? else { return Ok(24) };
    let hours = said.parse().ok().filter(|hours| (1..=720).contains(hours));
    hours.ok_or_else(|| Misread(format!("`--hours {said}` is not from 1 to 720")).into())
}

#[cfg(feature = "upkeep")]
fn partition(given: &Given) -> anyhow::Result<Name> {
    let said = given.text(0)?.unwrap_or_default();
    let name = said.parse();
    name.map_err(|_| Misread(format!("`{said}` cannot be the name of a partition")).into())
}
