//! Storage that is full: real file systems that are too small.
//!
//! They are mounted where only the test's own thread and its children see them, which
//! takes root's rights.

use crate::world::{World, check, check_still_updates};
use lab::process::{said, system};
use rustix::thread::UnshareFlags;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use types::{Outcome, Slot};

/// Gives this thread mounts of its own. They end with it.
pub(crate) fn own_mounts() {
    let root = rustix::process::geteuid().is_root();
    assert!(root, "this test mounts file systems: run it as root");
    #[expect(
        deprecated,
        reason = "it is unsafe for shared descriptors only, which stay as they are"
    )]
    rustix::thread::unshare(UnshareFlags::NEWNS).unwrap();
    mount(&["--make-rprivate", "/"]);
}

pub(crate) fn mount(words: &[&str]) {
    said(system("mount", "mount").unwrap().args(words)).unwrap();
}

/// A file system of `kib` KiB in the new folder `path`.
fn small(path: &Path, kib: u32) {
    fs::create_dir(path).unwrap();
    let size = format!("size={kib}k,mode=755");
    mount(&["-t", "tmpfs", "-o", &size, "refit", path.to_str().unwrap()]);
}

/// Writes to the new file `path` until nothing more fits.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    while file.write_all(&[7; 4096]).is_ok() {}
}

/// A slot that is a file of a file system with half as much room.
#[test]
fn the_slots_storage_is_full() {
    own_mounts();
    let world = World::new();
    let terminal = world.terminal("terminal");
    let package = world.package("2.0.0", 2);
    let folder = world.file("small");
    small(&folder, 1300);
    let (slot, other) = (terminal.slot(Slot::B), folder.join("slot"));
    fs::copy(&slot, &other).unwrap();
    File::create(&other).unwrap().set_len(fs::metadata(&slot).unwrap().len()).unwrap();
    fill(&folder.join("rest"));
    File::options().write(true).open(folder.join("rest")).unwrap().set_len(700 << 10).unwrap();
    fs::remove_file(&slot).unwrap();
    symlink(&other, &slot).unwrap();
    check("a slot of half the size", &terminal, &package, Outcome::StorageFull);
    fs::remove_file(folder.join("rest")).unwrap();
    check_still_updates(&terminal, &package, "2.0.0");
}

/// A state directory in which nothing more fits.
#[test]
fn the_state_directory_is_full() {
    own_mounts();
    let world = World::new();
    let terminal = world.terminal("terminal");
    let folder = world.file("small");
    small(&folder, 256);
    symlink(&folder, terminal.state()).unwrap();
    check_still_updates(&terminal, &world.package("2.0.0", 2), "2.0.0");
    fill(&folder.join("rest"));
    let next = world.package("3.0.0", 3);
    check("not a byte is free", &terminal, &next, Outcome::StorageFull);
    fs::remove_file(folder.join("rest")).unwrap();
    check_still_updates(&terminal, &next, "3.0.0");
}
