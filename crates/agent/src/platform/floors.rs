//! Rollback floors in a file.
//!
//! For development, and for terminals whose storage an attacker cannot write:
//! whoever restores an older copy of the file lowers the floors. A product keeps
//! them where they cannot be lowered (a TPM's counter, fuses, RPMB) behind the same
//! edge.

use super::files;
use crate::edges::RollbackStore;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The largest file: 32 components and room.
const LIMIT: u64 = 16 << 10;

/// Floors by component, as lines of `component index`.
#[derive(Debug, Clone)]
pub struct FloorFile(PathBuf);

impl FloorFile {
    /// The floors in the file at `path`, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self(path.into())
    }

    fn load(&self) -> io::Result<BTreeMap<String, u64>> {
        let Some(bytes) = files::read(&self.0, LIMIT)? else { return Ok(BTreeMap::new()) };
        let text = String::from_utf8(bytes).map_err(|_| damaged())?;
        text.lines().map(|line| read_line(line).ok_or_else(damaged)).collect()
    }
}

fn read_line(line: &str) -> Option<(String, u64)> {
    let (component, index) = line.split_once(' ')?;
    Some((component.into(), index.parse().ok()?))
}

fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a line that is not `component index`")
}

impl RollbackStore for FloorFile {
    fn floor(&self, component: &str) -> io::Result<u64> {
        Ok(self.load()?.get(component).copied().unwrap_or(0))
    }

    fn raise(&mut self, component: &str, to: u64) -> io::Result<()> {
        if component.is_empty() || component.contains(char::is_whitespace) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a component with that name"));
        }
        let mut floors = self.load()?;
        if floors.get(component).is_some_and(|floor| *floor >= to) {
            return Ok(());
        }
        floors.insert(component.into(), to);
        let text: String = floors.iter().map(|(name, index)| format!("{name} {index}\n")).collect();
        files::replace(&self.0, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_not_floor_zero() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("floors");
        for text in ["rootfs", "rootfs x\n", "rootfs 5\n\n"] {
            std::fs::write(&path, text).unwrap();
            assert!(FloorFile::new(&path).floor("rootfs").is_err(), "{text:?}");
        }
    }
}
