//! A terminal that lay in a warehouse for years comes to a real server: it has no clock,
//! the root that the factory gave it has expired, and its maker has other keys since.

use crate::clock::lose_the_time;
use crate::storage::own_mounts;
use crate::world::{SIZE, SOON, World, wait_for_status, wait_for_version};
use lab::boot::BootLoop;
use lab::clock::until;
use lab::maker::{Details, Maker};
use lab::operator::Operator;
use lab::terminal::{Server, Settings, Terminal};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use types::Sealed;

/// Before this agent was made, so also before whatever a terminal takes for now.
const LONG_AGO: &str = "2025-12-31";
const FAR: &str = "2100-01-01";

/// The version of the root that the terminal believes.
fn believes(terminal: &Terminal) -> u64 {
    let bytes = fs::read(terminal.state().join("documents/root.json")).unwrap();
    trust::Root::open(&Sealed::from(bytes.as_slice())).unwrap().version()
}

fn pack(world: &World, maker: &Maker, version: &str) -> PathBuf {
    world.package_by(maker, version, 2, SIZE, &Details::default())
}

/// A server that knows `root`, and a new terminal of it with the factory's.
fn terminal_of(world: &World, factory: &Path, root: &Path) -> (Operator, Terminal) {
    let operator = Operator::start(&world.programs, &world.file("server"), root).unwrap();
    let token = operator.tokens(1).unwrap().remove(0);
    let ca = operator.ca();
    let server = Server { url: operator.address(), ca: &ca, token: &token };
    let terminal =
        world.terminal_with("terminal", factory, Some(server), &Settings::default(), SIZE);
    (operator, terminal)
}

/// The terminal, without a clock, until it runs the release: it says when the first one
/// was refused. What it is seen by has no clock either.
fn lives(world: &World, terminal: Terminal, refused: &Sender<()>) {
    own_mounts();
    lose_the_time(world);
    let power = BootLoop::start(terminal);
    let terminal = power.terminal();
    let stranger = |status: &serde_json::Value| status["last"]["outcome"] == 104;
    wait_for_status(terminal, "the refusal of a key that it does not know", stranger);
    assert_eq!(believes(terminal), 1);
    refused.send(()).unwrap();
    wait_for_version(terminal, "2.1.0");
    assert_eq!(believes(terminal), 3);
}

#[test]
fn a_terminal_from_the_warehouse_follows_the_roots_that_a_server_hands_it() {
    let world = World::new();
    let first = Maker::until(&world.programs, &world.file("first"), LONG_AGO).unwrap();
    let second = first.with_other_keys(&world.file("second"), LONG_AGO).unwrap();
    let third = second.with_other_keys(&world.file("third"), FAR).unwrap();
    let (operator, terminal) = terminal_of(&world, &first.root(), &third.root());
    for (maker, version) in [(&third.without_roots(), "2.0.0"), (&third, "2.1.0")] {
        operator.publish(&pack(&world, maker, version)).unwrap();
    }
    operator.roll_out("without-roots", "2.0.0", &[]).unwrap();
    std::thread::scope(|scope| {
        let (say, refused) = channel();
        let (world, terminal) = (&world, terminal.clone());
        let life = scope.spawn(move || lives(world, terminal, &say));
        if refused.recv().is_ok() {
            operator.roll_out("with-roots", "2.1.0", &[]).unwrap();
        }
        life.join().unwrap();
    });
    until(SOON, "the server's knowledge of it", || {
        let runs = operator.device("terminal")?.view.running;
        Ok(runs.values().any(|part| part.version.as_str() == "2.1.0").then_some(()))
    })
    .unwrap();
}
