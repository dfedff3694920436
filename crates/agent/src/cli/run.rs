//! `run`: the agent itself.

use super::End;
#[cfg(feature = "upkeep")]
use super::partitions::reset_if_marked;
use super::screen::Screen;
use super::terminal::{self, Sources, Terminal};
use super::told::Told;
use agent::Turn;
use agent::config::Config;
use agent::platform::clock;
use agent::platform::contain;
use agent::platform::lock;
use agent::platform::stop::Stop;
use agent::platform::watchdog::{Keeper, Pulse};
use anyhow::{Context, bail};
use engine::Phase;
use std::time::Duration;

/// How long commands that only look at the terminal's state may hold it.
const OTHERS: Duration = Duration::from_secs(2);

/// How long an agent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Until it is stopped.
    Stopped,
    /// Until there is nothing to do.
    Idle,
}

/// Runs the agent.
pub(super) fn run(config: &Config, until: Until) -> anyhow::Result<End> {
    terminal::make_directories(config)?;
    let path = terminal::state_file(config, "lock");
    let lock = lock::take_within(&path, OTHERS).context("cannot lock the state directory")?;
    let Some(_lock) = lock else { bail!("another agent runs on this terminal") };
    terminal::lock_media(config);
    let stop = Stop::on_signals().context("cannot listen to signals")?;
    let calls = clock::listen_for_calls(&terminal::wake_path(config));
    let calls = calls.context("cannot listen to calls")?;
    let mut terminal = terminal::assemble(config, Sources::All, &stop, Some(calls))?;
    #[cfg(feature = "upkeep")]
    if let Some(end) = reset_if_marked(config, terminal.device.is_idle())? {
        return Ok(end);
    }
    for gap in contain::gaps() {
        eprintln!("refit-agent: the worker is contained less than it could be: {gap}");
    }
    let pulse = Pulse::default();
    let keeper = terminal::keep_watchdog(config, &pulse);
    #[cfg(feature = "page")]
    open_page(config, &pulse)?;
    #[cfg(feature = "dbus")]
    join_bus(config)?;
    let unfed = keeper.as_ref().map(Keeper::unfed).unwrap_or_default();
    let mut told = Told::new(terminal::status_path(config), unfed);
    let mut screen = Screen::new(config);
    // Whoever started this waits for its first word.
    told.tell_now(&mut terminal, None)?;
    while !stop.asked() {
        pulse.beat();
        let turn = terminal.device.step();
        told.tell(&mut terminal, &turn)?;
        match turn {
            Ok(Turn::Moved) if is_writing(&terminal) => pulse.mend(),
            Ok(Turn::Moved) => {}
            Ok(Turn::Idle) if until == Until::Idle => break,
            Ok(turn) if screen.ask(&mut terminal.device, turn)? => {}
            _ => {
                pulse.rest();
                rest(&mut terminal)?;
            }
        }
    }
    told.tell_now(&mut terminal, None)?;
    if let Some(keeper) = keeper {
        keeper.stop();
    }
    Ok(End::Done)
}

/// Whether what runs next is being fetched, written or looked at.
fn is_writing(terminal: &Terminal) -> bool {
    matches!(terminal.device.state().phase(), Phase::Downloading | Phase::Verifying)
}

#[cfg(feature = "page")]
fn open_page(config: &Config, pulse: &Pulse) -> anyhow::Result<()> {
    let Some(page) = &config.page else { return Ok(()) };
    let upload = page.upload.clone();
    let setup = agent::page::Setup {
        desk: terminal::desk(config)?,
        listen: page.listen,
        hosts: page.hosts.clone(),
        password_file: page.password_file.clone(),
        upload: upload.unwrap_or_else(|| terminal::state_file(config, "upload.zip")),
        upload_limit: u64::from(page.upload_mib) << 20,
        pulse: pulse.clone(),
    };
    agent::page::serve(setup).context("cannot start a thread for the local page")
}

#[cfg(feature = "dbus")]
fn join_bus(config: &Config) -> anyhow::Result<()> {
    let Some(dbus) = &config.dbus else { return Ok(()) };
    let desk = terminal::desk(config)?;
    agent::bus::serve(desk, dbus.bus.clone()).context("cannot start a thread for the bus")
}

fn rest(terminal: &mut Terminal) -> anyhow::Result<()> {
    terminal.device.rest();
    if terminal.asked.take() {
        terminal.device.rest_no_longer();
        terminal.device.ask_all().context("cannot ask the sources")?;
    }
    Ok(())
}
