//! Whether two names are of one place.

use super::partition;
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

/// Whether both paths lead to one file or device, or one lies below the other, as far
/// as can be seen now.
pub fn same_place(one: &Path, other: &Path) -> bool {
    if one == other {
        return true;
    }
    let real = |path| partition::locate(path).and_then(std::fs::canonicalize);
    let (Ok(a), Ok(b)) = (real(one), real(other)) else {
        return false;
    };
    let (Ok(of_a), Ok(of_b)) = (std::fs::metadata(&a), std::fs::metadata(&b)) else {
        return false;
    };
    identity(&of_a) == identity(&of_b) || a.starts_with(&b) || b.starts_with(&a)
}

/// What no other file has: its device's number, or its place in its file system.
fn identity(facts: &Metadata) -> (u64, u64) {
    let kind = facts.file_type();
    if kind.is_block_device() || kind.is_char_device() {
        // No inode has this number.
        return (facts.rdev(), u64::MAX);
    }
    (facts.dev(), facts.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_has_many_names() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("a"), "x").unwrap();
        std::fs::write(path("b"), "x").unwrap();
        std::fs::hard_link(path("a"), path("hard")).unwrap();
        std::os::unix::fs::symlink("a", path("soft")).unwrap();
        for name in ["a", "hard", "soft", "./a"] {
            assert!(same_place(&path(name), &path("a")), "{name}");
        }
        assert!(same_place(&path("a"), dir.path()));
        for name in ["b", "c"] {
            assert!(!same_place(&path(name), &path("a")), "{name}");
        }
    }
}
