//! From words to a command: one pass over the table of commands.
//!
//! Deliberately absent: abbreviations, and flags of one letter but `-h` and `-V`.

use super::commands::{BROUGHT, COMMANDS, Command, Operand, Presence};
use agent::config::{self, Config};
use agent::{FEATURES, left_out};
use anyhow::Context;
use lexopt::Arg;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The variable that names the configuration file.
pub(super) const CONFIG_VARIABLE: &str = "REFIT_AGENT_CONFIG";

/// What the words ask for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Help on a command, or on all.
    Help(Option<&'static Command>),
    /// Which version this is.
    Version,
    /// A command, complete.
    Act(Given),
}

/// Why words are no command: a sentence for whoever wrote them.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Misread(pub(super) String);

/// A command with the words that it was given.
#[derive(Debug)]
pub(super) struct Given {
    command: &'static Command,
    config: PathBuf,
    operands: Vec<OsString>,
    flags: Vec<(&'static str, OsString)>,
}

impl Given {
    /// Does it.
    pub(super) fn act(&self) -> anyhow::Result<super::End> {
        (self.command.act)(self)
    }

    /// The configuration file.
    pub(super) fn config_path(&self) -> &Path {
        &self.config
    }

    /// What the configuration file says.
    pub(super) fn config(&self) -> anyhow::Result<Config> {
        Config::load(&self.config).context("cannot start")
    }

    /// Whether a flag was given.
    pub(super) fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|(name, _)| *name == flag)
    }

    /// What was said behind a flag.
    pub(super) fn value(&self, flag: &str) -> Result<Option<&str>, Misread> {
        let said = self.flags.iter().rfind(|(name, _)| *name == flag);
        said.map(|(_, value)| text(value)).transpose()
    }

    /// An operand that is a word.
    pub(super) fn text(&self, index: usize) -> Result<Option<&str>, Misread> {
        self.operands.get(index).map(|word| text(word)).transpose()
    }

    /// An operand that is a path.
    pub(super) fn path(&self, index: usize) -> Result<&Path, Misread> {
        let path = self.operands.get(index).map(Path::new);
        path.ok_or_else(|| Misread("a path is missing".into()))
    }
}

/// Reads the words after the program's name; `config` is what the environment says of
/// the configuration file.
///
/// # Errors
/// They are no command.
pub(super) fn read(
    words: impl IntoIterator<Item = OsString>,
    config: Option<OsString>,
) -> Result<Wanted, Misread> {
    let mut reader = Reader::default();
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(word) = parser.next().map_err(|e| misread(&e))? {
        match word {
            Arg::Long("help") | Arg::Short('h') => return Ok(Wanted::Help(reader.command)),
            Arg::Long("version") | Arg::Short('V') => return Ok(Wanted::Version),
            Arg::Long("config") => reader.config = Some(parser.value().map_err(|e| misread(&e))?),
            Arg::Long(flag) => {
                let (name, value) = reader.flag(flag)?;
                let value =
                    if value { parser.value().map_err(|e| misread(&e))? } else { OsString::new() };
                reader.flags.push((name, value));
            }
            Arg::Value(word) => reader.word(word)?,
            Arg::Short(letter) => return Err(Misread(format!("`-{letter}` is not known"))),
        }
    }
    reader.config = reader.config.or(config);
    reader.end()
}

fn misread(error: &lexopt::Error) -> Misread {
    Misread(error.to_string())
}

fn text(word: &OsStr) -> Result<&str, Misread> {
    word.to_str().ok_or_else(|| Misread(format!("`{}` is no text", word.display())))
}

