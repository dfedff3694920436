//! Power cuts on the board's disk, with the loss of its write cache.
//!
//! The emulator writes down all that the disk is asked during a whole update, by U-Boot
//! and by Linux. The disk is then made again as a cut leaves it: what was flushed is
//! there, and of the rest what chance says, torn where chance says. Of each such disk it
//! is judged what the bootloader would start from it; some are given back to the board,
//! which has to come to the new release in the end.

use super::disk::{self, Disk};
use super::layout::Layout;
use super::machine::{self, Devices};
use super::{Args, Case, Workshop, each, ended, memory, writes};
use crate::chance::Chance;
use crate::cuts::record::{Op, Recording};
use crate::cuts::state::{Cut, Left, after};
use crate::cuts::tree::{Change, Node};
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use types::Slot;

/// Cuts that are judged, half of them around what the bootloader remembers.
const JUDGED: usize = 60;
/// How many of them the board is started after, unless after all.
const STARTED: usize = 4;
/// The same with a recovery, where all that is written is what would be started.
const STARTED_RECOVERY: usize = 2;

/// The disk before the update.
pub(super) fn before(folder: &Path) -> PathBuf {
    folder.join("before.img")
}

/// What the disk was asked during it.
pub(super) fn log(folder: &Path) -> PathBuf {
    folder.join("writes.log")
}

/// A recorded update.
struct Recorded<'a> {
    workshop: &'a Workshop,
    case: &'a Case,
    folder: PathBuf,
    recording: Recording,
    /// What each slot holds when it is complete, before and in the end.
    whole: [[Vec<u8>; 2]; 2],
    /// What chance began with.
    seed: u64,
}

/// Cuts the update of `case` off; how many cuts were tried and how many lost.
pub(super) fn cut(workshop: &Workshop, case: &Case, args: &Args) -> Result<(usize, usize)> {
    let folder = workshop.folder(case);
    let recording = writes::recording(fs::read(before(&folder))?, &fs::read(log(&folder))?)?;
    let (old, new) = (fs::read(&workshop.factory)?, fs::read(folder.join("new.img"))?);
    let (whole, started) = match case.layout {
        Layout::Banks | Layout::Loaders => ([[old.clone(), old], [new.clone(), new]], STARTED),
        Layout::Recovery | Layout::Staged => {
            let recovery = fs::read(&workshop.recovery)?;
            ([[old, new], [recovery.clone(), recovery]], STARTED_RECOVERY)
        }
    };
    let seed = args.seed.unwrap_or_else(Chance::any_seed);
    let recorded = Recorded { workshop, case, folder, recording, whole, seed };
    let cuts = choose(&recorded.recording, seed);
    let lost = each(&cuts, |cut| recorded.judged(*cut));
    recorded.sees_damage(&cuts)?;
    let every = if args.long { 1 } else { JUDGED / started };
    // Not the first one, at which nothing has happened.
    let started: Vec<Cut> = cuts.iter().skip(every - 1).step_by(every).copied().collect();
    let lost = lost + each(&started, |cut| recorded.started(*cut));
    println!(
        "tried: {} requests to the disk recorded, {} power cuts judged, the board started after \
         {}, seed {seed}; {lost} lost",
        recorded.recording.ops.len(),
        cuts.len(),
        started.len(),
    );
    Ok((cuts.len() + started.len(), lost))
}

/// Where the power goes: spread over the whole update, and over the requests to the boot
/// partition, in turn.
fn choose(recording: &Recording, seed: u64) -> Vec<Cut> {
    let all: Vec<usize> = (0..recording.ops.len()).collect();
    let to_boot = |place: &&usize| recording.ops.get(**place).is_some_and(is_to_boot);
    let boot: Vec<usize> = all.iter().filter(to_boot).copied().collect();
    let half = JUDGED / 2;
    let spread = |places: &[usize], n: usize| {
        let index = (n * places.len() + places.len() / 2).checked_div(half).unwrap_or(0);
        places.get(index).copied()
    };
    let numbers = (0..half).flat_map(|n| [spread(&all, n), spread(&boot, n)]).flatten();
    // The same place twice is torn in two ways.
    numbers.zip(seed..).map(|(number, seed)| Cut { number, seed }).collect()
}

