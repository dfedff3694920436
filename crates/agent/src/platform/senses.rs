//! What the moment is like, from sysfs, the network's own services and the maker's
//! programs.
//!
//! Deliberately absent: rules. What is measured here is judged in `engine::policy`.

mod line;
mod power;

pub use line::Line;

use super::clock::{self, Stopwatch};
use super::program;
use crate::edges::Senses;
use engine::policy::rules::{Activity, Conditions, Fact};
use std::path::PathBuf;
use types::Timestamp;

/// Where to look, and which programs to ask.
#[derive(Debug, Clone, Default)]
pub struct Sensors {
    /// `/sys/class/power_supply`, where the terminal has a battery.
    pub power_supply: Option<PathBuf>,
    /// A file of thousandths of degrees, such as `/sys/class/thermal/thermal_zone0/temp`.
    pub temperature: Option<PathBuf>,
    /// Who knows about the line.
    pub line: Option<Line>,
    /// A program that says `idle`, `in-use` or `call`; none where it is empty.
    pub activity: Vec<String>,
    /// Whose file system must have room.
    pub storage: PathBuf,
    /// Milliseconds after which a program is ended.
    pub limit: u64,
    /// Milliseconds for which what a program said counts.
    pub keep: u64,
}

/// The senses of a device that runs Linux.
#[derive(Debug)]
pub struct LinuxSenses {
    sensors: Sensors,
    floor: Timestamp,
    /// What programs said last, and when.
    said: Option<(Stopwatch, Conditions)>,
}

impl LinuxSenses {
    /// Senses by these sensors; a clock that shows less than `floor` was not set.
    pub fn new(sensors: Sensors, floor: Timestamp) -> Self {
        Self { sensors, floor, said: None }
    }

    /// What only programs know; asked again when the last answer is old.
    fn ask_programs(&mut self) -> Conditions {
        if let Some((watch, said)) = &self.said
            && watch.millis() < self.sensors.keep
        {
            return *said;
        }
        let limit = self.sensors.limit;
        let link = self.sensors.line.as_ref().map(|line| line.ask(limit));
        let said = Conditions {
            link: link.unwrap_or_default(),
            activity: activity(&self.sensors.activity, limit),
            ..Conditions::default()
        };
        self.said = Some((Stopwatch::start(), said));
        said
    }
}

impl Senses for LinuxSenses {
    fn sense(&mut self) -> Conditions {
        let said = self.ask_programs();
        let now = clock::wall(Timestamp(0));
        let free = rustix::fs::statvfs(&self.sensors.storage);
        let free = free.map(|fs| u32::try_from(fs.f_bavail.saturating_mul(fs.f_frsize) >> 20));
        Conditions {
            time: if now < self.floor { Fact::Unknown } else { Fact::Known(now) },
            battery: power::battery(self.sensors.power_supply.as_deref()),
            storage: free.map_or(Fact::Unknown, |free| Fact::Known(free.unwrap_or(u32::MAX))),
            temperature: power::temperature(self.sensors.temperature.as_deref()),
            ..said
        }
    }
}

fn activity(program: &[String], limit: u64) -> Fact<Activity> {
    if program.is_empty() {
        return Fact::Absent;
    }
    let ended = program::run(program, &[], limit).ok();
    match ended.as_ref().and_then(program::Ended::words) {
        Some("idle") => Fact::Known(Activity::Idle),
        Some("in-use") => Fact::Known(Activity::InUse),
        Some("call") => Fact::Known(Activity::Call),
        _ => Fact::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::policy::rules::{Cost, Link, Network};
    use std::path::Path;

    fn script(dir: &Path, text: &str) -> Vec<String> {
        let path = dir.join("script");
        std::fs::write(&path, text).unwrap();
        vec!["/bin/sh".into(), path.to_str().unwrap().into()]
    }

    #[test]
    fn a_program_says_what_people_do() {
        let dir = tempfile::tempdir().unwrap();
        for (text, expected) in [
            ("echo idle", Fact::Known(Activity::Idle)),
            ("echo in-use", Fact::Known(Activity::InUse)),
            ("echo call", Fact::Known(Activity::Call)),
            ("echo what", Fact::Unknown),
            ("echo idle; exit 1", Fact::Unknown),
            ("echo idle; sleep 600", Fact::Unknown),
        ] {
            assert_eq!(activity(&script(dir.path(), text), 400), expected, "{text}");
        }
        assert_eq!(activity(&["/no/such".into()], 100), Fact::Unknown);
        assert_eq!(activity(&[], 100), Fact::Absent);
    }

    #[test]
    fn programs_are_not_asked_all_the_time() {
        let dir = tempfile::tempdir().unwrap();
        let count = dir.path().join("count");
        let text = format!("echo x >> {}; echo metered home", count.display());
        let line = Some(Line::Program(script(dir.path(), &text)));
        let storage = dir.path().into();
        let sensors = Sensors { line, storage, limit: 5000, keep: 60_000, ..Sensors::default() };
        let mut senses = LinuxSenses::new(sensors, Timestamp(1));
        for _ in 0..3 {
            let sensed = senses.sense();
            let link = Link { cost: Cost::Metered, network: Network::Home };
            assert_eq!(sensed.link, Fact::Known(link));
            assert!(matches!(sensed.storage, Fact::Known(1..)));
            assert!(matches!(sensed.time, Fact::Known(_)));
        }
        assert_eq!(std::fs::read_to_string(count).unwrap(), "x\n");
    }

    #[test]
    fn a_clock_below_the_floor_was_not_set() {
        let sensors = Sensors { storage: "/".into(), ..Sensors::default() };
        let mut senses = LinuxSenses::new(sensors, Timestamp(i64::MAX));
        assert_eq!(senses.sense().time, Fact::Unknown);
    }
}
