//! The place where a package is kept before the only system is given up for it.

use crate::oracle;
use crate::scenario::Layout;
use crate::world::{Shared, World, effect, nothing};
use agent::edges::Stage;
use std::io;

/// Where its package is found.
pub(super) const LOCATOR: &str = "/data/staged.zip";

/// The stage as the agent sees it.
pub struct FakeStage(pub Shared);

impl Stage for FakeStage {
    fn room(&self) -> io::Result<u64> {
        let world = self.0.borrow();
        // One that fills up while it is written looks large enough before.
        Ok(if world.scenario.layout == Layout::NoRoom { 0 } else { 64 << 20 })
    }

    fn prepare(&mut self) -> io::Result<()> {
        effect(&self.0, nothing, |world| world.stage.prepare());
        Ok(())
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let broken = oracle::may_write(&self.0.borrow());
        self.0.borrow_mut().broken.extend(broken);
        let torn = |world: &mut World| {
            world.stage.write(at, bytes.get(..bytes.len() / 2).unwrap_or_default());
        };
        effect(&self.0, torn, |world| {
            let most = match world.scenario.layout {
                Layout::Filling => world.stage.len() / 3,
                _ => world.stage.len(),
            };
            if at + bytes.len() > most {
                return Err(io::ErrorKind::StorageFull.into());
            }
            world.stage.write(at, bytes);
            Ok(())
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        effect(&self.0, nothing, |world| world.stage.flush());
        Ok(())
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        let world = self.0.borrow();
        let at = usize::try_from(at).map_err(io::Error::other)?;
        let is_there = at + into.len() <= world.stage.extent();
        let read = world.stage.peek(at, into).filter(|()| is_there);
        read.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn locator(&self) -> &str {
        LOCATOR
    }

    fn remove(&mut self) -> io::Result<()> {
        // A file that is not there is not removed again.
        if self.0.borrow().stage.extent() > 0 {
            effect(&self.0, nothing, |world| world.stage.prepare());
        }
        Ok(())
    }
}
