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
        Ok(newest.map_or(Loaded::Nothing, |(_, record)| Loaded::Record(record.clone())))
    }

    fn save(&mut self, record: &[u8]) -> io::Result<()> {
        if record.len() > RECORD_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        effect(
            &self.0,
            |w| w.journal[older(w).0] = None,
            |w| {
                let (copy, generation) = older(w);
                w.journal[copy] = Some((generation, record.to_vec()));
            },
        );
        Ok(())
    }
}

/// Which copy is written next, and the generation it gets.
fn older(world: &World) -> (usize, u64) {
    let generation = |n: usize| world.journal.get(n).and_then(Option::as_ref).map_or(0, |c| c.0);
    let (a, b) = (generation(0), generation(1));
    (usize::from(a > b), a.max(b) + 1)
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
