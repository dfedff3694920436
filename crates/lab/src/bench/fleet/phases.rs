//! The measurements, one after the other, as the life of a fleet has them.

use super::goals::{Figures, Goal};
use super::line::{Line, Sessions, Target};
use super::load::{Rate, Talk, connect, keep};
use super::talk::{Newcomers, Regulars, Reporters, Virtual, field, write_factory_file};
use super::{World, float, parts, peers, resident};
use crate::clock::{now, until};
use anyhow::{Result, ensure};
use std::time::Duration;

/// Lines on which nothing is written: some for each processor.
const LINES: u32 = 64;
/// Lines on which each request waits for the disk: as many as one transaction holds,
/// twice.
const WRITING: u32 = 512;
/// Terminals that ask again and again.
const REGULARS: u32 = 4096;
/// The most terminals that are heard for the first time in a second.
const QUICKEST: u32 = 20_000;
/// Measurements of each server in turn.
const TURNS: u32 = 2;
/// How long the first offer may take before the bench gives up.
const OFFER: Duration = Duration::from_secs(30);

/// Imports all terminals.
pub(super) fn register(world: &mut World, figures: &mut Figures) -> Result<()> {
    println!("registering {} terminals", world.devices);
    let file = world.folder.join("factory.jsonl");
    write_factory_file(&file, world.devices)?;
    let began = now();
    let added = world.operator.import(&file)?;
    let took = (now() - began).as_secs_f64();
    std::fs::remove_file(&file)?;
    ensure!(added == world.devices, "only {added} terminals were taken in");
    figures.add("import", f64::from(added) / took, "terminals/s", Goal::Open);
    Ok(())
}

/// Kills the server and starts it again, with all terminals.
pub(super) fn start_again(world: &mut World, figures: &mut Figures) -> Result<()> {
    println!("starting with {} terminals", world.devices);
    let began = now();
    world.operator.kill_and_restart()?;
    figures.add("start", (now() - began).as_secs_f64(), "s", Goal::Most(10.0));
    let grown = resident(world.operator.id())?.saturating_sub(world.empty);
    let each = float(grown / 16) * 16.0 / f64::from(world.devices);
    figures.add("memory", each, "bytes/terminal", Goal::Most(512.0));
    Ok(())
}

/// Terminals are heard for the first time.
pub(super) fn news(world: &mut World, figures: &mut Figures) -> Result<()> {
    println!("heartbeats with news, {WRITING} at once");
    let rate = newcomers(world)?.0;
    figures.add("heartbeats with news", rate.per_second(), "/s", Goal::Least(3000.0));
    Ok(())
}

/// Lets a part of those speak that were not heard yet; who was offered what.
fn newcomers(world: &mut World) -> Result<(Rate, Vec<(Virtual, String)>)> {
    let seconds = u32::try_from(world.seconds.as_secs()).unwrap_or(u32::MAX);
    // A third for the measurement without, a third for the one with a rollout.
    let some = world.next((QUICKEST * seconds).min(world.devices / 3));
    let shares = parts(some, WRITING);
    let mut talks: Vec<Newcomers> = shares.into_iter().map(Newcomers::new).collect();
    let rate = keep(&world.target(Sessions::Fresh)?, &mut talks, world.seconds)?;
    Ok((rate, talks.into_iter().flat_map(|talk| talk.offered).collect()))
}

/// Makes a rollout for all, waits for the first offer, and lets terminals take theirs.
pub(super) fn roll_out(world: &mut World, figures: &mut Figures) -> Result<Vec<(Virtual, String)>> {
    println!("a rollout to all terminals");
    let all = world.devices.to_string();
    let options = ["--wave", "100%", "--in-flight", &all, "--failures-percent", "5"];
    let began = now();
    world.operator.roll_out("to all", "2.0", &options)?;
    let made = now();
    figures.add("rollout", (made - began).as_secs_f64(), "s", Goal::Most(2.0));
    let one = world.next(1).start;
    let request = Virtual(one).heartbeat(None);
    let mut line = Line::connect(&world.target(Sessions::Fresh)?)?;
    let first = until(OFFER, "the first offer", || {
        let heard = line.ask(&request)?;
        Ok(field(&heard.body, "attempt").map(str::to_owned))
    })?;
    figures.add("first offer", (now() - made).as_secs_f64(), "s", Goal::Most(1.0));
    let (rate, mut attempts) = newcomers(world)?;
    ensure!(!attempts.is_empty(), "nobody was offered anything");
    figures.add("heartbeats with news and an offer", rate.per_second(), "/s", Goal::Open);
    attempts.push((Virtual(one), first));
    Ok(attempts)
}

