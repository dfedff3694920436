//! What one installation costs: time of the CPU, time, memory, storage.
//!
//! The CPU's time is what the kernel has counted for children of this process that
//! ended and were waited for, with all of theirs: so no process is missed, however
//! short it lived. Orphans become children of this process.

use super::memory::{Memory, Places, Sampler, children_in};
use crate::clock::{now, until};
use anyhow::{Context, Result};
use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

/// The unit of times in `/proc/PID/stat`: 1/100 s, part of the kernel's interface.
const TICK: Duration = Duration::from_millis(10);
/// How long the last process of an installation may take to end.
const END: Duration = Duration::from_secs(20);

/// What is watched: looking at the memory takes time of the CPU, so never both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Watch {
    Time,
    Memory,
}

/// Time of the CPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cpu {
    pub(super) user: Duration,
    pub(super) system: Duration,
}

/// What one installation cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) cpu: Cpu,
    pub(super) wall: Duration,
    /// Zero where it was not watched.
    pub(super) memory: Memory,
}

/// Counts while an installation runs.
pub(super) struct Meter {
    before: Cpu,
    others: BTreeSet<i32>,
    began: Instant,
    sampler: Option<Sampler>,
}

impl Meter {
    /// Starts to count.
    pub(super) fn start(watch: Watch, places: &Places) -> Result<Self> {
        let sampler = match watch {
            Watch::Time => None,
            Watch::Memory => Some(Sampler::start(places.clone())),
        };
        Ok(Self { before: ended_children()?, others: children(getpid())?, began: now(), sampler })
    }

    /// Leaves out what ended until now; what runs still counts from its own start.
    pub(super) fn forget(&mut self) -> Result<()> {
        self.before = ended_children()?;
        self.began = now();
        Ok(())
    }

    /// The processes below `root` belong to it.
    pub(super) fn watch(&self, root: u32) {
        if let Some(sampler) = &self.sampler {
            sampler.watch(root);
        }
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        now() - self.began
    }

    /// Waits for the last process, and says what it all cost. `wall` ended when the
    /// installer said that it was done.
    pub(super) fn finish(self, wall: Duration) -> Result<Cost> {
        until(END, "the end of all processes", || {
            while wait(WaitOptions::NOHANG).is_ok_and(|ended| ended.is_some()) {}
            Ok(children(getpid())?.is_subset(&self.others).then_some(()))
        })?;
        let after = ended_children()?;
        let cpu =
            Cpu { user: after.user - self.before.user, system: after.system - self.before.system };
        let memory = self.sampler.map_or_else(|| Ok(Memory::default()), Sampler::finish)?;
        Ok(Cost { cpu, wall, memory })
    }
}

impl Cpu {
    pub(super) fn total(self) -> Duration {
        self.user + self.system
    }
}

/// From now on orphaned descendants become children of this process.
pub(super) fn adopt_orphans() -> Result<()> {
    set_child_subreaper(Some(getpid())).context("cannot adopt orphans")
}

/// Time of the CPU of all children that ended (proc(5), `cutime` and `cstime`).
fn ended_children() -> Result<Cpu> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = stat.rsplit_once(')').context("cannot read /proc/self/stat")?;
    // The first field behind the name is the third of all.
    let mut fields = fields.split_ascii_whitespace().skip(16 - 3);
    let mut time = || -> Result<Duration> {
        let ticks: u32 = fields.next().context("/proc/self/stat is short")?.parse()?;
        Ok(TICK * ticks)
    };
    Ok(Cpu { user: time()?, system: time()? })
}

/// The children of all threads of `parent`.
pub(super) fn children(parent: rustix::process::Pid) -> Result<BTreeSet<i32>> {
    children_in(Path::new(&format!("/proc/{parent}/task")))
}

impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Time => "time",
            Self::Memory => "memory",
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.memory != Memory::default() {
            return write!(f, "{}", self.memory);
        }
        let Cpu { user, system } = self.cpu;
        let (user, system) = (user.as_secs_f64(), system.as_secs_f64());
        write!(f, "CPU {user:.2} + {system:.2} s, {:.2} s", self.wall.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn children_of_children_are_counted() {
        let before = ended_children().unwrap();
        // Two processes that each need a while, one of them below the other.
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        let nested = format!("sh -c '{work}'; {work}");
        assert!(Command::new("sh").args(["-c", &nested]).status().unwrap().success());
        let both = ended_children().unwrap().total() - before.total();
        assert!(both > TICK * 4, "{both:?}");
    }
}
