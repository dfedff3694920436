//! A bootloader that counts, or tries once; its memory is old or new after a cut.

use crate::oracle::{self, Broken};
use crate::scenario::Loader;
use crate::world::{Shared, World, effect, nothing};
use agent::edges::{BootControl, BootError, SlotFacts};
use types::{Slot, Tries};

/// The bootloader's memory as the agent sees it.
pub struct FakeBoot(pub Shared);

impl FakeBoot {
    fn set(&self, slot: Slot, facts: SlotFacts, judge: impl FnOnce(&World) -> Option<Broken>) {
        effect(&self.0, nothing, |world| {
            let broken = judge(world);
            world.broken.extend(broken);
            world.boot.slots.insert(slot, facts);
        });
    }
}

impl BootControl for FakeBoot {
    fn running(&self) -> Result<Slot, BootError> {
        Ok(self.0.borrow().boot.running)
    }

    fn tries(&self) -> Tries {
        self.0.borrow().loader().tries()
    }

    fn slot(&self, slot: Slot) -> Result<SlotFacts, BootError> {
        Ok(self.0.borrow().facts(slot))
    }

    fn set_unbootable(&mut self, slot: Slot) -> Result<(), BootError> {
        self.set(slot, SlotFacts::Unbootable, |world| oracle::may_disarm(world, slot));
        Ok(())
    }

    fn set_trial(&mut self, slot: Slot, tries: u8) -> Result<(), BootError> {
        let left = match self.0.borrow().loader() {
            Loader::Counted => tries,
            Loader::Single => 1,
        };
        self.set(slot, SlotFacts::Trial { left }, |world| oracle::may_arm(world, slot, tries));
        Ok(())
    }

    fn mark_running_good(&mut self) -> Result<(), BootError> {
        let slot = self.0.borrow().boot.running;
        self.set(slot, SlotFacts::Good, oracle::may_mark_good);
        Ok(())
    }

    fn give_way(&mut self) -> Result<(), BootError> {
        let slot = self.0.borrow().boot.running;
        effect(&self.0, nothing, |world| {
            world.broken.extend(oracle::may_give_way(world));
            world.boot.slots.insert(slot, SlotFacts::Good);
            world.boot.first = Some(slot.other());
        });
        Ok(())
    }
}
