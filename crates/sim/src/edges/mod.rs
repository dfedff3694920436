//! The fakes at the agent's edges. Each passes the conformance suite of its edge.

mod beside;
mod boot;
mod copies;
mod feed;
mod flash;
mod maker;
mod server;
mod stage;
mod storage;
mod system;

pub use beside::{BesideEdge, runs_new};
pub use boot::FakeBoot;
pub use copies::FakeCopies;
pub use feed::FakeFeeds;
pub use flash::FakeFlash;
pub use maker::{FakeConfiguration, FakeHooks};
pub use server::FakeServer;
pub use stage::FakeStage;
pub use storage::{FakeFloors, FakeJournal, FakeStore};
pub use system::{FakeClock, FakeHealth, FakePower, FakeSenses};

use crate::release::component_name;
use crate::world::Shared;
use agent::edges::Stage;
use agent::{Bank, Edges};
use std::collections::BTreeMap;
use std::rc::Rc;
use types::{Effect, Name, Slot};

/// All edges of a device in `world`.
pub fn all(world: &Shared) -> Edges {
    Edges {
        banks: banks(world),
        boot: Box::new(FakeBoot(Rc::clone(world))),
        journal: Box::new(FakeJournal(Rc::clone(world))),
        floors: Box::new(FakeFloors(Rc::clone(world))),
        store: Box::new(FakeStore(Rc::clone(world))),
        sources: vec![Box::new(FakeServer::new(Rc::clone(world)))],
        feeds: Box::new(FakeFeeds(Rc::clone(world))),
        power: Box::new(FakePower(Rc::clone(world))),
        clock: Box::new(FakeClock(Rc::clone(world))),
        health: Box::new(FakeHealth(Rc::clone(world))),
        senses: Box::new(FakeSenses(Rc::clone(world))),
        hooks: Box::new(FakeHooks),
        configuration: Box::new(FakeConfiguration(Rc::clone(world))),
        stage: world
            .borrow()
            .scenario
            .layout
            .has_stage()
            .then(|| Box::new(FakeStage(Rc::clone(world))) as Box<dyn Stage>),
        own: None,
    }
}

fn banks(world: &Shared) -> BTreeMap<Name, Bank> {
    let layout = world.borrow().scenario.layout;
    let bank = |effect: &Effect| {
        let name = component_name(*effect);
        let slot = |slot| Box::new(FakeFlash::slot(Rc::clone(world), slot));
        let beside = BesideEdge::new(Rc::clone(world), name.clone());
        let bank = match effect {
            Effect::Slot if layout.has_recovery() => Bank::System(slot(Slot::A)),
            Effect::Slot => Bank::Slots(slot(Slot::A), slot(Slot::B)),
            Effect::Live => Bank::Live(Box::new(beside)),
            Effect::Direct if layout.has_copies() => {
                Bank::Copies(Box::new(FakeCopies::new(Rc::clone(world))))
            }
            Effect::Direct => Bank::Direct(Box::new(beside)),
        };
        (name, bank)
    };
    layout.effects().iter().map(bank).collect()
}
