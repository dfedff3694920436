//! Flash that acknowledges at once, keeps after a flush, and lies where told.

use crate::medium::Medium;
use crate::oracle::{self, Broken};
use crate::scenario::Fault;
use crate::world::{Shared, World, effect};
use agent::edges::{Flash, Geometry, SlotFacts};
use std::io;
use trust::Proven;
use types::{Name, Slot};

/// Which medium of the world.
#[derive(Clone)]
enum Place {
    Slot(Slot),
    Beside(Name),
    /// The bootloader's copy that did not start.
    IdleCopy,
}

/// One medium as the agent sees it.
pub struct FakeFlash {
    world: Shared,
    place: Place,
}

impl FakeFlash {
    /// A bank.
    pub fn slot(world: Shared, slot: Slot) -> Self {
        Self { world, place: Place::Slot(slot) }
    }

    /// The staging area of a component without banks.
    pub fn beside(world: Shared, name: Name) -> Self {
        Self { world, place: Place::Beside(name) }
    }

    /// The bootloader's copy that did not start this boot.
    pub fn idle_copy(world: Shared) -> Self {
        Self { world, place: Place::IdleCopy }
    }

    fn check_rules(&self) {
        let mut world = self.world.borrow_mut();
        let broken = oracle::may_write(&world);
        world.broken.extend(broken);
    }

    fn check_stopped(&self, world: &mut World) {
        if matches!(self.place, Place::IdleCopy) && world.copies.chosen != world.copies.running {
            world.broken.push(Broken::WroteChosenCopy);
        }
        if let Place::Slot(slot) = self.place {
            if slot == world.boot.running {
                world.broken.push(Broken::WroteRunningSlot);
            }
            if world.facts(slot) != SlotFacts::Unbootable {
                world.broken.push(Broken::WroteBootableSlot);
            }
        }
    }
}

fn medium<'a>(world: &'a mut World, place: &Place) -> io::Result<&'a mut Medium> {
    let medium = match place {
        Place::Slot(slot) => world.banks.get_mut(slot),
        Place::Beside(name) => world.beside.get_mut(name).map(|beside| &mut beside.staging),
        Place::IdleCopy => world.copies.media.get_mut(&world.copies.running.other()),
    };
    medium.ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl Flash for FakeFlash {
    fn geometry(&self) -> io::Result<Geometry> {
        let mut world = self.world.borrow_mut();
        let size = medium(&mut world, &self.place)?.len() as u64;
        Ok(Geometry { size, block: 512 })
    }

    fn prepare(&mut self) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        self.check_stopped(&mut world);
        medium(&mut world, &self.place)?.prepare();
        Ok(())
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        let (at, bytes) = (to_usize(chunk.at()), chunk.bytes());
        self.check_stopped(&mut self.world.borrow_mut());
        self.check_rules();
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        let write = |world: &mut World, bytes: &[u8]| {
            medium(world, &self.place).map(|medium| medium.write(at, bytes))
        };
        effect(&self.world, |w| drop(write(w, half)), |w| write(w, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        let flush = |world: &mut World| {
            let lies = world.scenario.fault == Fault::LyingFlash && world.chance.one_in(24);
            let mut chance = world.chance.clone();
            let medium = medium(world, &self.place)?;
            if lies {
                medium.flush_forgetting(&mut chance);
            } else {
                medium.flush();
            }
            world.chance = chance;
            Ok(())
        };
        // Ended inside, a flush may have been done or not; the cut decides per sector.
        effect(&self.world, crate::world::nothing, flush)
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let mut world = self.world.borrow_mut();
        world.decided_in = world.boots;
        let medium = medium(&mut world, &self.place)?;
        medium.read_back(to_usize(at), into).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}
