//! The main job, for everyone to watch: a release for a fleet in waves, a release
//! that does not boot and halts by itself, and a release in a storm of kills.

mod fleet;
mod prepare;
mod show;
mod stores;
mod storm;
mod verdict;

use crate::chance::Chance;
use crate::clock::now;
use crate::process::Programs;
use agent::platform::stop::Stop;
use anyhow::{Context, Result, bail, ensure};
use fleet::Fleet;
use prepare::Releases;
use protocols::operator::{RolloutState, RolloutView, TallyView};
use show::Show;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use storm::Storm;

/// How long one rollout may take: at least, and for each terminal.
const ROLLOUT_LEAST: Duration = Duration::from_secs(120);
const ROLLOUT_EACH: Duration = Duration::from_secs(10);
/// How long a rollout waits for the server's deltas at most.
const WAITS: [&str; 2] = ["--wait-for-deltas", "600"];
/// How long terminals may take to tell what happened, once they are back.
const TOLD: Duration = Duration::from_secs(60);
/// How often the operator looks.
const WATCH: Duration = Duration::from_millis(200);

/// Shows the main job with the real programs
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How many terminals
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u16).range(2..=500))]
    terminals: u16,
    /// Your own images, in place of made ones: first what the terminals run, then what they get
    #[arg(long = "image", value_name = "FILE")]
    images: Vec<PathBuf>,
    /// MiB of the images that are made where none are given
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(8..=4096))]
    mib: u64,
    /// Where the server keeps the fleet and the packages
    #[arg(long, value_enum, default_value_t = StoreKind::Folder)]
    store: StoreKind,
    /// Leaves server and terminals running at the end
    #[arg(long)]
    keep: bool,
    /// Repeats the storm of this seed
    #[arg(long)]
    seed: Option<u64>,
}

/// Where the server keeps the fleet and the packages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum StoreKind {
    /// A file and a folder.
    Folder,
    /// PostgreSQL and an S3-compatible store, which the demo starts.
    Postgres,
}

