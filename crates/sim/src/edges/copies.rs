//! A bootloader in two copies, and hardware that starts the other one when one does not
//! start.

use super::FakeFlash;
use crate::oracle;
use crate::world::{Shared, effect, nothing};
use agent::edges::{Copies, Flash, Geometry};
use std::io;
use std::rc::Rc;
use trust::Proven;
use types::Slot;

/// The bootloader as the agent sees it.
pub struct FakeCopies {
    world: Shared,
    idle: FakeFlash,
}

impl FakeCopies {
    /// The bootloader of `world`.
    pub fn new(world: Shared) -> Self {
        Self { idle: FakeFlash::idle_copy(Rc::clone(&world)), world }
    }
}

impl Flash for FakeCopies {
    fn geometry(&self) -> io::Result<Geometry> {
        self.idle.geometry()
    }
    fn prepare(&mut self) -> io::Result<()> {
        self.idle.prepare()
    }
    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        self.idle.write(chunk)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.idle.flush()
    }
    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.idle.read_back(at, into)
    }
}

impl Copies for FakeCopies {
    fn running(&self) -> io::Result<Slot> {
        Ok(self.world.borrow().copies.running)
    }

    fn chosen(&self) -> io::Result<Slot> {
        Ok(self.world.borrow().copies.chosen)
    }

    fn choose(&mut self, copy: Slot) -> io::Result<()> {
        if self.chosen()? == copy {
            return Ok(());
        }
        effect(&self.world, nothing, |world| {
            world.broken.extend(oracle::may_choose(world, copy));
            world.copies.chosen = copy;
        });
        Ok(())
    }
}
