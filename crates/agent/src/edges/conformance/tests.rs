//! The suites notice what breaks a rule.

use super::*;
use crate::edges::{BootError, Geometry};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use trust::Proven;

type Shared<T> = Rc<RefCell<T>>;

/// A medium that loses chunk `lost`.
struct Losing {
    bytes: Shared<Vec<u8>>,
    lost: u32,
}

impl Flash for Losing {
    fn geometry(&self) -> io::Result<Geometry> {
        Ok(Geometry { size: 1 << 16, block: 512 })
    }

    fn prepare(&mut self) -> io::Result<()> {
        self.bytes.borrow_mut().resize(1 << 16, 0);
        Ok(())
    }

    fn write(&mut self, chunk: &Proven<'_>) -> io::Result<()> {
        let at = usize::try_from(chunk.at()).unwrap();
        if chunk.index() != self.lost {
            let len = chunk.bytes().len();
            self.bytes.borrow_mut()[at..at + len].copy_from_slice(chunk.bytes());
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read_back(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let at = usize::try_from(at).unwrap();
        let bytes = self.bytes.borrow();
        into.copy_from_slice(bytes.get(at..at + into.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

fn losing(lost: u32) {
    let bytes = Shared::default();
    flash(|| Box::new(Losing { bytes: Rc::clone(&bytes), lost }));
}

#[test]
fn a_medium_that_loses_nothing_passes() {
    losing(u32::MAX);
}

#[test]
#[should_panic(expected = "what was written and flushed is read back")]
fn a_medium_that_loses_a_chunk_is_noticed() {
    losing(5);
}

/// A journal that forgets every third record.
struct Forgetful(Shared<(u32, Option<Vec<u8>>)>);

impl Journal for Forgetful {
    fn load(&mut self) -> io::Result<Loaded> {
        Ok(self.0.borrow().1.clone().map_or(Loaded::Nothing, Loaded::Record))
    }

    fn save(&mut self, record: &[u8]) -> io::Result<()> {
        let mut held = self.0.borrow_mut();
        held.0 += 1;
        if !held.0.is_multiple_of(3) {
            held.1 = Some(record.into());
        }
        Ok(())
    }
}

#[test]
#[should_panic(expected = "the last record is loaded")]
fn a_journal_that_forgets_is_noticed() {
    let held = Shared::default();
    journal(|| Box::new(Forgetful(Rc::clone(&held))));
}

/// Floors that can be lowered.
struct Lowered(Shared<BTreeMap<String, u64>>);

impl RollbackStore for Lowered {
    fn floor(&self, component: &str) -> io::Result<u64> {
        Ok(self.0.borrow().get(component).copied().unwrap_or(0))
    }

    fn raise(&mut self, component: &str, to: u64) -> io::Result<()> {
        self.0.borrow_mut().insert(component.into(), to);
        Ok(())
    }
}

#[test]
#[should_panic(expected = "a floor is never lowered")]
fn a_floor_that_sinks_is_noticed() {
    let floors = Shared::default();
    rollback_store(|| Box::new(Lowered(Rc::clone(&floors))));
}

/// A store with one document under every name.
struct Single(Shared<Option<Vec<u8>>>);

impl Store for Single {
    fn read(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.0.borrow().clone())
    }

    fn replace(&mut self, _: &str, exact: &[u8]) -> io::Result<()> {
        *self.0.borrow_mut() = Some(exact.into());
        Ok(())
    }

    fn remove(&mut self, _: &str) -> io::Result<()> {
        *self.0.borrow_mut() = None;
        Ok(())
    }
}

#[test]
#[should_panic(expected = "documents do not touch each other")]
fn a_store_that_mixes_documents_is_noticed() {
    let document = Shared::default();
    store(|| Box::new(Single(Rc::clone(&document))));
}

/// A boot control that trusts whatever it is told about.
struct Trusting;

impl BootControl for Trusting {
    fn running(&self) -> Result<Slot, BootError> {
        Ok(Slot::A)
    }

    fn tries(&self) -> Tries {
        Tries::Single
    }

    fn slot(&self, _: Slot) -> Result<SlotFacts, BootError> {
        Ok(SlotFacts::Good)
    }

    fn set_unbootable(&mut self, _: Slot) -> Result<(), BootError> {
        Ok(())
    }

    fn set_trial(&mut self, _: Slot, _: u8) -> Result<(), BootError> {
        Ok(())
    }

    fn mark_running_good(&mut self) -> Result<(), BootError> {
        Ok(())
    }

    fn give_way(&mut self) -> Result<(), BootError> {
        Ok(())
    }
}

#[test]
#[should_panic(expected = "an unbootable slot is remembered")]
fn a_boot_control_that_trusts_everything_is_noticed() {
    boot_control(|| Box::new(Trusting));
}
