//! Kills and power cuts at random, on terminals that update and on the server.

use super::fleet::Fleet;
use crate::boot::Blow;
use crate::chance::Chance;
use anyhow::Result;
use protocols::native::Phase;

/// The most kills per terminal.
const KILLS: u32 = 4;
/// The most power cuts per terminal: three inside one trial would use up its tries,
/// and the terminal would rightly return to the old release.
const CUTS: u32 = 2;
/// The most kills of the server.
const SERVER: u32 = 3;

/// A storm and what it did.
#[derive(Debug)]
pub(super) struct Storm {
    chance: Chance,
    /// Kills and cuts of each terminal.
    terminals: Vec<(u32, u32)>,
    /// Kills of the server.
    pub(super) server: u32,
}

impl Storm {
    pub(super) fn new(seed: u64, terminals: usize) -> Self {
        Self { chance: Chance::new(seed), terminals: vec![(0, 0); terminals], server: 0 }
    }

    /// Kills of all agents together.
    pub(super) fn kills(&self) -> u32 {
        self.terminals.iter().map(|(kills, _)| kills).sum()
    }

    /// Power cuts of all terminals together.
    pub(super) fn cuts(&self) -> u32 {
        self.terminals.iter().map(|(_, cuts)| cuts).sum()
    }

    /// Strikes some of those that are at work, and sometimes the server.
    pub(super) fn strike(&mut self, fleet: &mut Fleet) -> Result<()> {
        let busy: Vec<String> = fleet
            .operator
            .devices()?
            .into_iter()
            .filter(|view| view.phase != Phase::Idle)
            .map(|view| view.device.to_string())
            .collect();
        for (index, terminal) in fleet.terminals.iter().enumerate() {
            let at_work = busy.iter().any(|name| name == terminal.terminal().name());
            if at_work && terminal.is_struck() && self.chance.once_in(2) {
                self.blow(index).into_iter().for_each(|blow| terminal.strike(blow));
            }
        }
        if !busy.is_empty() && self.server < SERVER && self.chance.once_in(4) {
            self.server += 1;
            fleet.operator.kill_and_restart()?;
        }
        Ok(())
    }

    /// What strikes terminal `index`, unless it had enough.
    fn blow(&mut self, index: usize) -> Option<Blow> {
        let cut = self.chance.once_in(3);
        let (kills, cuts) = self.terminals.get_mut(index)?;
        if cut && *cuts < CUTS {
            *cuts += 1;
            Some(Blow::Cut)
        } else if *kills < KILLS {
            *kills += 1;
            Some(Blow::Kill)
        } else {
            None
        }
    }
}
