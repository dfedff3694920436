//! Components without banks: staged, then switched or applied.

use super::FakeFlash;
use crate::release::component_name;
use crate::world::{Beside, Holds, Shared, World, effect};
use agent::edges::{Direct, Flash, Geometry, Live};
use std::io;
use trust::Proven;
use types::{Effect, Name};

/// One component beside the banks, as the agent sees it.
pub struct BesideEdge {
    world: Shared,
    name: Name,
    staging: FakeFlash,
}

impl BesideEdge {
    /// The component `name` of `world`.
    pub fn new(world: Shared, name: Name) -> Self {
        let staging = FakeFlash::beside(std::rc::Rc::clone(&world), name.clone());
        Self { world, name, staging }
    }

    fn change(&self, torn: bool, change: impl FnOnce(&mut Beside)) -> io::Result<()> {
        let tear = |world: &mut World| {
            if let Some(beside) = world.beside.get_mut(&self.name).filter(|_| torn) {
                beside.current = None;
            }
        };
        effect(&self.world, tear, |world| {
            let beside = world.beside.get_mut(&self.name);
            beside.map(change).ok_or_else(|| io::ErrorKind::NotFound.into())
        })
    }
}

impl Flash for BesideEdge {
    fn geometry(&self) -> io::Result<Geometry> {
        self.staging.geometry()
    }
    fn prepare(&mut self) -> io::Result<()> {
        self.staging.prepare()
    }
    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        self.staging.write(chunk)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.staging.flush()
    }
    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.staging.read_back(at, into)
    }
}

impl Live for BesideEdge {
    fn switch(&mut self) -> io::Result<()> {
        self.change(false, |beside| {
            if beside.previous.is_none() {
                beside.previous = Some(beside.current.take());
            }
            beside.current = Some(beside.staging.written().to_vec());
        })
    }

    fn switch_back(&mut self) -> io::Result<()> {
        self.change(false, |beside| {
            if let Some(previous) = beside.previous.take() {
                beside.current = previous;
            }
        })
    }

    fn keep(&mut self) -> io::Result<()> {
        self.change(false, |beside| beside.previous = None)
    }
}

impl Direct for BesideEdge {
    fn apply(&mut self) -> io::Result<()> {
        self.change(true, |beside| beside.current = Some(beside.staging.written().to_vec()))
    }
}

/// Whether the world's component with this effect runs its new image.
pub fn runs_new(world: &World, of: Effect) -> Option<bool> {
    let name = component_name(of);
    let new = world.release.images.get(&name)?;
    if of == Effect::Direct && world.scenario.layout.has_copies() {
        return Some(world.copy_holds(world.copies.running) == Some(Holds::New));
    }
    Some(world.beside.get(&name)?.current.as_ref() == Some(new))
}
