//! Three servers on one PostgreSQL and one bucket, with clocks that are hours and days
//! apart: one is killed, one is cut off from the database, whose own clock is set, and
//! later all must know of a halt.

use super::book::{Book, Rules};
use super::settable::{Clock, Clocks, HOUR};
use super::terminal::{Servers, Software, Terminal, agent};
use super::world::{World, compare, live, roll_out, wait, wait_confirmed};
use crate::bucket::Bucket;
use crate::chance::Chance;
use crate::clock::now;
use crate::operator::Operator;
use crate::postgres::Postgres;
use crate::proxy::Proxy;
use anyhow::{Result, bail, ensure};
use protocols::operator::RolloutState;
use serde_json::Value;
use std::time::Duration;
use types::Digest;

const RULES: Rules = Rules { waves: &[30, 300], in_flight: 60 };
const TERMINALS: usize = 300;
/// The second rollout: nobody ends before it is halted.
const BAD: Rules = Rules { waves: &[20], in_flight: 20 };
/// By how many hours each server's clock is ahead.
const APART: [i64; 3] = [0, 3, -48];
/// By how many the database's is, after some of the terminals.
const STEPS: [(usize, i64); 3] =
    [(TERMINALS / 10, 5), (TERMINALS / 5, -24), (TERMINALS * 3 / 10, 1)];
/// Within so long after a halt no server offers any more.
const KNOWN: Duration = Duration::from_secs(5);

/// Everything that runs.
struct Fleet {
    world: World,
    ways: Vec<Proxy>,
    to_bucket: Proxy,
    bucket: Bucket,
    operators: Vec<Operator>,
    /// The database's.
    clock: Clock,
    // Ended last.
    _postgres: Postgres,
    _clocks: Clocks,
}

impl Fleet {
    /// Three servers, each with a way of its own to the database.
    fn start() -> Result<Self> {
        let (world, clocks) = (World::new()?, Clocks::new()?);
        let clock = clocks.clock("database", 0)?;
        let postgres = Postgres::start_under(clock.environment())?;
        let bucket = Bucket::start(&world.programs)?;
        let to_bucket = Proxy::to(bucket.port())?;
        let (mut ways, mut operators): (Vec<Proxy>, Vec<Operator>) = (Vec::new(), Vec::new());
        for (number, apart) in APART.into_iter().enumerate() {
            let name = format!("server-{number}");
            let own = clocks.clock(&name, apart * HOUR)?;
            let programs = world.programs.under(own.environment());
            let way = Proxy::to(postgres.port())?;
            let mut options = vec!["--database".to_owned(), postgres.url(way.port())];
            options.extend(bucket.options(to_bucket.port()));
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let place = world.path(&name);
            operators.push(match operators.first() {
                None => Operator::start_with(&programs, &place, &world.root(), &options)?,
                Some(first) => first.another_of(&programs, &place, &options)?,
            });
            ways.push(way);
        }
        let (_postgres, _clocks) = (postgres, clocks);
        Ok(Self { world, ways, to_bucket, bucket, operators, clock, _postgres, _clocks })
    }

    fn operator(&self, number: usize) -> Result<&Operator> {
        self.operators.get(number).ok_or_else(|| anyhow::anyhow!("no server {number}"))
    }

    fn way(&self, number: usize) -> Result<&Proxy> {
        self.ways.get(number).ok_or_else(|| anyhow::anyhow!("no way {number}"))
    }
}

/// One dies, one is cut off, nothing is lost; a halt is known to all in time; the
/// store of packages fails and is back.
pub(super) fn run(chance: &mut Chance, _long: bool) -> Result<String> {
    let mut fleet = Fleet::start()?;
    ensure!(fleet.bucket.port() != fleet.to_bucket.port(), "the bucket has no way of its own");
    let (package, target) = fleet.world.release("2.0", 2)?;
    fleet.operator(0)?.publish(&package)?;
    let mut terminals = fleet.world.terminals(fleet.operator(0)?, TERMINALS)?;
    let told = rollout(&mut fleet, &mut terminals, &target, chance)?;
    let unavailable = failing_bucket(&fleet)?;
    let known = halt(&fleet, &mut terminals)?;
    Ok(format!("{told}; {unavailable}; a halt was known to all after {:.1} s", known.as_secs_f32()))
}