/// Terminals report, and each report that was acknowledged is on the disk once.
pub(super) fn reports(
    world: &World,
    attempts: &[(Virtual, String)],
    figures: &mut Figures,
) -> Result<()> {
    println!("{} reports, {WRITING} at once", attempts.len());
    let share = attempts.len().div_ceil(usize::try_from(WRITING)?).max(1);
    let mut talks: Vec<Reporters> =
        attempts.chunks(share).map(|some| Reporters::new(some.to_vec())).collect();
    let batches = world.counter("refit_batches_total")?;
    let rate = keep(&world.target(Sessions::Fresh)?, &mut talks, world.seconds)?;
    let batches = world.counter("refit_batches_total")?.saturating_sub(batches);
    let acknowledged: u64 = talks.iter().map(|talk| talk.acknowledged).sum();
    let kept: u64 = world.postgres.ask("SELECT COUNT(*) FROM reports")?.parse()?;
    ensure!(kept == acknowledged, "{acknowledged} reports were acknowledged, {kept} are kept");
    figures.add("reports", rate.per_second(), "/s", Goal::Least(5000.0));
    figures.add("reports in a transaction", float(kept) / float(batches.max(1)), "", Goal::Open);
    Ok(())
}

/// The same terminals ask again and again, in turns with the other servers.
pub(super) fn without_news(world: &World, figures: &mut Figures) -> Result<()> {
    println!("heartbeats without news on kept connections, beside nginx and gooseBit");
    let target = world.target(Sessions::Fresh)?;
    let mut talks = regulars(world, &target)?;
    let nginx = peers::nginx(&world.folder.join("nginx"), &world.authority, &ca(world)?)?;
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let before = statements(world)?;
    for _ in 0..TURNS {
        let length = world.seconds / TURNS;
        let other = keep(&nginx.target, &mut nginx.talks(usize::try_from(LINES)?), length)?;
        let own = keep(&target, &mut talks, length)?;
        ratios.push(own.per_second() / other.per_second().max(1.0));
        ours.push(own.per_second());
        theirs.push(other.per_second());
    }
    let asked = statements(world)?.saturating_sub(before);
    let news: u64 = talks.iter().map(|talk| talk.news).sum();
    ensure!(news == 0, "{news} heartbeats had news after all");
    figures.add("heartbeats without news", mean(&ours), "/s", Goal::Least(15_000.0));
    figures.add("statements for them", float(asked), "", Goal::Most(0.0));
    figures.add("nginx, a static 304", mean(&theirs), "/s", Goal::Open);
    figures.add("of nginx", mean(&ratios), "×", Goal::Least(0.25));
    drop(nginx);
    let goose = peers::goosebit(&world.peers, &world.authority, &ca(world)?)?;
    let slow = keep(&goose.target, &mut goose.talks(16), world.seconds / 2)?;
    drop(goose);
    let own = keep(&target, &mut talks, world.seconds / 2)?;
    figures.add("gooseBit, a poll without news", slow.per_second(), "/s", Goal::Open);
    let ratio = own.per_second() / slow.per_second().max(f64::EPSILON);
    figures.add("of gooseBit", ratio, "×", Goal::Least(20.0));
    Ok(())
}

/// Each heartbeat on a connection of its own.
pub(super) fn connections(world: &World, figures: &mut Figures) -> Result<()> {
    println!("heartbeats without news, each on a new connection of TLS 1.3");
    let names = [
        (Sessions::Fresh, "new connections", Goal::Least(1500.0)),
        (Sessions::Resumed, "resumed connections", Goal::Open),
    ];
    for (sessions, name, goal) in names {
        let target = world.target(sessions)?;
        let mut talks = regulars(world, &target)?;
        let rate = connect(&target, sessions, &mut talks, world.seconds)?;
        figures.add(name, rate.per_second(), "/s", goal);
    }
    Ok(())
}

/// Terminals that hold the last answer.
fn regulars(world: &World, target: &Target) -> Result<Vec<Regulars>> {
    let shares = parts(0..REGULARS.min(world.heard), LINES);
    let mut talks: Vec<Regulars> = shares.into_iter().map(Regulars::new).collect();
    // Twice: a terminal that is heard for the first time may be told more the next time.
    for _ in 0..2 {
        once(target, &mut talks)?;
    }
    talks.iter_mut().for_each(|talk| talk.news = 0);
    Ok(talks)
}

/// Every terminal of `talks` once.
fn once(target: &Target, talks: &mut [Regulars]) -> Result<()> {
    let mut body = Vec::new();
    for talk in talks {
        let mut line = Line::connect(target)?;
        for _ in 0..talk.count() {
            let mut request = Vec::new();
            talk.ask(&mut request);
            line.send(&request)?;
            let status = line.receive(&mut body)?;
            talk.hear(status, &body)?;
        }
    }
    Ok(())
}

fn statements(world: &World) -> Result<u64> {
    world.counter("refit_statements_total{by=\"requests\"}")
}

fn ca(world: &World) -> Result<std::path::PathBuf> {
    let path = world.folder.join("peers-ca.pem");
    std::fs::write(&path, world.authority.ca_pem())?;
    Ok(path)
}

fn mean(all: &[f64]) -> f64 {
    all.iter().sum::<f64>() / float(u64::try_from(all.len()).unwrap_or(1).max(1))
}
