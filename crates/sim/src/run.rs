//! One run: from the order to the end of the update, through every crash.

use crate::edges;
use crate::oracle::{self, Broken};
use crate::release::Release;
use crate::scenario::{self, Image, Loader, Scenario};
use crate::weather;
use crate::world::{Crash, Holds, Injection, Shared, World};
use agent::edges::SlotFacts;
use agent::{Device, DeviceError, Identity, Layout, Options, ReadBack, Staging, Turn};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use types::{Name, Seconds, Slot};

/// The most starts of the agent in one run.
const STARTS_MAX: u32 = 60;

/// The most steps of the agent's loop in one start.
const STEPS_MAX: u32 = 2_000;

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// Points that could have been ended at.
    pub points: u32,
    /// Payload bytes served.
    pub served: u64,
    /// The rule that did not hold, if any.
    pub broken: Option<Broken>,
}

/// Runs `scenario` with these crashes.
pub fn run(scenario: Scenario, release: &Rc<Release>, seed: u64, injections: &[Injection]) -> Ran {
    let world = World::new(scenario, Rc::clone(release), seed, injections);
    let world = Rc::new(RefCell::new(world));
    let broken = live(&world);
    let (points, served) = (world.borrow().points, world.borrow().served);
    Ran { points, served, broken }
}

/// Powers the device on and off until its update has ended.
fn live(world: &Shared) -> Option<Broken> {
    if let Some(broken) = power_on(world) {
        return Some(broken);
    }
    for _ in 0..STARTS_MAX {
        match start_agent(world) {
            Ok(ended) => return ended.err().or_else(|| oracle::at_the_end(&world.borrow())),
            Err(Crash::Kill) => world.borrow_mut().kills += 1,
            Err(crash) => {
                if let Some(broken) = power_cycle(world, crash) {
                    return Some(broken);
                }
            }
        }
        if let Some(broken) = oracle::after_crash(&world.borrow()) {
            return Some(broken);
        }
    }
    Some(Broken::Endless)
}

fn power_cycle(world: &Shared, crash: Crash) -> Option<Broken> {
    let mut inside = world.borrow_mut();
    inside.cuts += u32::from(crash == Crash::Cut);
    inside.lose_power();
    if let Some(broken) = oracle::after_crash(&inside) {
        return Some(broken);
    }
    drop(inside);
    power_on(world)
}

/// The bootloader: starts slots until one of them starts the agent.
fn power_on(world: &Shared) -> Option<Broken> {
    let mut world = world.borrow_mut();
    let Some(copy) = first_copy(&world) else { return Some(Broken::Bricked) };
    world.copies.running = copy;
    for _ in 0..8 {
        let Some(slot) = choose(&mut world) else { return Some(Broken::Bricked) };
        world.boots += 1;
        world.boot.running = slot;
        if world.holds(slot).is_none() {
            // It was armed or good, and holds no release.
            return Some(Broken::Bricked);
        }
        if oracle::boots(&world, slot) {
            return oracle::after_boot(&world, slot);
        }
        if world.scenario.image == Image::Hanging {
            world.clock += 60_000;
        }
    }
    Some(Broken::Endless)
}

/// The copy of the bootloader that the hardware comes to: the chosen one, or else the
/// other.
fn first_copy(world: &World) -> Option<Slot> {
    if !world.scenario.layout.has_copies() {
        return Some(world.copies.chosen);
    }
    let dead = world.scenario.layout == scenario::Layout::SlotDeadCopy;
    let starts = |copy: &Slot| match world.copy_holds(*copy) {
        Some(Holds::New) => !dead,
        held => held.is_some(),
    };
    let chosen = world.copies.chosen;
    [chosen, chosen.other()].into_iter().find(starts)
}

/// What the bootloader starts: a slot on trial while it has tries, else a good one.
fn choose(world: &mut World) -> Option<Slot> {
    let trial = |slot: &Slot| matches!(world.facts(*slot), SlotFacts::Trial { left: 1.. });
    if let Some(slot) = Slot::BOTH.into_iter().find(trial) {
        let SlotFacts::Trial { left } = world.facts(slot) else { return None };
        let left = if world.loader() == Loader::Single { 0 } else { left - 1 };
        world.boot.slots.insert(slot, SlotFacts::Trial { left });
        return Some(slot);
    }
    let running = world.boot.first.take().unwrap_or(world.boot.running);
    let good = |slot: &Slot| world.facts(*slot) == SlotFacts::Good;
    [running, running.other()].into_iter().find(good)
}

/// Runs the agent until the update ended, or it is ended.
fn start_agent(world: &Shared) -> Result<Result<(), Broken>, Crash> {
    let run = AssertUnwindSafe(|| run_agent(world));
    catch_unwind(run).map_err(|payload| match payload.downcast::<Crash>() {
        Ok(crash) => *crash,
        Err(payload) => resume_unwind(payload),
    })
}

fn run_agent(world: &Shared) -> Result<(), Broken> {
    let stopped = |error: DeviceError| Broken::Stopped(error.to_string());
    let mut device = start(world).map_err(stopped)?;
    let mut quiet = 0;
    for _ in 0..STEPS_MAX {
        match device.step() {
            Ok(Turn::Moved) => quiet = 0,
            Ok(Turn::Idle) if !world.borrow().counted.is_empty() => quiet += 1,
            Ok(Turn::Idle | Turn::Waiting(_)) => {}
            // A full store: the state stands, and the loop goes on later.
            Err(DeviceError::Document(..)) => {}
            Err(error) => return Err(stopped(error)),
        }
        // A few heartbeats more: the server may not have noticed, and orders again.
        if quiet > 4 {
            return Ok(());
        }
        device.rest();
    }
    Err(Broken::Endless)
}

fn start(world: &Shared) -> Result<Device, DeviceError> {
    let name = |text: &str| text.parse().unwrap_or_else(|_| Name::unknown());
    let identity = Identity {
        device: name("device-1"),
        product: name("router"),
        hardware: vec![name("r1")],
        variant: None,
        region: None,
        memory_class_mib: 4,
    };
    let options = Options {
        read_back: ReadBack::Full,
        checkpoint: 1,
        poll: Seconds(300),
        layout: match world.borrow().scenario.layout.has_recovery() {
            true => Layout::Recovery,
            false => Layout::Banks,
        },
        staging: Staging::Auto,
        rules: weather::rules(),
        protected: BTreeSet::new(),
    };
    Device::start(edges::all(world), identity, options)
}
