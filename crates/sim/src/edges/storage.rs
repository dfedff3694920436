//! Journal in two copies, documents that are old or new, floors.

use crate::scenario::Fault;
use crate::world::{Shared, World, effect, nothing};
use agent::edges::{Journal, Loaded, RECORD_MAX, RollbackStore, Store};
use std::io;

/// The journal as the agent sees it.
pub struct FakeJournal(pub Shared);

impl Journal for FakeJournal {
    fn load(&mut self) -> io::Result<Loaded> {
        let world = self.0.borrow();
        let newest = world.journal.iter().flatten().max_by_key(|(generation, _)| generation);
        Ok(match newest {
            Some((_, record)) => Loaded::Record(record.clone()),
            None if world.journal_used => Loaded::Damaged,
            None => Loaded::Nothing,
        })
    }

    fn save(&mut self, record: &[u8]) -> io::Result<()> {
        if record.len() > RECORD_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let torn = |world: &mut World| put(world, None);
        effect(&self.0, torn, |world| put(world, Some(record.to_vec())));
        Ok(())
    }
}

/// Writes the older copy, whole or torn.
fn put(world: &mut World, record: Option<Vec<u8>>) {
    let generation = |copy: &Option<(u64, Vec<u8>)>| copy.as_ref().map_or(0, |c| c.0);
    let [a, b] = &mut world.journal;
    let (ours, theirs) = if generation(a) > generation(b) { (b, a) } else { (a, b) };
    let next = generation(theirs) + 1;
    *ours = record.map(|record| (next, record));
    world.journal_used = true;
}

/// Documents as the agent sees them.
pub struct FakeStore(pub Shared);

impl Store for FakeStore {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().store.get(name).cloned())
    }

    fn replace(&mut self, name: &str, exact: &[u8]) -> io::Result<()> {
        let replace = |world: &mut World| world.store.insert(name.into(), exact.to_vec());
        let either = |world: &mut World| {
            if world.chance.one_in(2) {
                replace(world);
            }
        };
        effect(&self.0, either, |world| {
            if world.scenario.fault == Fault::FullStore && world.chance.one_in(3) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            replace(world);
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        effect(&self.0, nothing, |world| drop(world.store.remove(name)));
        Ok(())
    }
}

/// Rollback floors as the agent sees them.
pub struct FakeFloors(pub Shared);

impl RollbackStore for FakeFloors {
    fn floor(&self, component: &str) -> io::Result<u64> {
        Ok(self.0.borrow().floors.get(component).copied().unwrap_or(0))
    }

    fn raise(&mut self, component: &str, to: u64) -> io::Result<()> {
        effect(&self.0, nothing, |world| {
            let floor = world.floors.entry(component.into()).or_default();
            *floor = to.max(*floor);
        });
        Ok(())
    }
}
