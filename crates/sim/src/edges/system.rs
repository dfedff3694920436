//! Clock, power and health.

use crate::release::NOW;
use crate::scenario::{Image, Layout};
use crate::weather;
use crate::world::{Crash, Shared, World, effect, end, nothing};
use agent::RECOVERY;
use agent::edges::{Clock, Health, Now, Power, Senses, Verdict};
use engine::BootId;
use engine::policy::rules::Conditions;
use std::convert::Infallible;
use std::io;
use types::{Seconds, Timestamp};

/// The world's clock, which moves only while someone waits.
pub struct FakeClock(pub Shared);

impl Clock for FakeClock {
    fn now(&self) -> Now {
        let passed = self.0.borrow().clock;
        let wall = Timestamp(NOW.0 + i64::try_from(passed).unwrap_or(0));
        Now { wall, monotonic: passed }
    }

    fn wait(&mut self, at_most: Seconds) {
        let mut world = self.0.borrow_mut();
        world.clock += u64::from(at_most.0) * 1000;
        weather::change(&mut world);
    }

    fn chance(&mut self) -> u32 {
        u32::try_from(self.0.borrow_mut().chance.number() >> 32).unwrap_or(0)
    }
}

/// The world's power.
pub struct FakePower(pub Shared);

impl Power for FakePower {
    fn boot_id(&self) -> io::Result<BootId> {
        let mut id = [0; 16];
        let boots = self.0.borrow().boots.to_be_bytes();
        id.iter_mut().zip(boots).for_each(|(to, from)| *to = from);
        Ok(BootId(id))
    }

    fn restart(&mut self) -> io::Result<Infallible> {
        effect(&self.0, nothing, nothing);
        end(Crash::Restart)
    }
}

/// The weather, as the agent is told.
pub struct FakeSenses(pub Shared);

impl Senses for FakeSenses {
    fn sense(&mut self) -> Conditions {
        self.0.borrow().weather
    }
}

/// The health of what runs.
pub struct FakeHealth(pub Shared);

impl Health for FakeHealth {
    fn check(&mut self) -> Verdict {
        let healthy = effect(&self.0, nothing, |world| {
            let healthy = is_healthy(world);
            world.healthy = Some(healthy);
            healthy
        });
        if healthy { Verdict::Healthy } else { Verdict::Unhealthy("no web page".into()) }
    }
}

fn is_healthy(world: &mut World) -> bool {
    let new_runs = world.holds(world.boot.running) == Some(crate::world::Holds::New);
    if world.scenario.layout == Layout::SickRecovery && world.boot.running == RECOVERY {
        return false;
    }
    match world.scenario.image {
        Image::Unhealthy => !new_runs,
        Image::Moody => !new_runs || world.chance.one_in(2),
        _ => true,
    }
}
