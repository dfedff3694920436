//! What a terminal's storage is asked to do, written down in order.

use super::tree::{Change, Ino, Node, ROOT, Tree};
use std::collections::{BTreeMap, BTreeSet};

/// What survives a power cut of what is in the terminal's folder; all else is what a
/// bootloader or a running system knows, and is not recorded.
const SURVIVES: [&str; 4] = ["boot", "slot-a", "slot-b", "state"];
/// How the name of a file begins that is to replace another one.
const NEW: &str = ".new-";

/// One thing that was asked of the storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// It changed.
    Changed(Change),
    /// What was changed of one file or folder became durable.
    Flushed(Ino),
}

/// What happened from some moment on.
#[derive(Debug, Clone)]
pub struct Recording {
    /// What was there, and durable.
    pub before: Tree,
    /// What was asked then.
    pub ops: Vec<Op>,
    /// The last names of everything, for people.
    names: BTreeMap<Ino, String>,
}

/// Storage that writes down what is asked of it; empty at first.
#[derive(Debug, Default)]
pub struct Recorder {
    tree: Tree,
    before: Tree,
    ops: Vec<Op>,
    volatile: BTreeSet<Ino>,
    names: BTreeMap<Ino, String>,
}

impl Recording {
    /// The one file of a recording of a disk.
    pub const DISK: Ino = Ino(1);

    /// What was asked of one disk, which held `before`: operations on [`Self::DISK`].
    pub fn of_disk(before: Vec<u8>, ops: Vec<Op>) -> Self {
        let mut tree = Tree::default();
        let disk = tree.add(Node::File(before));
        Self { before: tree, ops, names: [(disk, "the disk".to_owned())].into() }
    }

    /// The same on a medium that does not flush.
    pub fn without_flushes(&self) -> Self {
        let changes = self.ops.iter().filter(|op| matches!(op, Op::Changed(_)));
        Self { ops: changes.cloned().collect(), ..self.clone() }
    }

    /// The last name of `ino`, for people.
    pub fn name(&self, ino: Ino) -> &str {
        self.names.get(&ino).map_or("the terminal's folder", String::as_str)
    }
}

impl Recorder {
    /// What is there.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// All that is there counts as durable; what is asked from now on is written down.
    pub fn begin(&mut self) {
        self.before = self.tree.clone();
        self.ops.clear();
    }

    /// What was written down.
    pub fn recording(&self) -> Recording {
        let mut before = self.before.clone();
        before.know_of(&self.tree);
        Recording { before, ops: self.ops.clone(), names: self.names.clone() }
    }

    /// Adds `node` as `name` to `folder`.
    pub fn make(&mut self, folder: Ino, name: &str, node: Node) -> Ino {
        let ino = self.tree.add(node);
        if !self.survives(folder, name) {
            self.volatile.insert(ino);
        }
        self.change(Change::Names { folder, set: vec![(name.into(), Some(ino))] });
        ino
    }

    /// Makes a change.
    pub fn change(&mut self, change: Change) {
        self.tree.apply(&change);
        if let Change::Names { set, .. } = &change {
            self.name(set);
        }
        if self.is_recorded(&change) {
            self.ops.push(Op::Changed(change));
        }
    }

    /// Makes durable what was changed of `ino`.
    pub fn flush(&mut self, ino: Ino) {
        if !self.volatile.contains(&ino) {
            self.ops.push(Op::Flushed(ino));
        }
    }

    fn is_recorded(&self, change: &Change) -> bool {
        match change {
            Change::Names { folder, set } => {
                set.iter().all(|(name, _)| self.survives(*folder, name))
            }
            Change::Write { file, .. } | Change::Length { file, .. } => {
                !self.volatile.contains(file)
            }
        }
    }

    fn survives(&self, folder: Ino, name: &str) -> bool {
        let name = name.strip_prefix(NEW).unwrap_or(name);
        if folder == ROOT { SURVIVES.contains(&name) } else { !self.volatile.contains(&folder) }
    }

    fn name(&mut self, set: &[(String, Option<Ino>)]) {
        for (name, ino) in set {
            if let Some(ino) = ino {
                self.names.insert(*ino, name.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> Node {
        Node::File(Vec::new())
    }

    fn write(file: Ino) -> Change {
        Change::Write { file, at: 0, bytes: b"x".to_vec() }
    }

    #[test]
    fn only_what_survives_is_written_down() {
        let mut recorder = Recorder::default();
        recorder.begin();
        let run = recorder.make(ROOT, "run", Node::Folder(BTreeMap::new()));
        let status = recorder.make(run, "status.json", file());
        recorder.change(write(status));
        recorder.flush(status);
        recorder.flush(run);
        assert!(recorder.recording().ops.is_empty());
        let boot = recorder.make(ROOT, ".new-boot", file());
        recorder.change(write(boot));
        recorder.flush(boot);
        let set = vec![(".new-boot".to_owned(), None), ("boot".to_owned(), Some(boot))];
        recorder.change(Change::Names { folder: ROOT, set });
        recorder.flush(ROOT);
        let recording = recorder.recording();
        assert_eq!(recording.ops.len(), 5);
        assert_eq!(recording.ops[1..3], [Op::Changed(write(boot)), Op::Flushed(boot)]);
        assert_eq!(recording.name(boot), "boot");
    }

    #[test]
    fn what_was_there_before_stays_as_it_was() {
        let mut recorder = Recorder::default();
        let slot = recorder.make(ROOT, "slot-a", file());
        recorder.change(write(slot));
        recorder.begin();
        recorder.change(Change::Length { file: slot, len: 9 });
        let later = recorder.make(ROOT, "slot-b", file());
        let Recording { before, ops, .. } = recorder.recording();
        assert_eq!(before.node(slot), Some(&Node::File(b"x".to_vec())));
        assert_eq!(before.node(later), Some(&file()));
        assert_eq!(before.named(ROOT, "slot-b"), None);
        assert_eq!(ops.len(), 2);
    }
}
