//! Terminals that all come back at the same moment, as after a power failure of a city.

use super::world::World;
use crate::bench::fleet::line::{Line, Sessions, Target};
use crate::bench::fleet::talk::{Virtual, write_factory_file};
use crate::chance::Chance;
use crate::clock::now;
use crate::operator::Operator;
use anyhow::{Result, anyhow, bail, ensure};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::time::{Duration, Instant};

const USUAL: u32 = 1000;
const LONG: u32 = 20_000;
/// Threads that play terminals.
const THREADS: u32 = 16;
/// The most terminals that update at once.
const IN_FLIGHT: u32 = 50;
/// How long a terminal waits before it tries again.
const PAUSE: Duration = Duration::from_millis(500);
/// How long it may take until all of them were answered.
const LIMIT: Duration = Duration::from_secs(300);

/// All connect, then all speak; who is not answered tries again until it is.
pub(super) fn run(_chance: &mut Chance, long: bool) -> Result<String> {
    let count = if long { LONG } else { USUAL };
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum;
    setrlimit(Resource::Nofile, files)?;
    let world = World::new()?;
    let operator = Operator::start(&world.programs, &world.path("server"), &world.root())?;
    let (package, _) = world.release("2.0", 2)?;
    operator.publish(&package)?;
    let file = world.path("factory.jsonl");
    write_factory_file(&file, count)?;
    ensure!(operator.import(&file)? == count, "not all were imported");
    let (flight, wave) = (IN_FLIGHT.to_string(), count.to_string());
    let options = ["--wave", &wave, "--in-flight", &flight, "--failures-count", "0"];
    let rollout = operator.roll_out("storm", "2.0", &options)?;
    let address = operator.address().trim_start_matches("https://").parse()?;
    let target = Target::new(address, &operator.ca(), Sessions::Fresh)?;
    let began = now();
    let tries = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let mine = (thread..count).step_by(usize::try_from(THREADS).unwrap_or(1));
                let target = &target;
                scope.spawn(move || come_back(target, mine.map(Virtual).collect(), began + LIMIT))
            })
            .collect();
        let ended: Vec<_> = threads.into_iter().map(|thread| thread.join()).collect();
        let all = ended.into_iter().map(|end| end.unwrap_or_else(|_| bail!("a thread panicked")));
        all.sum::<Result<u64>>()
    })?;
    let took = (now() - began).as_secs();
    let tally = operator.rollout(rollout.id.as_str())?.tally;
    let expected = (IN_FLIGHT.min(count), IN_FLIGHT.min(count));
    ensure!((tally.exposed, tally.in_flight) == expected, "the tally is {tally:?}");
    Ok(format!(
        "{count} terminals came back at once and were all answered within {took} s, in {tries} \
         tries; {} were offered the release, as many as may update at once",
        tally.exposed
    ))
}

/// Returns how many tries it took until everyone of `all` was answered.
fn come_back(target: &Target, all: Vec<Virtual>, end: Instant) -> Result<u64> {
    let mut waiting: Vec<(Virtual, Option<Line>)> =
        all.into_iter().map(|one| (one, Line::connect(target).ok())).collect();
    let mut tries = 0;
    while !waiting.is_empty() {
        let mut left = Vec::new();
        for (one, line) in waiting {
            tries += 1;
            ensure!(now() < end, "terminals wait for {} s", LIMIT.as_secs());
            let line = line.map_or_else(|| Line::connect(target), Ok);
            match line.and_then(|mut line| line.ask(&one.heartbeat(None))) {
                Ok(heard) if heard.status == 200 => {}
                Ok(heard) if heard.status == 503 => left.push((one, None)),
                Ok(heard) => return Err(anyhow!("a terminal was told {}", heard.status)),
                Err(_) => left.push((one, None)),
            }
        }
        waiting = left;
        if !waiting.is_empty() {
            std::thread::sleep(PAUSE);
        }
    }
    Ok(tries)
}
