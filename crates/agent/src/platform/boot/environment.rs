//! U-Boot's environment: `NAME=value` pairs behind a CRC, in one copy or two.
//!
//! A copy is CRC-32 of the rest (u32, little-endian), with two copies a flag byte
//! that the CRC does not cover, then the pairs, each ended by a zero, an empty one at
//! the end, and padding. Of two whole copies the one with the later flag counts,
//! which wraps from 255 to 0. `fw_printenv` and `fw_setenv` read and write the same.
//!
//! Deliberately absent: the default environment that is compiled into a U-Boot. An
//! environment without a whole copy is an error, so that nothing of a maker's is
//! overwritten; only state files, which hold nothing else, start anew.

use super::Place;
use crate::platform::mtd::Flags;
use std::collections::BTreeMap;
use std::io;

/// Bytes of the CRC.
const CRC: usize = 4;
/// The flag of the copy that counts, in NOR.
const ACTIVE: u8 = 1;
/// The largest environment, in bytes.
pub const SIZE_MAX: usize = 1 << 20;
/// The variable that orders two state files: a hexadecimal number.
const GENERATION: &str = "refit_generation";

/// How the copies are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copies {
    /// There is one. A power cut while it is written loses it.
    Single(Place),
    /// Two, with a flag byte: U-Boot's own redundant environment.
    Flagged([Place; 2]),
    /// Two state files, ordered by a variable in them: for a U-Boot whose script
    /// imports and exports files (`env import -c`, `env export -c`).
    States([Place; 2]),
}

/// An environment on a medium.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Bytes of each copy, CRC and flag included.
    pub size: usize,
    /// Where the copies are.
    pub copies: Copies,
    /// In raw flash, bytes from the beginning of each copy in which it may be: more than
    /// it has where bad blocks are skipped (U-Boot's `CONFIG_ENV_RANGE`). 0 for no more.
    pub range: u64,
}

/// What an environment holds: byte strings, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Variables(BTreeMap<Vec<u8>, Vec<u8>>);

/// One whole copy.
struct Held {
    index: usize,
    flag: u8,
    variables: Variables,
}

impl Variables {
    /// The value of `name`, where there is one and it is text.
    pub fn get(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.0.get(name.as_bytes())?).ok()
    }

    /// Gives `name` a value.
    pub fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.into(), value.into());
    }

    fn decode(bytes: &[u8]) -> Self {
        let pairs = bytes.split(|byte| *byte == 0).take_while(|pair| !pair.is_empty());
        let pairs = pairs.filter_map(|pair| {
            let at = pair.iter().position(|byte| *byte == b'=')?;
            Some((pair.get(..at)?.to_vec(), pair.get(at + 1..)?.to_vec()))
        });
        Self(pairs.collect())
    }

    fn encode(&self, len: usize) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        for (name, value) in &self.0 {
            bytes.extend(name);
            bytes.push(b'=');
            bytes.extend(value);
            bytes.push(0);
        }
        bytes.push(0);
        if bytes.len() > len {
            return Err(io::Error::other("the environment has no room for the variables"));
        }
        bytes.resize(len, 0);
        Ok(bytes)
    }
}

impl Environment {
    /// The variables of the newest whole copy; `None` where two state files are both
    /// lost, or not there yet.
    ///
    /// # Errors
    /// No copy can be read, or no copy of an environment is whole.
    pub fn load(&self) -> io::Result<Option<Variables>> {
        let newest = self.newest()?;
        match (newest, &self.copies) {
            (Some(held), _) => Ok(Some(held.variables)),
            (None, Copies::States(_)) => Ok(None),
            (None, _) => Err(io::Error::other(
                "the bootloader's environment has no whole copy; is its size or offset wrong?",
            )),
        }
    }

    /// Writes `variables` in one write. Where there are two copies, the older one is
    /// written first, and then the other one too: a copy that rots later must not
    /// bring back a trial that was called off.
    ///
    /// # Errors
    /// They do not fit, or cannot be written.
    pub fn save(&self, variables: &Variables) -> io::Result<()> {
        for _ in self.places() {
            self.save_older(variables)?;
        }
        Ok(())
    }

