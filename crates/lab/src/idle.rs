//! What an agent costs that has nothing to do: how often it is woken, and what memory
//! it holds.
//!
//! It is enrolled at a real server that wants to hear of it every quarter of an hour, has
//! the local page open and a mount point for cards to look at: all that can wake it but
//! a watchdog, which has a time of its own. Seen is what the kernel counts: how often one
//! of its threads gave up the processor by itself. Once woken it does so some times, for a
//! file or a page of its code; that is one wake-up, for the processor was awake.

use crate::chance::noise;
use crate::clock::{now, until};
use crate::maker::Maker;
use crate::operator::Operator;
use crate::process::{Programs, bound_to_us};
use crate::terminal::{Factory, Server, Settings, Terminal};
use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

/// Wake-ups that an idle agent may have in a minute.
const WAKES_GOAL: u64 = 2;
/// KiB that it may hold meanwhile.
const MEMORY_GOAL: u64 = 4 << 10;
/// How long it may take to have nothing to do.
const PATIENCE: Duration = Duration::from_secs(60);
/// Who was not woken for so long was at rest.
const REST: Duration = Duration::from_secs(1);
/// Nothing has to be done when it was not woken for so long.
const QUIET: Duration = Duration::from_secs(5);

/// Counts how often an idle agent is woken.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// The agent, as it is on terminals; without this the one beside this program, whose
    /// memory is not judged.
    #[arg(long)]
    agent: Option<PathBuf>,
    /// For how many minutes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=60))]
    minutes: u32,
}

/// `lab idle`.
///
/// # Errors
/// A program is missing or fails.
pub fn run(args: &Args) -> Result<ExitCode> {
    let folder = tempfile::tempdir()?;
    let programs = Programs::find()?;
    let program = args.agent.clone().unwrap_or_else(|| programs.agent());
    let maker = Maker::new(&programs, &folder.path().join("keys"))?;
    let rarely = ["--poll-seconds", "900"];
    let root = maker.root();
    let server = Operator::start_with(&programs, &folder.path().join("server"), &root, &rarely)?;
    let terminal = terminal(&programs, folder.path(), &root, &server)?;
    let agent = Idle::start(&program, &terminal)?;
    until(PATIENCE, "the enrolment", || Ok(server.device("idle").is_ok().then_some(())))?;
    agent.settle()?;
    let (woken, minutes) = (agent.count(args.minutes)?, u64::from(args.minutes));
    let (memory, threads) = (agent.field("VmRSS")?, agent.tasks()?.len());
    println!(
        "in {minutes} minutes it was woken {woken} times (goal: {}), in {threads} threads, and \
         holds {memory} KiB (goal: {MEMORY_GOAL})",
        minutes * WAKES_GOAL
    );
    let light = args.agent.is_none() || memory <= MEMORY_GOAL;
    let well = woken <= minutes * WAKES_GOAL && light;
    Ok(if well { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn terminal(
    programs: &Programs,
    folder: &Path,
    root: &Path,
    server: &Operator,
) -> Result<Terminal> {
    let image = folder.join("image");
    fs::write(&image, noise(100_000))?;
    let tokens = server.tokens(1)?;
    let token = tokens.first().context("the server gave no token")?;
    let factory = Factory {
        programs,
        root,
        image: &image,
        version: "1.0.0",
        slot_size: 1 << 20,
        server: Some(Server { url: server.address(), ca: &server.ca(), token }),
        settings: &Settings::default(),
    };
    let terminal = Terminal::make("idle", folder, &factory)?;
    let (password, card) = (terminal.file("password"), terminal.file("card"));
    fs::write(&password, "correct horse")?;
    fs::create_dir(&card)?;
    let mut config = File::options().append(true).open(terminal.config())?;
    write!(
        config,
        "[media]\nmounts = [{card:?}]\n[page]\nlisten = \"127.0.0.1:0\"\nhosts = [\"localhost\"]\n\
         password_file = {password:?}\n"
    )?;
    Ok(terminal)
}

/// An agent that runs.
struct Idle(Child);

impl Idle {
    fn start(program: &Path, terminal: &Terminal) -> Result<Self> {
        let mut command = bound_to_us(program);
        command.arg("--config").arg(terminal.config()).arg("run");
        let log = File::create(terminal.file("log"))?;
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        Ok(Self(child.with_context(|| format!("cannot start {}", program.display()))?))
    }

    /// Waits until it was not woken for a while.
    fn settle(&self) -> Result<()> {
        let (mut seen, mut since) = (self.woken()?, now());
        until(PATIENCE, "that the agent has nothing to do", || {
            let woken = self.woken()?;
            if woken != seen {
                (seen, since) = (woken, now());
            }
            Ok((now() - since > QUIET).then_some(()))
        })
    }

    /// How often it is woken from a rest in so many minutes.
    fn count(&self, minutes: u32) -> Result<u64> {
        let (mut seen, mut since, began) = (self.woken()?, now(), now());
        let span = Duration::from_secs(u64::from(minutes) * 60);
        let mut count = 0;
        until(span + PATIENCE, "the last minute", || {
            let woken = self.woken()?;
            if woken != seen {
                count += u64::from(now() - since > REST);
                (seen, since) = (woken, now());
            }
            Ok((now() - began >= span).then_some(count))
        })
    }

    fn folder(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.0.id()))
    }

    fn tasks(&self) -> Result<Vec<PathBuf>> {
        let tasks = fs::read_dir(self.folder().join("task")).context("the agent ended")?;
        Ok(tasks.map(|task| task.map(|task| task.path())).collect::<Result<_, _>>()?)
    }

    /// How often all its threads were woken so far.
    fn woken(&self) -> Result<u64> {
        let tasks = self.tasks()?;
        tasks.iter().map(|task| field(task, "voluntary_ctxt_switches")).sum()
    }

    fn field(&self, name: &str) -> Result<u64> {
        field(&self.folder(), name)
    }
}

impl Drop for Idle {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A number of `/proc/PID/status`.
fn field(folder: &Path, name: &str) -> Result<u64> {
    let text = fs::read_to_string(folder.join("status")).context("the agent ended")?;
    number(&text, name).with_context(|| format!("the kernel does not say {name}"))
}

fn number(status: &str, name: &str) -> Option<u64> {
    let line = |line: &str| line.strip_prefix(name)?.strip_prefix(':').map(str::to_owned);
    status.lines().find_map(line)?.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_its_whole_name() {
        let status =
            "VmRSS:\t   900 kB\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t3\n";
        assert_eq!(number(status, "VmRSS"), Some(900));
        assert_eq!(number(status, "voluntary_ctxt_switches"), Some(3));
        assert_eq!(number(status, "VmHWM"), None);
    }
}