/// Runs the demo; status 0 when every terminal is where it should be.
///
/// # Errors
/// Something did not happen in time, or was interrupted.
pub fn run(args: &Args) -> Result<ExitCode> {
    ensure!(matches!(args.images.len(), 0 | 2), "--image is given twice: OLD and NEW");
    let stop = Stop::on_signals().context("cannot catch interrupts")?;
    let began = now();
    let folder = tempfile::Builder::new().prefix("refit-demo-").tempdir()?;
    let programs = Programs::find()?;
    let show = Show::new(stop);
    let releases = Releases::prepare(&programs, folder.path(), args, &show)?;
    let stores = stores::Stores::start(args.store, &programs, &show)?;
    let mut options = stores.options();
    // A demo has no minutes for the last percent.
    options.extend(["--delta-effort", "fast"].map(str::to_owned));
    let count = args.terminals.into();
    let mut fleet = Fleet::start(&programs, folder.path(), &releases, count, &options)?;
    show.say(&format!("the server listens on {}", fleet.operator.address()));
    let seed = args.seed.unwrap_or_else(Chance::any_seed);
    let told = story(&mut fleet, &releases, &show, seed);
    // An interrupt also reaches the programs, and what they say then is no trouble.
    show.check()?;
    let (halted, storm) = told.inspect_err(|_| fleet.tell_troubles())?;
    stores.check(&fleet.data, &show)?;

    let verdict = verdict::judge(&fleet, &releases, &halted)?;
    println!("{}", verdict.table);
    println!("{} in {} s", verdict.sentence(&storm), (now() - began).as_secs());
    if args.keep {
        keep(&fleet, &show)?;
    }
    Ok(if verdict.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Three releases, one after the other.
fn story(
    fleet: &mut Fleet,
    releases: &Releases,
    show: &Show,
    seed: u64,
) -> Result<(RolloutView, Storm)> {
    fleet.wait_for_all(show)?;
    fleet.operator.publish(&releases.first.package)?;
    good_release(fleet, releases, show)?;
    let halted = bad_release(fleet, releases, show)?;
    let storm = stormy_release(fleet, releases, show, seed)?;
    Ok((halted, storm))
}

/// Release 2, in waves, to everyone.
fn good_release(fleet: &Fleet, releases: &Releases, show: &Show) -> Result<()> {
    let release = &releases.good;
    show.title(&format!("release {}: a good one, in waves", release.version));
    fleet.operator.publish(&release.package)?;
    let waves = ["--wave", "25%", "--wave", "50%", "--wave", "100%"];
    let options = [&waves[..], &WAITS].concat();
    let rollout = fleet.operator.roll_out("a good release", release.version, &options)?;
    let done = watch(fleet, show, &rollout, |view| match view.state {
        RolloutState::Halted => bail!("the good release was halted: {}", view.why),
        _ => Ok(view.tally.confirmed == fleet.size()),
    })?;
    show.deltas(&done, &fleet.operator.deltas(release.version)?);
    let TallyView { fetched, full, .. } = done.tally;
    ensure!(!releases.alike || fetched * 2 < full, "deltas saved too little: {:?}", done.tally);
    Ok(())
}

/// Release 3, which does not boot; returns the rollout as it was halted.
fn bad_release(fleet: &Fleet, releases: &Releases, show: &Show) -> Result<RolloutView> {
    let release = &releases.bad;
    show.title(&format!("release {}: does not boot", release.version));
    fleet.operator.publish(&release.package)?;
    let options = ["--wave", "25%", "--wave", "100%", "--failures-count", "0"];
    let rollout = fleet.operator.roll_out("a bad release", release.version, &options)?;
    let halted = watch(fleet, show, &rollout, |view| {
        ensure!(view.tally.confirmed == 0, "a terminal confirmed a release that does not boot");
        ensure!(view.state != RolloutState::Finished, "the bad release was not halted");
        Ok(view.state == RolloutState::Halted && view.tally.in_flight == 0)
    })?;
    show.say(&format!("halted by {}: {}", halted.who, halted.why));
    fleet.wait_for_version(releases.good.version, show)?;
    told(fleet, show, &halted)?;
    Ok(halted)
}

/// Waits until each terminal that failed has told what happened, and shows one's words.
fn told(fleet: &Fleet, show: &Show, halted: &RolloutView) -> Result<()> {
    let began = now();
    loop {
        let found = fleet.operator.logs(halted.id.as_str(), "The Bootloader is told")?.logs;
        if let Some(log) = found.first().filter(|_| found.len() == halted.tally.failed as usize) {
            show.say(&format!("{} terminals told what happened; {}:", found.len(), log.device));
            log.lines.iter().for_each(|line| println!("           {}: {}", line.phase, line.text));
            return Ok(());
        }
        ensure!(now() - began < TOLD, "only {} terminals told what happened", found.len());
        show.pause(WATCH)?;
    }
}

/// Release 4, while agents and server are killed.
fn stormy_release(fleet: &mut Fleet, releases: &Releases, show: &Show, seed: u64) -> Result<Storm> {
    let release = &releases.stormy;
    show.title(&format!("release {}: in a storm of kills (seed {seed})", release.version));
    fleet.operator.publish(&release.package)?;
    let options = [&["--wave", "50%", "--wave", "100%"], &WAITS[..]].concat();
    let rollout = fleet.operator.roll_out("a release in a storm", release.version, &options)?;
    let mut storm = Storm::new(seed, fleet.terminals.len());
    let limit = limit(fleet);
    let began = now();
    loop {
        storm.strike(fleet)?;
        let view = fleet.operator.rollout(rollout.id.as_str())?;
        show.progress(&view, &fleet.operator.devices()?)?;
        ensure!(view.state != RolloutState::Halted, "the storm halted the release: {}", view.why);
        if view.tally.confirmed == fleet.size() {
            show.done();
            show.deltas(&view, &fleet.operator.deltas(release.version)?);
            return Ok(storm);
        }
        ensure!(now() - began < limit, "the release did not arrive within {} s", limit.as_secs());
        show.pause(WATCH)?;
    }
}

fn limit(fleet: &Fleet) -> Duration {
    ROLLOUT_LEAST + ROLLOUT_EACH * fleet.size()
}

/// Shows a rollout until `ended` says so.
fn watch(
    fleet: &Fleet,
    show: &Show,
    rollout: &RolloutView,
    ended: impl Fn(&RolloutView) -> Result<bool>,
) -> Result<RolloutView> {
    let began = now();
    let limit = limit(fleet);
    loop {
        let view = fleet.operator.rollout(rollout.id.as_str())?;
        show.progress(&view, &fleet.operator.devices()?)?;
        if ended(&view)? {
            show.done();
            return Ok(view);
        }
        fleet.check()?;
        ensure!(now() - began < limit, "`{}` did not end within {} s", view.name, limit.as_secs());
        show.pause(WATCH)?;
    }
}

/// Leaves everything running until someone interrupts.
fn keep(fleet: &Fleet, show: &Show) -> Result<()> {
    println!("\nserver and terminals run until you press Ctrl-C; in another terminal:");
    for words in ["devices", "rollout status", "explain terminal-01"] {
        println!("  {}", fleet.operator.how_to(words));
    }
    show.wait_for_interrupt();
    Ok(())
}
