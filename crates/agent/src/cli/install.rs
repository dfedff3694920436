//! `install FILE.zip`: by the agent that runs, or, where none does, right here.

use super::End;
use super::follow::{Filed, Form, Shown};
use super::switch;
use super::terminal::{self, Sources, Terminal};
use super::told;
use agent::config::Config;
use agent::edges::Store;
use agent::platform::clock::{self, Call, Stopwatch};
use agent::platform::stop::Stop;
use agent::sources::local::{self, LocalOrder};
use agent::{Outbox, Status, Turn};
use anyhow::{Context, bail};
use engine::inspect::Refusal;
use engine::{Locator, State};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Duration;
use types::{AttemptId, Report, tree};

/// How often the agent's status is looked at.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked for an agent that vanished before that is believed.
const GONE: u32 = 10;

/// Says whether this terminal would take the package, and changes nothing.
pub(super) fn test(config: &Config, file: &Path, form: Form) -> anyhow::Result<End> {
    let locator = Locator::new(&absolute(file)?)?;
    let stop = Stop::on_signals()?;
    let mut terminal = terminal::assemble(config, Sources::Local, &stop, None)?;
    let (json, people, end) = match terminal.device.would_accept(&locator) {
        Ok(manifest) => {
            let version = manifest.version;
            let json = json!({ "accepts": true, "version": version });
            (json, format!("this terminal would take {version}"), End::Done)
        }
        Err(Refusal { outcome, detail }) => {
            let json = json!({ "accepts": false, "outcome": outcome, "detail": detail });
            (json, format!("{outcome}: {detail}"), End::Outcome(outcome))
        }
    };
    match form {
        Form::Json => println!("{json}"),
        Form::People => println!("{people}"),
    }
    Ok(end)
}

/// Installs a package and shows how it goes.
pub(super) fn install(config: &Config, file: &Path, form: Form) -> anyhow::Result<End> {
    terminal::make_directories(config)?;
    let path = absolute(file)?;
    Locator::new(&path).context("cannot use this path")?;
    let order = LocalOrder { attempt: attempt(config, &path), path };
    if let Err(error) = switch::agree(config, order.attempt) {
        // The order stands; it only waits like one that did not come by hand.
        eprintln!("refit-agent: {error:#}: that you agree is not noted");
    }
    match terminal::lock(config)? {
        None => by_agent(config, &order, form),
        Some(_lock) => right_here(config, &order, form),
    }
}

pub(super) fn absolute(file: &Path) -> anyhow::Result<String> {
    let cannot = || format!("cannot open `{}`", file.display());
    let path = std::fs::canonicalize(file).with_context(cannot)?;
    path.into_os_string().into_string().ok().with_context(cannot)
}

/// Each command is one attempt.
fn attempt(config: &Config, path: &str) -> AttemptId {
    let origin = format!("local {path} {}", terminal::now(config).0);
    AttemptId::new(&origin, &config.device, std::process::id())
}

/// Leaves the order for the agent that runs, and watches.
fn by_agent(config: &Config, order: &LocalOrder, form: Form) -> anyhow::Result<End> {
    let mut store = terminal::store(config)?;
    store.replace(local::NAME, &serde_json::to_vec(order)?).context("cannot leave the order")?;
    clock::call(&terminal::wake_path(config), Call::Ask).context("cannot call the agent")?;
    let mut shown = Shown::new(form);
    let mut gone = 0;
    while gone < GONE {
        if let Some(report) = report(&store, order.attempt)? {
            shown.end(&report, Filed::Yes);
            return Ok(End::Outcome(report.outcome));
        }
        match status(config) {
            Some(seen) => {
                if let Some(report) = seen.unfiled(order.attempt) {
                    shown.end(report, Filed::Later);
                    return Ok(End::Outcome(report.outcome));
                }
                shown.show(&seen);
            }
            None => gone += 1,
        }
        gone = if terminal::lock(config)?.is_some() { gone + 1 } else { 0 };
        std::thread::sleep(LOOK);
    }
    shown.restarts();
    Ok(End::Restart)
}

fn status(config: &Config) -> Option<Status> {
    let json = std::fs::read(terminal::status_path(config)).ok()?;
    tree::from_json(&json).ok()
}

/// The report of `attempt`, when it is over.
fn report(store: &impl Store, attempt: AttemptId) -> anyhow::Result<Option<Report>> {
    let bytes = store.read(Outbox::NAME).context("cannot read the outbox")?;
    let outbox: Outbox = bytes.and_then(|bytes| tree::from_json(&bytes).ok()).unwrap_or_default();
    Ok(outbox.last().filter(|report| report.attempt == attempt).cloned())
}

/// Is the agent until the report is written or the terminal has to restart.
fn right_here(config: &Config, order: &LocalOrder, form: Form) -> anyhow::Result<End> {
    terminal::lock_media(config);
    let stop = Stop::on_signals()?;
    let mut terminal = terminal::assemble(config, Sources::Local, &stop, None)?;
    let wanted = order.order(&terminal::local_name()?).context("cannot use this path")?;
    file_first(&mut terminal)?;
    if terminal.device.order(wanted).is_err() {
        bail!("another update is in progress; `refit-agent status --why` tells which");
    }
    let mut shown = Shown::new(form);
    let path = terminal::status_path(config);
    let mut glance = Glance { path, watch: Stopwatch::start(), phase: "" };
    while !stop.asked() {
        glance.at(&mut terminal, &mut shown)?;
        let ended = terminal.device.ended().cloned();
        let turn = terminal.device.step().context("cannot go on with the update")?;
        if let Some(report) = ended.filter(|report| report.attempt == order.attempt) {
            let filed = if terminal.device.is_idle() { Filed::Yes } else { Filed::Later };
            shown.end(&report, filed);
            return Ok(End::Outcome(report.outcome));
        }
        if turn != Turn::Moved {
            terminal.device.rest();
        }
    }
    bail!("stopped; `refit-agent run` goes on with the update")
}

/// Files a report that the state directory had no room for.
fn file_first(terminal: &mut Terminal) -> anyhow::Result<()> {
    if terminal.device.ended().is_some() {
        terminal.device.step().context("cannot file the report of the last update")?;
    }
    if terminal.device.ended().is_some() {
        bail!("the report of the last update cannot be filed: make room in the state directory");
    }
    Ok(())
}

/// Looks at the terminal now and then, and whenever it does something else.
struct Glance {
    path: PathBuf,
    watch: Stopwatch,
    phase: &'static str,
}

impl Glance {
    fn at(&mut self, terminal: &mut Terminal, shown: &mut Shown) -> anyhow::Result<()> {
        let phase = terminal.device.state().phase().as_str();
        if phase == self.phase && u128::from(self.watch.millis()) < LOOK.as_millis() {
            return Ok(());
        }
        (self.watch, self.phase) = (Stopwatch::start(), phase);
        let status = terminal.device.status()?;
        told::write_status(&self.path, &status)?;
        shown.show(&status);
        // The step that restarts does not return.
        if matches!(terminal.device.state(), State::Rebooting { .. }) {
            shown.restarts();
        }
        Ok(())
    }
}