fn is_to_boot(op: &Op) -> bool {
    matches!(op, Op::Changed(Change::Write { at, .. }) if disk::BOOT.contains(at))
}

impl Recorded<'_> {
    /// Judges what a cut left by what is on the disk.
    fn judged(&self, cut: Cut) -> Result<String> {
        let left = after(&self.recording, cut);
        let slots = self.sound(&left).with_context(|| self.describe(&left.story))?;
        Ok(format!("power cut at {}: would start {}", left.story, in_words(&slots)))
    }

    /// What the bootloader would start, all of which has to be complete.
    fn sound(&self, left: &Left) -> Result<Vec<Slot>> {
        let bytes = disk_of(left)?;
        let slots = memory::would_start(&state_files(bytes)?);
        ensure!(!slots.is_empty(), "the bootloader would start nothing");
        for slot in &slots {
            let [a, b] = &self.whole;
            let (number, whole) = match slot {
                Slot::A => (0, a),
                Slot::B => (1, b),
            };
            let held = disk::slot_in(bytes, number);
            let is_whole = whole.iter().any(|whole| held == Some(whole));
            ensure!(is_whole, "the bootloader would start {slot}, which is not complete");
        }
        Ok(slots)
    }

    /// A disk that forgets its flushes must be found out, or the judge is blind.
    fn sees_damage(&self, cuts: &[Cut]) -> Result<()> {
        let liar = self.recording.without_flushes();
        let is_lost = |cut: &&Cut| self.sound(&after(&liar, **cut)).is_err();
        ensure!(cuts.iter().any(|cut| is_lost(&cut)), "a disk that does not flush loses nothing");
        Ok(())
    }

    /// Starts the board after a cut; it has to come to the new release.
    fn started(&self, cut: Cut) -> Result<String> {
        let left = after(&self.recording, cut);
        let whole = || self.describe(&left.story);
        let slots = self.sound(&left).with_context(whole)?;
        let path = self.folder.join(format!("disk-{}", cut.seed));
        fs::write(&path, disk_of(&left)?)?;
        let devices = Devices { card: Some(self.folder.join("card.img")), ..Devices::default() };
        let console = self.folder.join(format!("console-{}", cut.seed));
        let machine = machine::switch_on(&self.workshop.parts, &path, &devices, &console)?;
        let transcript = machine.end().with_context(whole)?;
        let disk = Disk::at(&path);
        let came = || -> Result<()> {
            ended(&transcript, self.case)?;
            let starts = transcript.starts();
            let first = slots.first().map(Slot::to_string).unwrap_or_default();
            ensure!(starts.starts_with(&first), "it started {starts}, not {first} first");
            for (number, [_, end]) in (0..).zip(&self.whole) {
                ensure!(disk.slot(number)? == *end, "slot {number} is not as it has to be");
            }
            Ok(())
        };
        came().with_context(|| transcript.end()).with_context(whole)?;
        fs::remove_file(&path)?;
        Ok(format!("power cut at {}: started {}", left.story, transcript.starts()))
    }

    fn describe(&self, story: &str) -> String {
        let (name, seed) = (self.case.name, self.seed);
        format!("{name}: LOST by a power cut at {story}; once more: --case {name:?} --seed {seed}")
    }
}

fn disk_of(left: &Left) -> Result<&[u8]> {
    match left.tree.node(Recording::DISK) {
        Some(Node::File(bytes)) => Ok(bytes),
        _ => anyhow::bail!("the recording has no disk"),
    }
}

/// Both state files; an empty one where the file system does not give it.
fn state_files(disk: &[u8]) -> Result<Vec<Vec<u8>>> {
    let partition = tempfile::NamedTempFile::new()?;
    fs::write(partition.path(), disk::boot_in(disk).context("the disk is too short")?)?;
    let files = ["state0.env", "state1.env"].map(|name| disk::boot_file(partition.path(), name));
    files.into_iter().map(|file| Ok(file?.unwrap_or_default())).collect()
}

fn in_words(slots: &[Slot]) -> String {
    slots.iter().map(Slot::to_string).collect::<Vec<_>>().join(", then ")
}
