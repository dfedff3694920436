//! Looks at the memory of a tree of processes, and at what it stores, every few
//! milliseconds.

use anyhow::{Result, anyhow};
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// Between two looks.
const EVERY: Duration = Duration::from_millis(5);

/// The most that was seen at once, in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Memory {
    /// Sum of the resident sets of all processes: a page that two share counts twice.
    pub(super) sum: u64,
    /// What of that sum is not backed by a file.
    pub(super) anonymous: u64,
    /// The largest process, as the kernel remembers it (`VmHWM`).
    pub(super) largest: u64,
    /// Storage for what is not needed afterwards.
    pub(super) temporary: u64,
    /// Storage for records, beyond what was there before.
    pub(super) records: u64,
}

/// Where an installation writes besides the slot.
#[derive(Debug, Clone)]
pub(super) struct Places {
    /// For what is not needed afterwards.
    pub(super) temporary: PathBuf,
    /// For what an installer remembers.
    pub(super) records: PathBuf,
    /// Not counted.
    pub(super) slots: Vec<PathBuf>,
}

/// A thread that looks.
pub(super) struct Sampler {
    roots: Sender<u32>,
    thread: JoinHandle<Memory>,
}

impl Sampler {
    pub(super) fn start(places: Places) -> Self {
        let (roots, new) = channel();
        let thread = thread::spawn(move || {
            let (mut looker, mut watched) = (Looker::new(places), Vec::new());
            loop {
                match new.recv_timeout(EVERY) {
                    Ok(root) => watched.push(root),
                    Err(RecvTimeoutError::Timeout) => looker.look(&watched),
                    Err(RecvTimeoutError::Disconnected) => return looker.peak,
                }
            }
        });
        Self { roots, thread }
    }

    /// The processes below `root` are looked at.
    pub(super) fn watch(&self, root: u32) {
        // A sampler that is gone is noticed at the end.
        let _ = self.roots.send(root);
    }

    pub(super) fn finish(self) -> Result<Memory> {
        drop(self.roots);
        self.thread.join().map_err(|_| anyhow!("the watch over the memory broke"))
    }
}

struct Looker {
    places: Places,
    /// Bytes of records before the start.
    before: u64,
    peak: Memory,
}

impl Looker {
    fn new(places: Places) -> Self {
        let before = stored(&places.records, &places.slots);
        Self { places, before, peak: Memory::default() }
    }

    fn look(&mut self, roots: &[u32]) {
        let (mut sum, mut anonymous) = (0, 0);
        for status in tree(roots).iter().filter_map(|folder| Status::read(folder)) {
            sum += status.resident;
            anonymous += status.anonymous;
            self.peak.largest = self.peak.largest.max(status.most);
        }
        if sum > self.peak.sum {
            (self.peak.sum, self.peak.anonymous) = (sum, anonymous);
        }
        let Places { temporary, records, slots } = &self.places;
        self.peak.temporary = self.peak.temporary.max(stored(temporary, slots));
        let records = stored(records, slots).saturating_sub(self.before);
        self.peak.records = self.peak.records.max(records);
    }
}

/// Folders in `/proc` of the processes `roots` and all below them.
fn tree(roots: &[u32]) -> Vec<PathBuf> {
    let mut open: Vec<_> = roots.iter().map(|pid| i64::from(*pid)).collect();
    let (mut seen, mut folders) = (BTreeSet::new(), Vec::new());
    while let Some(pid) = open.pop() {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        if !seen.insert(pid) {
            continue;
        }
        // A process can end while it is looked at.
        open.extend(children_in(&folder.join("task")).into_iter().flatten().map(i64::from));
        folders.push(folder);
    }
    folders
}

/// Of `/proc/PID/status`, in bytes.
struct Status {
    resident: u64,
    anonymous: u64,
    most: u64,
}

impl Status {
    /// `None` when the process has ended.
    fn read(folder: &Path) -> Option<Self> {
        let text = fs::read_to_string(folder.join("status")).ok()?;
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib: u64 = line.trim_end_matches("kB").trim().parse().ok()?;
            Some(kib << 10)
        };
        Some(Self {
            resident: field("VmRSS:")?,
            anonymous: field("RssAnon:")?,
            most: field("VmHWM:")?,
        })
    }
}

/// Bytes of storage that the files below `folder` take, without `slots`.
fn stored(folder: &Path, slots: &[PathBuf]) -> u64 {
    /// The unit of `st_blocks` (stat(2)).
    const BLOCK: u64 = 512;
    let Ok(inside) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => stored(&entry.path(), slots),
        Ok(found) if found.is_file() && !slots.contains(&entry.path()) => found.blocks() * BLOCK,
        _ => 0,
    };
    inside.flatten().map(size).sum()
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sum, anonymous, largest, temporary, records } = self;
        let [sum, anonymous, largest, temporary, records] =
            [sum, anonymous, largest, temporary, records].map(|bytes| bytes >> 10);
        write!(
            f,
            "{sum} KiB ({anonymous} anonymous), largest {largest}; \
             stored {temporary} KiB, records {records}"
        )
    }
}

/// The children of a process, from its folder of threads in `/proc`.
pub(super) fn children_in(tasks: &Path) -> Result<BTreeSet<i32>> {
    let mut all = BTreeSet::new();
    for task in fs::read_dir(tasks)?.flatten() {
        // A thread can end while it is looked at.
        let text = fs::read_to_string(task.path().join("children")).unwrap_or_default();
        all.extend(text.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::until;
    use std::io::{Read, Write};
    use std::process::{Command, Stdio};

    #[test]
    fn a_tree_and_its_files_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        let slot = dir.path().join("slot");
        fs::write(&slot, vec![1; 1 << 20]).unwrap();
        let places = Places {
            temporary: dir.path().into(),
            records: dir.path().into(),
            slots: vec![slot.clone()],
        };
        let mut looker = Looker::new(places);
        // A shell below a shell, which says when it is there and waits for a word.
        let mut shell = Command::new("sh");
        shell.args(["-c", "sh -c 'echo there; read word; true'; true"]);
        let mut shell = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut said = [0; 5];
        shell.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
        fs::write(dir.path().join("more"), vec![1; 10_000]).unwrap();
        let all = until(Duration::from_secs(60), "two shells", || {
            let all = tree(&[shell.id()]);
            Ok((all.len() == 2).then_some(all))
        });
        looker.look(&[shell.id()]);
        shell.stdin.take().unwrap().write_all(b"end\n").unwrap();
        assert!(shell.wait().unwrap().success());
        assert!(all.is_ok());
        let Memory { sum, anonymous, largest, temporary, records } = looker.peak;
        assert!(sum > largest && largest > 0 && anonymous < sum, "{:?}", looker.peak);
        assert!((10_000..1 << 20).contains(&temporary) && records == temporary);
        looker.look(&[shell.id()]);
        assert_eq!(looker.peak.sum, sum);
    }
}
