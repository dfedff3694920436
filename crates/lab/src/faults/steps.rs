//! A server whose clock is set by hours and days, ahead and back, while rollouts run.
//! What hangs on time that passed goes on as if nothing had happened; what hangs on the
//! time of day follows at once.

use super::book::{Book, Rules};
use super::settable::{Clock, Clocks, HOUR};
use super::terminal::{Servers, Terminal, agent, send};
use super::world::{World, compare, live, roll_out, wait, wait_confirmed};
use crate::chance::Chance;
use crate::clock::until;
use crate::operator::Operator;
use crate::process::said;
use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use ureq::Agent;

const RULES: Rules = Rules { waves: &[30, TERMINALS], in_flight: 60 };
const TERMINALS: usize = 240;
/// By how much the clock is ahead at last, after each step.
const STEPS: [i64; 5] = [3, -5, 48, -24, 0];
/// The first wave of the second rollout; the next would open after an hour.
const FIRST: usize = 5;
/// How long it may take until a server goes by a clock that was set, or offers again.
const NOTICED: Duration = Duration::from_secs(20);

/// Steps in mid-rollout, and then waves and windows that hang on the time.
pub(super) fn run(chance: &mut Chance, long: bool) -> Result<String> {
    let rounds = if long { 6 } else { 1 };
    let (world, clocks) = (World::new()?, Clocks::new()?);
    let clock = clocks.clock("server", 0)?;
    let programs = world.programs.under(clock.environment());
    let operator = Operator::start(&programs, &world.path("server"), &world.root())?;
    let set = Set { clock, log: world.path("server").join("log") };
    let (package, target) = world.release("2.0", 2)?;
    operator.publish(&package)?;
    let mut terminals = world.terminals(&operator, TERMINALS)?;
    let rollout = roll_out(&operator, "2.0", RULES)?;
    let (book, servers, ca) = (Book::new(RULES), Servers::default(), operator.ca());
    servers.set(vec![operator.address().into()]);
    let seed = chance.number();
    let steps: Vec<i64> = STEPS.into_iter().cycle().take(STEPS.len() * rounds).collect();
    live(&mut terminals, &ca, &servers, &target, &book, seed, || {
        for (number, hours) in (1..).zip(&steps) {
            wait(&book, number * TERMINALS / (steps.len() + 1), None)?;
            set.ahead(*hours)?;
        }
        wait(&book, TERMINALS, None)?;
        wait_confirmed(&operator, &rollout, u32::try_from(TERMINALS)?)
    })?;
    let (kept, _) = compare(&operator, &book)?;
    let told = by_the_clock(&world, &operator, &set, &mut terminals)?;
    Ok(format!(
        "the server's clock set {} times, by up to 72 h, in a rollout to {TERMINALS} terminals; \
         {kept} reports acknowledged, 0 lost, 0 counted twice, 0 offered outside their wave; {told}",
        steps.len()
    ))
}

/// The server's clock.
struct Set {
    clock: Clock,
    log: PathBuf,
}

impl Set {
    /// Sets it, and waits until the server goes by it.
    fn ahead(&self, hours: i64) -> Result<()> {
        let before = self.noticed()?;
        self.clock.set_ahead(hours * HOUR)?;
        until(NOTICED, "what the server says of its clock", || {
            Ok((self.noticed()? > before).then_some(()))
        })
    }

    fn noticed(&self) -> Result<usize> {
        let log = std::fs::read_to_string(&self.log).context("the server has no log")?;
        Ok(log.matches("the clock was set by").count())
    }
}

/// A wave that opens an hour later stays closed when the clock skips that hour; where the
/// clock leaves the rollout's hours nobody is offered anything, and all are when it is back.
fn by_the_clock(
    world: &World,
    operator: &Operator,
    set: &Set,
    terminals: &mut [Terminal],
) -> Result<String> {
    operator.publish(&world.release("3.0", 3)?.0)?;
    let agent = agent(&operator.ca())?;
    let token = std::fs::read_to_string(operator.token())?;
    let post = |path: &str, body: &Value| post(&agent, operator, &token, path, body);
    let made = post("rollouts", &order()?)?;
    let id = made.get("id").and_then(Value::as_str).context("no id")?.to_owned();
    post(&format!("rollouts/{id}/start"), &json!({}))?;
    let offered = |terminals: &[Terminal]| offered(&agent, operator, terminals);
    until(NOTICED, "the first offers", || Ok((offered(terminals)? == FIRST).then_some(())))?;
    set.ahead(2)?;
    ensure!(offered(terminals)? == FIRST, "an hour that nobody lived through opened a wave");
    set.ahead(14)?;
    post(&format!("rollouts/{id}/advance"), &json!({}))?;
    let outside = offered(terminals)?;
    ensure!(outside <= FIRST, "{outside} have the offer outside of the rollout's hours");
    set.ahead(2)?;
    until(NOTICED, "the offers in the rollout's hours", || {
        Ok((offered(terminals)? == terminals.len()).then_some(()))
    })?;
    Ok(format!(
        "a wave of an hour later did not open, {} outside of its hours",
        outside.saturating_sub(FIRST)
    ))
}

/// A rollout with a wave that opens after an hour, in hours around the machine's now.
fn order() -> Result<Value> {
    let hour: u32 = said(Command::new("date").args(["-u", "+%H"]))?.trim().parse()?;
    let window = format!("{:02}:00-{:02}:00", (hour + 23) % 24, (hour + 5) % 24);
    Ok(json!({
        "name": "by the clock", "release": "3.0", "in_flight": TERMINALS,
        "waves": [{"count": FIRST}, {"count": TERMINALS, "opens": {"after_seconds": HOUR}}],
        "schedule": {"windows": [window]},
    }))
}

fn post(
    agent: &Agent,
    operator: &Operator,
    token: &str,
    path: &str,
    body: &Value,
) -> Result<Value> {
    let url = format!("{}/api/v1/{path}", operator.address());
    let (status, answer) = send(agent, &url, Some(token), Some(body));
    ensure!(matches!(status, 200 | 201), "{path}: {status} {answer}");
    Ok(answer)
}

/// How many of them have an offer, once the server answers all of them.
fn offered(agent: &Agent, operator: &Operator, terminals: &[Terminal]) -> Result<usize> {
    let mut count = 0;
    for terminal in terminals {
        let has = until(NOTICED, "an answer to a heartbeat", || {
            let (status, answer) = terminal.ask(agent, operator.address());
            let has = answer.pointer("/offer/attempt").is_some_and(Value::is_string);
            Ok(matches!(status, 200 | 204).then_some(has))
        })?;
        count += usize::from(has);
    }
    Ok(count)
}
