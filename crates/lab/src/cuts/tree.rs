//! Files and folders in memory, and the changes that are made to them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// A file or folder, whatever names it has: an inode's number, counted from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ino(pub usize);

/// The outermost folder.
pub const ROOT: Ino = Ino(0);

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A file's bytes.
    File(Vec<u8>),
    /// What is in a folder, by name.
    Folder(BTreeMap<String, Ino>),
    /// The name of a socket.
    Socket,
}

/// Something that a power cut may undo, in parts or as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Bytes of a file; it grows where they go beyond its end.
    Write {
        /// The file.
        file: Ino,
        /// Where.
        at: usize,
        /// What.
        bytes: Vec<u8>,
    },
    /// A file's length; what is new is zeros.
    Length {
        /// The file.
        file: Ino,
        /// Bytes.
        len: usize,
    },
    /// Names in one folder that change together: what they stand for now.
    Names {
        /// The folder.
        folder: Ino,
        /// Names, and what has them.
        set: Vec<(String, Option<Ino>)>,
    },
}

/// Files and folders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    nodes: Vec<Node>,
}

impl Node {
    /// The same kind of thing with nothing in it.
    fn emptied(&self) -> Self {
        match self {
            Self::File(_) => Self::File(Vec::new()),
            Self::Folder(_) => Self::Folder(BTreeMap::new()),
            Self::Socket => Self::Socket,
        }
    }
}

impl Change {
    /// The file or folder that it changes.
    pub fn ino(&self) -> Ino {
        match self {
            Self::Write { file, .. } | Self::Length { file, .. } => *file,
            Self::Names { folder, .. } => *folder,
        }
    }
}

impl Default for Tree {
    /// One empty folder.
    fn default() -> Self {
        Self { nodes: vec![Node::Folder(BTreeMap::new())] }
    }
}

impl Tree {
    /// Adds something that has no name yet.
    pub fn add(&mut self, node: Node) -> Ino {
        self.nodes.push(node);
        Ino(self.nodes.len() - 1)
    }

    /// What `ino` is.
    pub fn node(&self, ino: Ino) -> Option<&Node> {
        self.nodes.get(ino.0)
    }

    /// What has the name `name` in `folder`.
    pub fn named(&self, folder: Ino, name: &str) -> Option<Ino> {
        match self.node(folder)? {
            Node::Folder(names) => names.get(name).copied(),
            Node::File(_) | Node::Socket => None,
        }
    }

    /// Makes a change. One that does not fit what is there changes nothing.
    pub fn apply(&mut self, change: &Change) {
        match (self.nodes.get_mut(change.ino().0), change) {
            (Some(Node::File(all)), Change::Write { at, bytes, .. }) => write(all, *at, bytes),
            (Some(Node::File(all)), Change::Length { len, .. }) => all.resize(*len, 0),
            (Some(Node::Folder(names)), Change::Names { set, .. }) => rename(names, set),
            _ => {}
        }
    }

    /// Knows whatever `later` knows besides, as empty things without names.
    pub fn know_of(&mut self, later: &Self) {
        let more = later.nodes.iter().skip(self.nodes.len());
        self.nodes.extend(more.map(Node::emptied));
    }

    /// Writes everything with a name into the folder `to`, which is made. Sockets
    /// are left out: nobody listens any more.
    ///
    /// # Errors
    /// The storage is full.
    pub fn write_out(&self, to: &Path) -> io::Result<()> {
        self.write_folder(ROOT, to)
    }

    fn write_folder(&self, folder: Ino, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        let Some(Node::Folder(names)) = self.node(folder) else { return Ok(()) };
        for (name, ino) in names {
            match self.node(*ino) {
                Some(Node::File(bytes)) => fs::write(to.join(name), bytes)?,
                Some(Node::Folder(_)) => self.write_folder(*ino, &to.join(name))?,
                Some(Node::Socket) | None => {}
            }
        }
        Ok(())
    }
}

fn write(all: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    let Some(end) = at.checked_add(bytes.len()) else { return };
    if all.len() < end {
        all.resize(end, 0);
    }
    if let Some(place) = all.get_mut(at..end) {
        place.copy_from_slice(bytes);
    }
}

fn rename(names: &mut BTreeMap<String, Ino>, set: &[(String, Option<Ino>)]) {
    for (name, ino) in set {
        match ino {
            Some(ino) => names.insert(name.clone(), *ino),
            None => names.remove(name),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_grow_and_shrink() {
        let mut tree = Tree::default();
        let file = tree.add(Node::File(Vec::new()));
        let mut check = |change: Change, want: &[u8]| {
            tree.apply(&change);
            assert_eq!(tree.node(file), Some(&Node::File(want.to_vec())), "{change:?}");
        };
        check(Change::Write { file, at: 2, bytes: b"ab".to_vec() }, b"\0\0ab");
        check(Change::Write { file, at: 1, bytes: b"xy".to_vec() }, b"\0xyb");
        check(Change::Length { file, len: 2 }, b"\0x");
        check(Change::Length { file, len: 4 }, b"\0x\0\0");
        check(Change::Write { file: ROOT, at: 0, bytes: b"no".to_vec() }, b"\0x\0\0");
    }

    #[test]
    fn what_has_a_name_is_written_out() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::default();
        let folder = tree.add(Node::Folder(BTreeMap::new()));
        let file = tree.add(Node::File(b"x".to_vec()));
        let lost = tree.add(Node::File(b"y".to_vec()));
        let name =
            |folder, name: &str, ino| Change::Names { folder, set: vec![(name.to_owned(), ino)] };
        tree.apply(&name(ROOT, "state", Some(folder)));
        tree.apply(&name(folder, "new", Some(file)));
        tree.apply(&name(folder, "old", Some(lost)));
        tree.apply(&name(folder, "old", None));
        tree.write_out(&dir.path().join("out")).unwrap();
        assert_eq!(fs::read(dir.path().join("out/state/new")).unwrap(), b"x");
        assert_eq!(fs::read_dir(dir.path().join("out/state")).unwrap().count(), 1);
        assert_eq!(tree.named(folder, "new"), Some(file));
    }
}
