//! The fakes keep the rules that the real edges keep.

use agent::edges::conformance;
use sim::edges::{
    BesideEdge, FakeBoot, FakeCopies, FakeFlash, FakeFloors, FakeJournal, FakeStage, FakeStore,
};
use sim::medium::Medium;
use sim::release::{component_name, new_release};
use sim::scenario::{Fault, Image, Layout, Loader, Scenario};
use sim::world::{Shared, World};
use std::cell::RefCell;
use std::rc::Rc;
use types::{Effect, Slot};

fn world(layout: Layout, loader: Loader) -> Shared {
    let scenario = Scenario { image: Image::Good, loader, layout, fault: Fault::None };
    let release = Rc::new(new_release(layout, Image::Good));
    Rc::new(RefCell::new(World::new(scenario, release, 1, &[])))
}

/// A world whose component beside the banks has room and runs nothing yet.
fn bare(layout: Layout, effect: Effect) -> Shared {
    let world = world(layout, Loader::Counted);
    if let Some(beside) = world.borrow_mut().beside.get_mut(&component_name(effect)) {
        beside.staging = Medium::new(128 << 10, b"");
        beside.current = None;
    }
    world
}

#[test]
fn flash() {
    let world = world(Layout::Slot, Loader::Counted);
    conformance::flash(|| Box::new(FakeFlash::slot(Rc::clone(&world), Slot::B)));
}

#[test]
fn the_copy_of_a_bootloader() {
    let world = world(Layout::SlotCopies, Loader::Counted);
    for copy in world.borrow_mut().copies.media.values_mut() {
        *copy = Medium::new(128 << 10, b"");
    }
    conformance::flash(|| Box::new(FakeCopies::new(Rc::clone(&world))));
}

#[test]
fn the_place_for_a_package() {
    let world = world(Layout::Staged, Loader::Counted);
    conformance::place_for_a_package(&mut FakeStage(world));
}

#[test]
fn boot_control() {
    for loader in Loader::BOTH {
        let world = world(Layout::Slot, loader);
        conformance::boot_control(|| Box::new(FakeBoot(Rc::clone(&world))));
    }
}

#[test]
fn journal() {
    let world = world(Layout::Slot, Loader::Counted);
    conformance::journal(|| Box::new(FakeJournal(Rc::clone(&world))));
}

#[test]
fn store_and_floors() {
    let world = world(Layout::Slot, Loader::Counted);
    world.borrow_mut().store.clear();
    world.borrow_mut().floors.clear();
    conformance::store(|| Box::new(FakeStore(Rc::clone(&world))));
    conformance::rollback_store(|| Box::new(FakeFloors(Rc::clone(&world))));
}

#[test]
fn live_and_direct() {
    for (layout, effect) in [(Layout::SlotLive, Effect::Live), (Layout::SlotDirect, Effect::Direct)]
    {
        let world = bare(layout, effect);
        let name = component_name(effect);
        let edge = || Box::new(BesideEdge::new(Rc::clone(&world), component_name(effect)));
        let runs = || Ok(world.borrow().beside.get(&name).and_then(|b| b.current.clone()));
        match effect {
            Effect::Live => conformance::live(|| edge(), runs),
            _ => conformance::direct(|| edge(), runs),
        }
    }
}
