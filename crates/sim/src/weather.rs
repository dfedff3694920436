//! What changes around a terminal while it waits: battery, line, people. The rules
//! that are tried, and what they forbid, said once more and more simply than the
//! engine says it.

use crate::world::World;
use engine::policy::rules::{
    Activity, Battery, Conditions, Cost, Fact, Link, Network, OnMetered, Power, Rules,
};

/// The least charge that is tried, in percent.
const BATTERY: u8 = 30;

/// The rules of every run.
pub fn rules() -> Rules {
    Rules { battery: BATTERY, metered: OnMetered::NeverFull, ..Rules::default() }
}

/// Nothing stands in the way.
pub fn fine() -> Conditions {
    Conditions {
        battery: battery(80),
        link: link(Cost::Free),
        activity: Fact::Known(Activity::Idle),
        ..Conditions::default()
    }
}

fn battery(percent: u8) -> Fact<Battery> {
    Fact::Known(Battery { percent, power: Power::Battery })
}

fn link(cost: Cost) -> Fact<Link> {
    Fact::Known(Link { cost, network: Network::Home })
}

/// Something changes now and then, and mostly for the better.
pub fn change(world: &mut World) {
    if !world.chance.one_in(3) {
        world.weather = fine();
        return;
    }
    let worse = match world.chance.number() % 4 {
        0 => Conditions { battery: battery(BATTERY - 1), ..fine() },
        1 => Conditions { link: link(Cost::Metered), ..fine() },
        2 => Conditions { activity: Fact::Known(Activity::Call), ..fine() },
        _ => Conditions { activity: Fact::Unknown, ..fine() },
    };
    world.weather = worse;
}

/// Whether a chunk may be written, which came out of a delta or of what is kept, or over
/// the line in a full payload.
pub fn allows_writing(weather: &Conditions, is_cheap: bool) -> bool {
    weather.battery == battery(80) && (is_cheap || weather.link == link(Cost::Free))
}

/// Nobody is cut off, and the battery lasts.
pub fn allows_restarting(weather: &Conditions) -> bool {
    weather.battery == battery(80) && weather.activity == Fact::Known(Activity::Idle)
}
