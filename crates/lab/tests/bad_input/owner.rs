//! What the owner of a terminal may decide while its agent runs.

use crate::archive::{Entries, PAYLOAD};
use crate::operator::{Operator, careful};
use crate::world::{
    Held, SOON, World, check_still_updates, said_last, status, wait_for_status, wait_for_version,
};
use lab::boot::BootLoop;
use lab::clock::{now, until};
use lab::maker::Details;
use lab::terminal::{Settings, Terminal};
use serde_json::Value;
use std::fs;
use types::Outcome;

/// Bytes per second at which there is time to interfere with 1 MiB.
const SLOW: u32 = 256 << 10;

/// What an owner says, and with which status the command ends.
fn say(terminal: &Terminal, words: &[&str], status: i32) {
    let output = terminal.agent(words).unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{words:?}: {told}");
    assert!(!output.stdout.is_empty(), "{words:?}");
}

/// A terminal that downloads 2.0.0 slowly, as its server wants.
struct Downloading {
    world: World,
    operator: Operator,
    before: Held,
    power: BootLoop,
}

impl Downloading {
    fn new() -> Self {
        let world = World::new();
        let operator = Operator::start(&world);
        let terminal = operator.terminal(&world, &Settings { bandwidth: SLOW, ..careful() });
        let before = Held::by(&terminal);
        operator.offer(&world, &world.package("2.0.0", 2), 1);
        let power = BootLoop::start(terminal);
        wait_for_status(power.terminal(), "some chunks", is_under_way);
        Self { world, operator, before, power }
    }
}

fn is_under_way(status: &Value) -> bool {
    status["phase"] == "downloading" && done(status) > 0
}

fn done(status: &Value) -> u64 {
    status["done"].as_u64().unwrap_or(0)
}

#[test]
fn pause_and_resume() {
    let Downloading { world: _world, operator, power, .. } = Downloading::new();
    let terminal = power.terminal();
    say(terminal, &["pause"], 0);
    let paused = wait_for_status(terminal, "the pause", |status| {
        status["waiting"].as_str().is_some_and(|why| why.contains("paused"))
    });
    assert!(is_under_way(&paused), "{paused}");
    operator.wait_for_heartbeats();
    operator.wait_for_heartbeats();
    assert_eq!(done(&status(terminal)), done(&paused));
    say(terminal, &["resume"], 0);
    wait_for_version(terminal, "2.0.0");
    assert_eq!(operator.wait_for_report(1).outcome, Outcome::Ok);
}

/// A pause outlives the agent.
#[test]
fn a_pause_stays_after_a_restart() {
    let Downloading { world: _world, operator, power, .. } = Downloading::new();
    say(power.terminal(), &["pause"], 0);
    let terminal = power.terminal().clone();
    drop(power);
    let before = status(&terminal);
    let power = BootLoop::start(terminal);
    operator.wait_for_heartbeats();
    assert_eq!(done(&status(power.terminal())), done(&before));
    say(power.terminal(), &["resume"], 0);
    wait_for_version(power.terminal(), "2.0.0");
}

#[test]
fn cancel() {
    let Downloading { world, operator, before, power } = Downloading::new();
    let terminal = power.terminal();
    say(terminal, &["cancel"], 0);
    let report = operator.wait_for_report(1);
    assert_eq!(report.outcome, Outcome::Cancelled, "{}", report.detail);
    wait_for_status(terminal, "rest", |status| status["phase"] == "idle");
    before.check_running(terminal);
    say(terminal, &["cancel"], 3);
    operator.offer(&world, &world.package("3.0.0", 3), 2);
    wait_for_version(terminal, "3.0.0");
}

