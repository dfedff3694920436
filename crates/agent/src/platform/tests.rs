//! The real edges pass the suites that the fakes pass.

use super::boot::RunningFrom;
use super::boot::file::{BootFile, BootFileControl};
use super::flash::SlotMedium;
use super::floors::FloorFile;
use super::journal::JournalFile;
use super::live::{DirectPlace, LiveDirectory};
use super::store::Directory;
use crate::edges::conformance;
use std::io;
use std::path::Path;
use types::Tries;

fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

#[test]
fn a_slot_is_a_flash() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("slot");
    conformance::flash(|| Box::new(SlotMedium::new(&path, 1 << 20)));
}

#[test]
fn a_boot_file_is_a_boot_control() {
    for tries in [Tries::Counted(3), Tries::Counted(2), Tries::Single] {
        for running in ["A", "B\n"] {
            let dir = tempfile::tempdir().unwrap();
            let running_file = dir.path().join("running");
            std::fs::write(&running_file, running).unwrap();
            let file = BootFile::new(&dir.path().join("boot"));
            file.mark_good(running.trim().parse().unwrap()).unwrap();
            conformance::boot_control(|| {
                let running = RunningFrom::File(running_file.clone());
                Box::new(BootFileControl::new(file.clone(), tries, running))
            });
        }
    }
}

#[test]
fn a_journal_file_is_a_journal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal");
    conformance::journal(|| Box::new(JournalFile::new(&path)));
}

#[test]
fn a_directory_is_a_store() {
    let dir = tempfile::tempdir().unwrap();
    conformance::store(|| Box::new(Directory::open(dir.path()).unwrap()));
}

#[test]
fn a_floor_file_is_a_rollback_store() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("floors");
    conformance::rollback_store(|| Box::new(FloorFile::new(&path)));
}

#[test]
fn a_live_directory_is_live() {
    let dir = tempfile::tempdir().unwrap();
    let current = dir.path().join("current");
    conformance::live(
        || Box::new(LiveDirectory::new(dir.path(), 1 << 20, Vec::new())),
        || read(&current),
    );
}

#[test]
fn a_place_is_direct() {
    let dir = tempfile::tempdir().unwrap();
    let (place, staging) = (dir.path().join("place"), dir.path().join("staging"));
    conformance::direct(|| Box::new(DirectPlace::new(&place, &staging, 1 << 20)), || read(&place));
}

#[test]
fn a_program_that_does_not_reload_keeps_its_old_image() {
    use crate::edges::{Flash, Live};
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("first"), "old").unwrap();
    std::os::unix::fs::symlink("first", dir.path().join("current")).unwrap();
    let reload = vec!["/bin/false".to_string()];
    let mut live = LiveDirectory::new(dir.path(), 1 << 20, reload);
    live.prepare().unwrap();
    assert!(live.switch().is_err());
    assert_eq!(std::fs::read(dir.path().join("current")).unwrap(), b"old");
}
