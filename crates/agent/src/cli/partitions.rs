//! `backup`, `restore` and `factory-reset`.

use super::End;
use super::terminal;
use agent::config::{Config, Partition};
use agent::edges::Power as _;
use agent::platform::{backup, places::same_place, reset};
use anyhow::{Context, bail};
use std::path::Path;
use types::Name;

/// The partition of that name.
fn named<'a>(config: &'a Config, name: &Name) -> anyhow::Result<&'a Partition> {
    let known = || config.partitions.keys().map(Name::as_str).collect::<Vec<_>>().join(", ");
    config.partitions.get(name).with_context(|| {
        format!("no partition is called `{name}` in the configuration; there are: {}", known())
    })
}

/// `backup`
pub(super) fn backup(config: &Config, name: &Name, file: &Path) -> anyhow::Result<End> {
    let place = &named(config, name)?.path;
    let head = backup::backup(&config.device, name, place, file)
        .with_context(|| format!("cannot back `{name}` up to {}", file.display()))?;
    println!("{name}: {} bytes, sha256 {}, in {}", head.size, head.sha256, file.display());
    Ok(End::Done)
}

/// `restore`
pub(super) fn restore(config: &Config, name: &Name, file: &Path) -> anyhow::Result<End> {
    let place = &named(config, name)?.path;
    let written = config.places().into_iter().any(|other| same_place(&other, place));
    if written {
        bail!("`{name}` is written by updates; `refit-agent install` restores it");
    }
    let head = backup::restore(&config.device, name, place, file)
        .with_context(|| format!("cannot restore `{name}` from {}", file.display()))?;
    println!("{name}: {} bytes, sha256 {}, were written and read back", head.size, head.sha256);
    Ok(End::Done)
}

/// `factory-reset`
pub(super) fn factory_reset(config: &Config) -> anyhow::Result<End> {
    terminal::make_directories(config)?;
    reset::mark(&mut terminal::store(config)?).context("cannot mark the terminal")?;
    println!("the terminal is reset when it starts the next time");
    Ok(End::Done)
}

/// Performs a reset that was marked, when no update is in progress; says how the agent
/// goes on, which is by a restart, so that nothing runs on with what is gone.
pub(super) fn reset_if_marked(config: &Config, idle: bool) -> anyhow::Result<Option<End>> {
    let mut store = terminal::store(config)?;
    if !idle || !reset::is_marked(&store).context("cannot look for a reset")? {
        return Ok(None);
    }
    let plan = terminal::reset(config)?;
    plan.perform(&mut store).context("cannot reset the terminal")?;
    eprintln!("refit-agent: the terminal is as from the factory, and restarts");
    match terminal::power(config).restart() {
        Ok(never) => match never {},
        Err(error) => Err(error).context("cannot restart"),
    }
}