/// The command of this name.
pub(super) fn named(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Reader {
    /// The first word of a command of two.
    first: Option<String>,
    command: Option<&'static Command>,
    config: Option<OsString>,
    operands: Vec<OsString>,
    flags: Vec<(&'static str, OsString)>,
}

impl Reader {
    /// A flag of the command, and whether it has a value.
    fn flag(&self, name: &str) -> Result<(&'static str, bool), Misread> {
        let flags = self.command.map_or(&[][..], |command| command.flags);
        let known = flags.iter().find(|flag| flag.name == name);
        let known = known.ok_or_else(|| Misread(format!("`--{name}` is not known here")))?;
        Ok((known.name, known.value.is_some()))
    }

    fn word(&mut self, word: OsString) -> Result<(), Misread> {
        let Some(command) = self.command else { return self.name(&word) };
        // Help on a command of two words has one operand more than others.
        let most = if command.name == "help" { 2 } else { command.operands.len() };
        if self.operands.len() == most {
            return Err(Misread(format!("`{}` is a word too much", word.display())));
        }
        if let Some(operand) = command.operands.get(self.operands.len()) {
            is_choice(operand, &word)?;
        }
        self.operands.push(word);
        Ok(())
    }

    /// The name of the command, or its next word.
    fn name(&mut self, word: &OsStr) -> Result<(), Misread> {
        let word = text(word)?;
        let name = match &self.first {
            Some(first) => format!("{first} {word}"),
            None => word.to_owned(),
        };
        self.command = named(&name);
        let begins = |command: &Command| command.name.split_once(' ').map(|(first, _)| first);
        if self.command.is_none() && !COMMANDS.iter().any(|command| begins(command) == Some(&*name))
        {
            return Err(unknown(&name));
        }
        self.first = Some(name);
        Ok(())
    }

    fn end(self) -> Result<Wanted, Misread> {
        let Some(command) = self.command else {
            return match self.first {
                None => Ok(Wanted::Help(None)),
                Some(first) => Err(Misread(format!("`{first}` needs one word more"))),
            };
        };
        let missing = command.operands.get(self.operands.len());
        if let Some(missing) = missing.filter(|one| one.presence == Presence::Needed) {
            return Err(Misread(format!("{} is missing", missing.name)));
        }
        let said = |name| self.flags.iter().any(|(flag, _)| *flag == name);
        let mut needed = command.flags.iter().filter(|flag| flag.presence == Presence::Needed);
        if let Some(missing) = needed.find(|flag| !said(flag.name)) {
            return Err(Misread(format!("`--{}` is missing", missing.name)));
        }
        let config = self.config.unwrap_or_else(|| config::DEFAULT_PATH.into()).into();
        Ok(Wanted::Act(Given { command, config, operands: self.operands, flags: self.flags }))
    }
}

/// Why `name` is no command here.
pub(super) fn unknown(name: &str) -> Misread {
    let brought = BROUGHT.iter().find(|(command, _)| *command == name);
    match brought.filter(|(_, feature)| !FEATURES.contains(feature)) {
        Some((_, feature)) => Misread(left_out(&format!("`{name}`"), feature)),
        None => Misread(format!("`{name}` is an unrecognized command")),
    }
}

fn is_choice(operand: &Operand, word: &OsStr) -> Result<(), Misread> {
    let choices = operand.choices;
    if choices.is_empty() || choices.iter().any(|choice| word == *choice) {
        return Ok(());
    }
    let (word, all) = (word.display(), choices.join("`, `"));
    Err(Misread(format!("{} is `{all}`, not `{word}`", operand.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the words of one line are read as.
    fn check(line: &str, want: &str) {
        let words = line.split_whitespace().map(OsString::from);
        let got = match read(words, Some("/from/environment".into())) {
            Ok(Wanted::Help(on)) => format!("help {}", on.map_or("all", |on| on.name)),
            Ok(Wanted::Version) => "version".into(),
            Ok(Wanted::Act(Given { command, config, operands, flags })) => {
                format!("{} {} {operands:?} {flags:?}", command.name, config.display())
            }
            Err(Misread(why)) => why,
        };
        assert_eq!(got, want, "{line}");
    }

    #[test]
    fn words_become_a_command() {
        check("run", "run /from/environment [] []");
        check("--config /a run --once", "run /a [] [(\"once\", \"\")]");
        check("run --once --config=/a", "run /a [] [(\"once\", \"\")]");
        check("config check --config /a", "config check /a [] []");
        check("postpone --hours 5", "postpone /from/environment [] [(\"hours\", \"5\")]");
        check("automatic check off", "automatic /from/environment [\"check\", \"off\"] []");
        check("install -- --odd.zip", "install /from/environment [\"--odd.zip\"] []");
    }

    #[test]
    fn help_is_everywhere() {
        check("", "help all");
        check("-h", "help all");
        check("install --help", "help install");
        check("config migrate x --help", "help config migrate");
        check("help config check", "help /from/environment [\"config\", \"check\"] []");
        check("-V", "version");
    }

    #[test]
    fn mistakes_are_named() {
        check("frobnicate", "`frobnicate` is an unrecognized command");
        check("config", "`config` needs one word more");
        check("config frob", "`config frob` is an unrecognized command");
        check("run now", "`now` is a word too much");
        check("install", "FILE is missing");
        check("install a b", "`b` is a word too much");
        check("run --json", "`--json` is not known here");
        check("--once run", "`--once` is not known here");
        check("run -x", "`-x` is not known");
        check("restore data file", "`--yes` is missing");
        check("automatic checks on", "WHAT is `check`, `install`, not `checks`");
        check("postpone --hours", "missing argument for option '--hours'");
        check("run --once=yes", "unexpected argument for option '--once': \"yes\"");
    }
}
