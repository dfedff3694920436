//! `config status` and `config migrate --dry-run`: the terminal's own configuration.

use super::End;
use super::install::absolute;
use super::terminal::{self, Sources};
use agent::config::Config;
use agent::edges::{Change, Configuration as _};
use agent::platform::stop::Stop;
use anyhow::{Context, bail};
use engine::Locator;
use std::path::Path;
use types::Slot;

/// `config status`
pub(super) fn status(config: &Config) -> anyhow::Result<End> {
    let Some(kept) = &config.configuration else {
        println!("no configuration is carried over: there is no table `[configuration]`");
        return Ok(End::Nothing);
    };
    let folders = terminal::folders(config)?;
    let running = config.boot_control().running().context("cannot find out which slot runs")?;
    for slot in Slot::BOTH {
        let runs = if slot == running { ", runs" } else { "" };
        let place = kept.folder.join(slot.to_string());
        match folders.version(slot).context("cannot read the configuration")? {
            Some(form) => println!("{slot}: form {form} in {}{runs}", place.display()),
            None => println!("{slot}: none{runs}"),
        }
    }
    Ok(End::Done)
}

/// `config migrate --dry-run`
pub(super) fn rehearse(config: &Config, file: &Path) -> anyhow::Result<End> {
    terminal::make_directories(config)?;
    // A copy is made where the agent makes its own.
    let Some(_lock) = terminal::lock(config)? else {
        bail!("an agent runs on this terminal; stop it to rehearse");
    };
    let locator = Locator::new(&absolute(file)?)?;
    let stop = Stop::on_signals()?;
    let mut terminal = terminal::assemble(config, Sources::Local, &stop, None)?;
    match terminal.device.rehearse(&locator) {
        Err(refusal) => {
            println!("{}: {}", refusal.outcome, refusal.detail);
            Ok(End::Outcome(refusal.outcome))
        }
        Ok(found) => {
            for difference in &found {
                let sign = match difference.what {
                    Change::Added => '+',
                    Change::Removed => '-',
                    Change::Changed => '~',
                };
                println!("{sign} {}", difference.path);
            }
            println!("{} differences; nothing was changed", found.len());
            Ok(End::Done)
        }
    }
}
