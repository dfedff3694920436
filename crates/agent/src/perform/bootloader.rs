//! A bootloader in two copies, after all else of the release: one write chooses the new
//! copy, a restart starts it, and where it is not the one that came up, the choice is
//! taken back. The old copy is not touched before the next update.

use super::chain;
use crate::device::{Bank, Device, DeviceError};
use engine::{BootId, Task};
use serde::{Deserialize, Serialize};
use types::{AttemptId, Name, Slot, Text};

/// How often a choice is made again that the hardware did not keep.
const TIMES: u8 = 3;

/// Which copy was chosen, and in which boot. Kept until the next bootloader comes, so
/// that committing can be done twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Chosen {
    attempt: AttemptId,
    component: Name,
    to: Slot,
    boot: [u8; 16],
    times: u8,
    failed: bool,
}

/// The document's name in the store.
const NAME: &str = "bootloader";

/// What is done about a copy.
enum Next {
    /// It started this boot.
    Stays,
    /// It is chosen, and a boot shows whether it starts.
    Try(Chosen),
    /// It did not start.
    Return(Chosen),
}

impl Device {
    /// Makes the copy that was written the one that starts, which takes a restart; why
    /// it could not be.
    pub(super) fn start_copy(
        &mut self,
        task: &Task,
        name: &Name,
    ) -> Result<Result<(), Text>, DeviceError> {
        let boot = self.boot_id()?;
        let known: Option<Chosen> = self.read(NAME)?;
        let known = known.filter(|k| k.attempt == task.attempt && k.component == *name);
        let Some(Bank::Copies(copies)) = self.edges.banks.get(name) else { return Ok(Ok(())) };
        let facts = copies.running().and_then(|running| Ok((running, copies.chosen()?)));
        let (running, chosen) = match facts {
            Ok(facts) => facts,
            Err(e) => return Ok(Err(chain("cannot find out which copy started", &e))),
        };
        let first = || Chosen {
            attempt: task.attempt,
            component: name.clone(),
            to: running.other(),
            boot: boot.0,
            times: 1,
            failed: false,
        };
        match next(known.unwrap_or_else(first), running, chosen, boot) {
            Next::Stays => Ok(Ok(())),
            Next::Try(choice) => self.try_copy(name, choice),
            Next::Return(choice) => self.return_to_copy(name, choice, running),
        }
    }

    fn try_copy(&mut self, name: &Name, choice: Chosen) -> Result<Result<(), Text>, DeviceError> {
        let to = choice.to;
        self.write(NAME, &Some(choice))?;
        if let Err(why) = self.choose(name, to) {
            return Ok(Err(why));
        }
        match self.edges.power.restart() {
            Ok(never) => match never {},
            Err(error) => Ok(Err(chain("cannot restart", &error))),
        }
    }

    fn return_to_copy(
        &mut self,
        name: &Name,
        choice: Chosen,
        running: Slot,
    ) -> Result<Result<(), Text>, DeviceError> {
        self.write(NAME, &Some(Chosen { failed: true, ..choice }))?;
        if let Err(why) = self.choose(name, running) {
            return Ok(Err(why));
        }
        let why = format!("`{name}` did not start from its new copy; the old copy runs");
        Ok(Err(why.into()))
    }

    fn choose(&mut self, name: &Name, copy: Slot) -> Result<(), Text> {
        let Some(Bank::Copies(copies)) = self.edges.banks.get_mut(name) else { return Ok(()) };
        copies.choose(copy).map_err(|e| chain(&format!("cannot choose a copy of `{name}`"), &e))
    }
}

/// What the hardware did with a choice shows what is next.
fn next(choice: Chosen, running: Slot, chosen: Slot, boot: BootId) -> Next {
    let here = choice.boot == boot.0;
    match choice {
        choice if choice.failed => Next::Return(choice),
        choice if running == choice.to => Next::Stays,
        choice if here => Next::Try(choice),
        choice if chosen == choice.to || choice.times >= TIMES => Next::Return(choice),
        choice => Next::Try(Chosen { boot: boot.0, times: choice.times + 1, ..choice }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: BootId = BootId([2; 16]);

    /// B is chosen in boot `boot`, for the `times`th time; `running` and `chosen` is what
    /// is found in boot 2.
    #[track_caller]
    fn check(boot: u8, times: u8, found: (Slot, Slot), expected: (&str, u8)) {
        let choice = Chosen {
            attempt: AttemptId::default(),
            component: Name::unknown(),
            to: Slot::B,
            boot: [boot; 16],
            times,
            failed: false,
        };
        let (running, chosen) = found;
        let said = match next(choice.clone(), running, chosen, HERE) {
            Next::Stays => ("stays", times),
            Next::Try(choice) => ("try", choice.times),
            Next::Return(choice) => ("return", choice.times),
        };
        assert_eq!(said, expected);
        let failed = Chosen { failed: true, ..choice };
        assert!(matches!(next(failed, running, chosen, HERE), Next::Return(_)));
    }

    #[test]
    fn what_the_hardware_did_decides() {
        use Slot::{A, B};
        // Not restarted yet: chosen already, or cut off right before.
        check(2, 1, (A, B), ("try", 1));
        check(2, 1, (A, A), ("try", 1));
        check(1, 1, (B, B), ("stays", 1));
        check(1, 1, (A, B), ("return", 1));
        // The choice did not last: it is made again, three times at most.
        check(1, 1, (A, A), ("try", 2));
        check(1, TIMES, (A, A), ("return", TIMES));
    }
}