#[test]
fn automatic_check_is_off() {
    let world = World::new();
    let operator = Operator::start(&world);
    let terminal = operator.terminal(&world, &Settings::default());
    operator.offer(&world, &world.package("2.0.0", 2), 1);
    say(&terminal, &["automatic", "check", "off"], 0);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    wait_for_status(terminal, "the agent", |status| status["agent_runs"] == true);
    assert_eq!(operator.heartbeats(), 0);
    say(terminal, &["check"], 0);
    until(SOON, "a question", || Ok((operator.heartbeats() > 0).then_some(()))).unwrap();
    wait_for_version(terminal, "2.0.0");
}

#[test]
fn automatic_install_is_off() {
    let world = World::new();
    let operator = Operator::start(&world);
    let terminal = operator.terminal(&world, &Settings::default());
    let before = Held::by(&terminal);
    operator.offer(&world, &world.package("2.0.0", 2), 1);
    say(&terminal, &["automatic", "install", "off"], 0);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    wait_for_status(terminal, "the question", |status| {
        status["waiting"].as_str().is_some_and(|why| why.contains("owner has to agree"))
    });
    operator.wait_for_heartbeats();
    before.check(terminal, Outcome::Declined, "without consent");
    say(terminal, &["resume"], 0);
    wait_for_version(terminal, "2.0.0");
}

/// Who types `install` has agreed.
#[test]
fn an_install_by_hand_is_consent() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    say(&terminal, &["automatic", "install", "off"], 0);
    check_still_updates(&terminal, &world.package("2.0.0", 2), "2.0.0");
}

/// The same, by the agent that runs.
#[test]
fn an_install_by_hand_is_consent_for_a_running_agent() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    say(&terminal, &["automatic", "install", "off"], 0);
    let package = world.package("2.0.0", 2);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    wait_for_status(terminal, "the agent", |status| status["agent_runs"] == true);
    let output = terminal.agent(&["install", package.to_str().unwrap(), "--json"]).unwrap();
    // The restart of the terminal may come between two looks.
    assert!(matches!(output.status.code(), Some(0 | 100)), "{output:?}");
    wait_for_version(terminal, "2.0.0");
}

/// A terminal that knows no server: updates come on a card, and what became of them
/// is kept.
#[test]
fn a_terminal_without_a_server() {
    let world = World::new();
    let terminal = world.terminal("terminal");
    let before = Held::by(&terminal);
    check_still_updates(&terminal, &world.package("2.0.0", 2), "2.0.0");
    before.check_running(&terminal);
    let outbox = fs::read(terminal.state().join("documents/outbox")).unwrap();
    let outbox: Value = serde_json::from_slice(&outbox).unwrap();
    let report = &outbox["entries"][0]["report"];
    assert_eq!(report["outcome"], 0, "{outbox}");
    assert_eq!(report["version"], "2.0.0", "{outbox}");
    check_still_updates(&terminal, &world.package("3.0.0", 3), "3.0.0");
    let told = status(&terminal);
    assert_eq!((&told["slot"], &told["last"]["version"]), (&"A".into(), &"3.0.0".into()));
}

/// Bytes per second, from the first byte of the payload to its last, within a quarter.
#[test]
fn the_bandwidth_limit_holds() {
    const RATE: u32 = 512 << 10;
    const IMAGE: u64 = 4 << 20;
    let world = World::new();
    let operator = Operator::start(&world);
    let settings = Settings { bandwidth: RATE, ..careful() };
    let terminal = operator.terminal_of_size(&world, &settings, IMAGE);
    let package = world.package_by(&world.maker, "2.0.0", 2, IMAGE, &Details::default());
    let bytes = Entries::of(&package).get(PAYLOAD).len();
    operator.offer(&world, &package, 1);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    let reached = |there: fn(&Value) -> bool| {
        until(SOON, "a phase", || Ok(there(&said_last(terminal)).then(now))).unwrap()
    };
    let began = reached(|status| status["phase"] == "downloading");
    let ended = reached(|status| status["phase"] != "downloading");
    let seconds = (ended - began).as_secs_f64();
    let rate = bytes as f64 / seconds / f64::from(RATE);
    assert!((0.75..=1.25).contains(&rate), "{rate} of the limit: {bytes} bytes in {seconds} s");
}
