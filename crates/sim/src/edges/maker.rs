//! The maker's part of the world: programs of packages, and the configuration in one
//! copy for each slot.

use crate::oracle;
use crate::release::{NEW_FORM, OLD_FORM};
use crate::world::{Shared, World, effect};
use agent::edges::{Configuration, CopyError, Difference, HookCall, HookEnd, Hooks, Migration};
use engine::configuration::Step;
use std::io;
use types::{Slot, Text};

/// Programs that pass and do nothing.
pub struct FakeHooks;

impl Hooks for FakeHooks {
    fn obstacle(&self) -> Option<Text> {
        None
    }

    fn run(&mut self, _: &HookCall<'_>) -> HookEnd {
        HookEnd::default()
    }
}

/// The configuration as the agent sees it.
pub struct FakeConfiguration(pub Shared);

impl FakeConfiguration {
    /// Puts a copy in place; inside that, old or new is there.
    fn put(&self, slot: Slot, form: Option<u32>) {
        let put = move |world: &mut World| {
            world.broken.extend(oracle::may_touch_configuration(world, slot));
            world.configuration.insert(slot, form);
        };
        let either = move |world: &mut World| {
            if world.chance.one_in(2) {
                put(world);
            }
        };
        effect(&self.0, either, put);
    }
}

impl Configuration for FakeConfiguration {
    fn version(&self, slot: Slot) -> io::Result<Option<u32>> {
        Ok(self.0.borrow().configuration.get(&slot).copied().flatten())
    }

    fn own(&self) -> Vec<Step> {
        vec![Step { from: NEW_FORM, to: OLD_FORM }]
    }

    fn copy(&mut self, from: Slot, to: Slot, steps: &[Migration<'_>]) -> Result<(), CopyError> {
        let original = self.version(from)?;
        let form = steps.last().map_or(original, |last| Some(last.step.to));
        self.put(to, form);
        Ok(())
    }

    fn rehearse(&mut self, _: Slot, _: &[Migration<'_>]) -> Result<Vec<Difference>, CopyError> {
        Ok(Vec::new())
    }

    fn forget(&mut self, slot: Slot) -> io::Result<()> {
        self.put(slot, None);
        Ok(())
    }
}
