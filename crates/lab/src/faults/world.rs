//! A maker's releases, simulated terminals, and the comparison at the end.

use super::book::{Book, Rules};
use super::terminal::{Round, Servers, Software, Terminal, agent, send};
use crate::chance::Chance;
use crate::clock::now;
use crate::maker::{Details, Maker, Release};
use crate::operator::Operator;
use crate::process::Programs;
use anyhow::{Context as _, Result, bail, ensure};
use protocols::operator::{RolloutState, RolloutView};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use types::Digest;
use ureq::Agent;

/// Threads that play terminals.
const THREADS: usize = 8;
/// How long everything may take, whatever happens meanwhile.
const LIMIT: Duration = Duration::from_secs(240);
/// How long a terminal that was not answered waits.
const PAUSE: Duration = Duration::from_millis(50);
/// How often the world is looked at.
const LOOK: Duration = Duration::from_millis(50);

/// Programs, a maker and packages.
pub(super) struct World {
    pub(super) programs: Programs,
    pub(super) folder: TempDir,
    maker: Maker,
}

impl World {
    pub(super) fn new() -> Result<Self> {
        let folder = tempfile::Builder::new().prefix("refit-faults-").tempdir()?;
        let programs = Programs::find()?;
        let maker = Maker::new(&programs, &folder.path().join("keys"))?;
        Ok(Self { programs, folder, maker })
    }

    pub(super) fn root(&self) -> PathBuf {
        self.maker.root()
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes and signs a small release.
    pub(super) fn release(&self, version: &str, index: u64) -> Result<(PathBuf, Software)> {
        self.release_of(version, index, &version.as_bytes().repeat(40_000))
    }

    /// Makes and signs a release of this image.
    pub(super) fn release_of(
        &self,
        version: &str,
        index: u64,
        bytes: &[u8],
    ) -> Result<(PathBuf, Software)> {
        let (image, package) = (self.path(&format!("{version}.img")), self.path(version));
        let package = package.with_extension("zip");
        std::fs::write(&image, bytes)?;
        let release = Release { version, index, image: &image, details: Details::default() };
        self.maker.pack(&release, &package)?;
        let software = Software { version: version.into(), image: Digest::of(bytes) };
        Ok((package, software))
    }

    /// Enrols `count` terminals that run something of the factory's.
    pub(super) fn terminals(&self, operator: &Operator, count: usize) -> Result<Vec<Terminal>> {
        let agent = agent(&operator.ca())?;
        let factory = Software { version: "factory".into(), image: Digest::of(b"factory") };
        let mut all = Vec::new();
        for token in tokens(operator, count)? {
            let name = format!("t{:04}", all.len());
            all.push(Terminal::enrol(&agent, operator.address(), &name, &token, &factory)?);
        }
        Ok(all)
    }
}

/// Enrolment tokens: as many as are wanted, in portions that one order may have.
pub(super) fn tokens(operator: &Operator, count: usize) -> Result<Vec<String>> {
    let mut all = Vec::new();
    while all.len() < count {
        all.extend(operator.tokens((count - all.len()).min(500))?);
    }
    Ok(all)
}

/// Starts a rollout by these rules.
pub(super) fn roll_out(operator: &Operator, version: &str, rules: Rules) -> Result<RolloutView> {
    let waves: Vec<String> = rules.waves.iter().map(ToString::to_string).collect();
    let flight = rules.in_flight.to_string();
    let mut options = vec!["--in-flight", &flight, "--not-back", "600"];
    options.extend(waves.iter().flat_map(|wave| ["--wave", wave.as_str()]));
    options.extend(["--failures-count", "0"]);
    operator.roll_out("through faults", version, &options)
}

/// Lets the terminals live until `over`, while `trouble` makes trouble.
pub(super) fn live<T: Send>(
    terminals: &mut [Terminal],
    ca: &Path,
    servers: &Servers,
    target: &Software,
    book: &Book,
    seed: u64,
    trouble: impl FnOnce() -> Result<T>,
) -> Result<T> {
    let over = AtomicBool::new(false);
    let share = terminals.len().div_ceil(THREADS).max(1);
    std::thread::scope(|scope| {
        for (number, mine) in (0..).zip(terminals.chunks_mut(share)) {
            let agent = agent(ca)?;
            let (over, servers) = (&over, servers.clone());
            let mut chance = Chance::new(seed.wrapping_add(number));
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    for terminal in mine.iter_mut() {
                        let round = terminal.round(&agent, &servers, target, book, &mut chance);
                        if round == Round::Unheard {
                            std::thread::sleep(PAUSE);
                        }
                        if over.load(Ordering::Relaxed) {
                            break;
                        }
                    }
                }
            });
        }
        let made = trouble();
        over.store(true, Ordering::Relaxed);
        made
    })
}

/// Waits until so many terminals are done.
pub(super) fn wait(book: &Book, done: usize, operator: Option<&Operator>) -> Result<()> {
    let began = now();
    while book.done() < done {
        if now() - began > LIMIT {
            let views = operator.map(|operator| operator.devices().map(|all| all.len()));
            bail!("only {} of {done} terminals are done; {views:?}", book.done());
        }
        if let Some(fault) = book.pages().faults.first() {
            bail!("{fault}");
        }
        std::thread::sleep(LOOK);
    }
    Ok(())
}

/// Waits until the server counts every terminal as confirmed.
pub(super) fn wait_confirmed(operator: &Operator, rollout: &RolloutView, all: u32) -> Result<()> {
    let began = now();
    loop {
        let view = operator.rollout(rollout.id.as_str())?;
        ensure!(view.state != RolloutState::Halted, "it was halted: {}", view.why);
        let tally = &view.tally;
        if (tally.exposed, tally.confirmed, tally.in_flight) == (all, all, 0) {
            return Ok(());
        }
        ensure!(now() - began < LIMIT, "the tally stays at {tally:?}");
        std::thread::sleep(LOOK);
    }
}

/// Compares the book with what a server says. Returns how many reports were
/// acknowledged, and sent.
pub(super) fn compare(operator: &Operator, book: &Book) -> Result<(usize, usize)> {
    let agent = agent(&operator.ca())?;
    let token = std::fs::read_to_string(operator.token())?;
    let pages = book.pages();
    ensure!(pages.faults.is_empty(), "{}", pages.faults.join("; "));
    for (terminal, attempts) in &pages.acknowledged {
        let kept = kept(&agent, operator.address(), &token, terminal)?;
        for attempt in attempts {
            let times = kept.iter().filter(|kept| *kept == attempt).count();
            ensure!(times == 1, "report {attempt} of {terminal} is kept {times} times");
        }
    }
    Ok((pages.acknowledged.values().map(|set| set.len()).sum(), pages.sent))
}

fn kept(agent: &Agent, server: &str, token: &str, terminal: &str) -> Result<Vec<String>> {
    let url = format!("{server}/api/v1/devices/{terminal}/reports");
    let (status, answer) = send(agent, &url, Some(token), None);
    let reports = answer.get("reports").and_then(Value::as_array);
    let reports = reports.with_context(|| format!("no reports of {terminal}: {status}"))?;
    let attempt = |report: &Value| Some(report.get("attempt")?.as_str()?.to_owned());
    Ok(reports.iter().filter_map(attempt).collect())
}