/// The database's clock is set three times; server 1 is killed then, and server 2 cut off
/// after a half.
fn rollout(
    fleet: &mut Fleet,
    terminals: &mut [Terminal],
    target: &Software,
    chance: &mut Chance,
) -> Result<String> {
    let rollout = roll_out(fleet.operator(0)?, "2.0", RULES)?;
    let (book, servers, ca) = (Book::new(RULES), Servers::default(), fleet.operator(0)?.ca());
    servers.set(fleet.operators.iter().map(|o| o.address().to_owned()).collect());
    let seed = chance.number();
    live(terminals, &ca, &servers, target, &book, seed, || {
        for (moment, hours) in STEPS {
            wait(&book, moment, None)?;
            fleet.clock.set_ahead(hours * HOUR)?;
        }
        wait(&book, TERMINALS * 2 / 5, None)?;
        if let Some(operator) = fleet.operators.get_mut(1) {
            operator.kill()?;
        }
        wait(&book, TERMINALS / 2, None)?;
        fleet.way(2)?.cut();
        wait(&book, TERMINALS, None)?;
        wait_confirmed(fleet.operator(0)?, &rollout, 300)
    })?;
    let (kept, _) = compare(fleet.operator(0)?, &book)?;
    fleet.way(2)?.mend();
    if let Some(operator) = fleet.operators.get_mut(1) {
        operator.kill_and_restart()?;
    }
    // The others know what they missed.
    for number in [1, 2] {
        wait_confirmed(fleet.operator(number)?, &rollout, 300)?;
    }
    Ok(format!(
        "3 servers with clocks up to 51 h apart, 1 killed, 1 cut off from PostgreSQL, whose \
         clock was set {} times, {TERMINALS} terminals; {kept} reports acknowledged, 0 lost, \
         0 counted twice, 0 offered outside their wave",
        STEPS.len()
    ))
}

/// While the bucket does not answer, nothing is published; afterwards it is.
fn failing_bucket(fleet: &Fleet) -> Result<&'static str> {
    let (package, _) = fleet.world.release("3.0", 3)?;
    fleet.to_bucket.cut();
    let server = fleet.operator(0)?;
    let refused = server.publish(&package);
    ensure!(refused.is_err(), "a package was published that no store has");
    fleet.to_bucket.mend();
    server.publish(&package)?;
    Ok("a bucket that did not answer published nothing, and then did")
}

/// Server 2 is cut off; a failure reported to server 0 halts; nobody is offered the
/// release any more, by no server, after the lease.
fn halt(fleet: &Fleet, terminals: &mut [Terminal]) -> Result<Duration> {
    let rollout = roll_out(fleet.operator(1)?, "3.0", BAD)?;
    let book = Book::new(BAD);
    let agent = agent(&fleet.operator(0)?.ca())?;
    let target = Software { version: "3.0".into(), image: Digest::of(b"never") };
    let servers = Servers::default();
    servers.set(vec![fleet.operator(0)?.address().into()]);
    let mut chance = Chance::new(1);
    let offered = |terminal: &Terminal, server: usize| -> Result<bool> {
        let (status, answer) = terminal.ask(&agent, fleet.operator(server)?.address());
        Ok(status == 200 && answer.pointer("/offer/attempt").is_some_and(Value::is_string))
    };
    let Some((victim, others)) = terminals.split_first_mut() else { bail!("no terminals") };
    let began = now();
    while !victim.is_at_work() {
        ensure!(now() - began < Duration::from_secs(30), "the release is offered to nobody");
        victim.round(&agent, &servers, &target, &book, &mut chance);
    }
    victim.forget();
    for server in 0..3 {
        while !offered(victim, server)? {
            ensure!(now() - began < Duration::from_secs(30), "server {server} offers nothing");
        }
    }
    fleet.way(2)?.cut();
    ensure!(victim.fail(209, &book), "the terminal had no offer");
    ensure!(victim.tell(&agent, fleet.operator(0)?.address(), &book), "no report was taken");
    let halted = now();
    ensure!(!others.is_empty(), "no terminals");
    let mut known = Duration::ZERO;
    for server in [2, 1, 0] {
        while offered(victim, server)? {
            ensure!(now() - halted < KNOWN * 2, "server {server} goes on offering");
        }
        known = known.max(now() - halted);
    }
    ensure!(known <= KNOWN + Duration::from_millis(500), "it took {} s", known.as_secs_f32());
    fleet.way(2)?.mend();
    let view = fleet.operator(1)?.rollout(rollout.id.as_str())?;
    ensure!(view.state == RolloutState::Halted, "it is {:?}", view.state);
    Ok(known)
}