    fn save_older(&self, variables: &Variables) -> io::Result<()> {
        let newest = self.newest()?;
        let flag = newest.as_ref().map_or(0, |held| held.flag.wrapping_add(1));
        let older = newest.as_ref().map_or(0, |held| 1 - held.index.min(1));
        match &self.copies {
            Copies::Single(place) => self.write(place, variables, None),
            Copies::Flagged(places) => self.save_flagged(places, older, flag, variables),
            Copies::States(places) => {
                let mut variables = variables.clone();
                let last = newest.map_or(0, |held| generation(&held.variables));
                variables.set(GENERATION, &format!("{:x}", last.wrapping_add(1)));
                self.write(pick(places, older), &variables, None)
            }
        }
    }

    /// In NOR the copy that counts has a 1, and its writer clears the other one's byte.
    /// A cut in between leaves two copies that count, of which the first one does: old
    /// or new, as any cut may.
    fn save_flagged(
        &self,
        places: &[Place; 2],
        older: usize,
        flag: u8,
        variables: &Variables,
    ) -> io::Result<()> {
        let place = pick(places, older);
        if !place.begins_block()? {
            return Err(io::Error::other("a copy of the environment begins inside of a block"));
        }
        match place.flags()? {
            Flags::Counted => self.write(place, variables, Some(flag)),
            Flags::Active => {
                self.write(place, variables, Some(ACTIVE))?;
                pick(places, 1 - older).clear(CRC as u64, self.range())
            }
        }
    }

    fn write(&self, place: &Place, variables: &Variables, flag: Option<u8>) -> io::Result<()> {
        place.write_within(&self.encode(variables, flag)?, self.range())
    }

    fn range(&self) -> u64 {
        self.range.max(self.size as u64)
    }

    fn places(&self) -> &[Place] {
        match &self.copies {
            Copies::Single(place) => std::slice::from_ref(place),
            Copies::Flagged(places) | Copies::States(places) => places,
        }
    }

    /// Bytes before the pairs.
    fn head(&self) -> usize {
        CRC + usize::from(matches!(self.copies, Copies::Flagged(_)))
    }

    fn newest(&self) -> io::Result<Option<Held>> {
        let mut newest = None;
        let mut unreadable = None;
        for (index, place) in self.places().iter().enumerate() {
            match place.read_within(self.size, self.range()) {
                Ok(bytes) => newest = later(newest, self.decode(index, &bytes)),
                Err(e) => unreadable = Some(e),
            }
        }
        match (newest, unreadable) {
            (None, Some(e)) => Err(e),
            (newest, _) => Ok(newest),
        }
    }

    fn decode(&self, index: usize, bytes: &[u8]) -> Option<Held> {
        let (crc, rest) = bytes.split_first_chunk::<CRC>()?;
        let pairs = bytes.get(self.head()..).filter(|_| bytes.len() == self.size)?;
        if u32::from_le_bytes(*crc) != crc32fast::hash(pairs) {
            return None;
        }
        let flag = *rest.first()?;
        Some(Held { index, flag, variables: Variables::decode(pairs) })
    }

    fn encode(&self, variables: &Variables, flag: Option<u8>) -> io::Result<Vec<u8>> {
        let pairs = variables.encode(self.size.saturating_sub(self.head()))?;
        let mut bytes = crc32fast::hash(&pairs).to_le_bytes().to_vec();
        bytes.extend(flag);
        bytes.extend(pairs);
        Ok(bytes)
    }
}

fn pick(places: &[Place; 2], index: usize) -> &Place {
    let [first, second] = places;
    if index == 0 { first } else { second }
}

fn generation(variables: &Variables) -> u64 {
    let number = variables.get(GENERATION);
    number.and_then(|number| u64::from_str_radix(number, 16).ok()).unwrap_or(0)
}

/// The one of two copies that counts. A flag of 255 comes before one of 0; state
/// files have a generation and no flag.
fn later(one: Option<Held>, two: Option<Held>) -> Option<Held> {
    let (one, two) = match (one, two) {
        (Some(one), Some(two)) => (one, two),
        (one, two) => return one.or(two),
    };
    let generations = generation(&one.variables).cmp(&generation(&two.variables));
    let second = match (one.flag, two.flag) {
        _ if generations.is_ne() => generations.is_lt(),
        (u8::MAX, 0) => true,
        (0, u8::MAX) => false,
        (one, two) => two > one,
    };
    Some(if second { two } else { one })
}
