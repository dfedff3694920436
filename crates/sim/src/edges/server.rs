//! A server that repeats itself, and a network that loses replies.

use crate::world::{Shared, World, attempt, effect, nothing};
use agent::edges::{Delivered, Heard, Heartbeat, Now, Source, SourceError};
use engine::{Again, Locator, Order, Standing};
use types::{Name, Report};

/// The server as the agent sees it.
pub struct FakeServer {
    world: Shared,
    name: Name,
}

impl FakeServer {
    /// The server of `world`.
    pub fn new(world: Shared) -> Self {
        Self { world, name: "server".parse().unwrap_or_else(|_| Name::unknown()) }
    }

    fn order(&self, address: u32) -> Option<Order> {
        let locator = Locator::new(&address_of(address)).ok()?;
        Some(Order { attempt: attempt(), source: self.name.clone(), locator, again: Again::No })
    }
}

/// The package's address, which changes now and then.
pub(crate) fn address_of(number: u32) -> String {
    format!("https://fake/{number}/")
}

/// One reply in sixteen is lost.
fn lost(world: &mut World) -> bool {
    world.chance.one_in(16)
}

fn unreachable() -> SourceError {
    SourceError::Unreachable("the fake server".into(), "the reply was lost".into())
}

impl Source for FakeServer {
    fn name(&self) -> &Name {
        &self.name
    }

    fn listen(&mut self, _: Now, _: &Heartbeat) -> Result<Heard, SourceError> {
        let mut world = self.world.borrow_mut();
        if lost(&mut world) {
            return Err(unreachable());
        }
        // Now and then it has not noticed yet that it has the report.
        let over = world.counted.contains_key(&attempt()) && !world.chance.one_in(4);
        let order = if over { None } else { self.order(world.address) };
        Ok(Heard { order, standing: Standing::Stands, ..Heard::default() })
    }

    fn deliver(&mut self, report: &Report) -> Result<Delivered, SourceError> {
        effect(&self.world, nothing, |world| {
            if lost(world) {
                return Err(unreachable());
            }
            world.arrived += 1;
            world.counted.entry(report.attempt).or_default().insert(report.outcome);
            if lost(world) { Err(unreachable()) } else { Ok(Delivered::Yes) }
        })
    }
}
