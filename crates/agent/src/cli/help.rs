//! Help, made of the table of commands.

use super::commands::{COMMANDS, Command, Flag, Operand, Presence};
use super::words::{CONFIG_VARIABLE, Given, Misread, named, unknown};
use agent::{FEATURES, config};

/// What ends with something else than 0.
const EXIT_CODES: &str = "\
Exit status:
  0    done
  1    the agent could not do its work; the reason is on standard error
  2    the command was not understood
  3    there is nothing that the command could act on
  4    something has to be mended before updates can work
  10   the terminal refused the package; nothing was changed
  11   the update failed; the terminal runs what it ran
  12   the agent's own records are damaged
  100  the terminal has to be restarted now (no `power.restart` is configured)
  101  the agent has to be started anew: a newer one takes its place
";

const EXAMPLES: &str = "\
Examples:
  refit-agent run                           the agent, as a service
  refit-agent status --why                  what runs, and why nothing more does
  refit-agent install update.zip --test     would this terminal take the package?
  refit-agent install update.zip            take it
  refit-agent pause                         until `resume`
  refit-agent config example > agent.toml   a commented configuration
  refit-agent doctor                        is this terminal fit for updates?
";

/// `refit-agent`, its version and what it was built with.
pub(super) fn version() -> String {
    let features = if FEATURES.is_empty() { "nothing".into() } else { FEATURES.join(", ") };
    format!("refit-agent {}\nbuilt with {features}\n", env!("CARGO_PKG_VERSION"))
}

/// Help on what `help` was given.
pub(super) fn on(given: &Given) -> Result<String, Misread> {
    let Some(first) = given.text(0)? else { return Ok(all()) };
    let name = given.text(1)?.map_or_else(|| first.to_owned(), |more| format!("{first} {more}"));
    let known = named(&name);
    known.map(one).ok_or_else(|| unknown(&name))
}

/// Help on everything.
pub(super) fn all() -> String {
    let mut out = String::from(
        "Carries updates through on this terminal\n\n\
         Usage: refit-agent [--config FILE] COMMAND\n\nCommands:\n",
    );
    for command in COMMANDS {
        line(&mut out, command.name, command.about);
    }
    out.push_str("\nOptions:\n");
    config(&mut out);
    line(&mut out, "-h, --help", "Explain a command, or all");
    line(&mut out, "-V, --version", "Say which version this is");
    out + "\n" + EXAMPLES + "\n" + EXIT_CODES
}

/// Help on one command.
pub(super) fn one(command: &'static Command) -> String {
    let mut out = format!("{}\n\nUsage: refit-agent {}", command.about, command.name);
    for Flag { name, value, presence, .. } in command.flags {
        let value = value.map(|value| format!(" {value}")).unwrap_or_default();
        out.push_str(&bracketed(*presence, &format!("--{name}{value}")));
    }
    for Operand { name, presence, .. } in command.operands {
        out.push_str(&bracketed(*presence, name));
    }
    out.push_str("\n\n");
    for Operand { name, about, choices, .. } in command.operands {
        let choices = choices.join("`, `");
        let only = if choices.is_empty() { choices } else { format!(": `{choices}`") };
        line(&mut out, name, &format!("{about}{only}"));
    }
    for Flag { name, about, value, .. } in command.flags {
        line(&mut out, &format!("--{name} {}", value.unwrap_or_default()), about);
    }
    config(&mut out);
    let mut examples = EXAMPLES.lines().filter(|example| {
        example.trim_start().strip_prefix("refit-agent ").is_some_and(|rest| {
            rest.strip_prefix(command.name).is_some_and(|rest| rest.starts_with([' ', '\n']))
        })
    });
    if let Some(first) = examples.next() {
        out.push_str("\nExamples:\n");
        for example in std::iter::once(first).chain(examples) {
            out.push_str(&format!("{example}\n"));
        }
    }
    out
}

fn config(out: &mut String) {
    let about = format!(
        "The configuration; without this what {CONFIG_VARIABLE} names, or {}",
        config::DEFAULT_PATH
    );
    line(out, "--config FILE", &about);
}

fn bracketed(presence: Presence, word: &str) -> String {
    match presence {
        Presence::Needed => format!(" {word}"),
        Presence::Optional => format!(" [{word}]"),
    }
}

fn line(out: &mut String, word: &str, about: &str) {
    out.push_str(&format!("  {word:<16} {about}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_explained() {
        let all = all();
        for command in COMMANDS {
            assert!(all.contains(&format!("\n  {} ", command.name)), "{}", command.name);
            let one = one(command);
            assert!(one.contains(&format!("Usage: refit-agent {}", command.name)), "{one}");
            for flag in command.flags {
                assert!(one.contains(&format!("\n  --{} ", flag.name)), "{one}");
            }
        }
    }

    #[test]
    fn a_command_comes_with_its_examples() {
        let one = one(named("install").unwrap());
        let want = "\
Install a package that is a file of this terminal

Usage: refit-agent install [--test] [--json] FILE

  FILE             The package
  --test           Only say whether this terminal would take it
  --json           One JSON object, for scripts
";
        assert!(one.starts_with(want), "{one}");
        assert_eq!(one.matches("refit-agent install update.zip").count(), 2, "{one}");
        assert_eq!(one.matches("doctor").count(), 0, "{one}");
    }

    #[test]
    fn every_example_is_a_command() {
        for example in EXAMPLES.lines().skip(1) {
            let words = example.trim().strip_prefix("refit-agent ").unwrap();
            let known = COMMANDS.iter().any(|command| words.starts_with(command.name));
            assert!(known, "{example}");
        }
    }
}
