//! Storage that is full: real file systems that are too small.
//!
//! They are mounted where only the test's own thread and its children see them, which
//! takes root's rights.

use crate::world::{SOON, World, check, check_still_updates, said_last, status, wait_for_status};
use lab::clock::until;
use lab::process::{said, system};
use lab::terminal::Terminal;
use rustix::thread::UnshareFlags;
use serde_json::Value;
use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use types::{Outcome, Report, Slot};

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

/// The terminal's documents.
fn documents(terminal: &Terminal) -> PathBuf {
    terminal.state().join("documents")
}

fn outbox(terminal: &Terminal) -> Value {
    serde_json::from_slice(&fs::read(documents(terminal).join("outbox")).unwrap()).unwrap()
}

/// Outcome and delivery of every report in the outbox.
fn reports(terminal: &Terminal) -> Vec<(Outcome, bool)> {
    let outbox = outbox(terminal);
    let report = |entry: &Value| {
        let report: Report = serde_json::from_value(entry["report"].clone()).unwrap();
        (report.outcome, entry["delivered"].as_bool().unwrap())
    };
    outbox["entries"].as_array().unwrap().iter().map(report).collect()
}

/// Marks every report as `delivered` or not. The agent whose power went did either,
/// and may have left a half-written document, which would be room for another.
fn settle(terminal: &Terminal, delivered: bool) {
    let mut outbox = outbox(terminal);
    for entry in outbox["entries"].as_array_mut().unwrap() {
        entry["delivered"] = delivered.into();
    }
    fs::write(documents(terminal).join("outbox"), outbox.to_string()).unwrap();
    for entry in fs::read_dir(documents(terminal)).unwrap().map(Result::unwrap) {
        if entry.file_name().to_str().unwrap().starts_with('.') {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

/// A state directory in which nothing more fits, after an update whose report was
/// `delivered` or still is to be.
fn check_full_state(delivered: bool) {
    own_mounts();
    let world = World::new();
    let terminal = world.terminal("terminal");
    let folder = world.file("small");
    small(&folder, 256);
    symlink(&folder, terminal.state()).unwrap();
    check_still_updates(&terminal, &world.package("2.0.0", 2), "2.0.0");
    settle(&terminal, delivered);
    fill(&folder.join("rest"));
    let next = world.package("3.0.0", 3);
    check("not a byte is free", &terminal, &next, Outcome::StorageFull);
    assert_eq!(reports(&terminal), [(Outcome::Ok, delivered)], "there was room for a report");
    assert_eq!(status(&terminal)["phase"], "reporting", "the journal keeps it");
    assert_eq!(status(&terminal)["last"]["outcome"], Outcome::StorageFull.code());
    let refused = terminal.agent(&["install", next.to_str().unwrap()]).unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert!(why.contains("make room in the state directory"), "{why}");
    fs::remove_file(folder.join("rest")).unwrap();
    check_still_updates(&terminal, &next, "3.0.0");
    let outcomes: Vec<Outcome> = reports(&terminal).iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::Ok, Outcome::StorageFull, Outcome::Ok], "a report is lost");
}

#[test]
fn the_state_directory_is_full() {
    check_full_state(true);
}

#[test]
fn the_state_directory_is_full_and_a_report_is_not_delivered() {
    check_full_state(false);
}

/// An agent that runs says how it ended, files the report when there is room, and
/// neither ends nor lets the command wait for that.
#[test]
fn the_state_directory_of_an_agent_that_runs_is_full() {
    own_mounts();
    let world = World::new();
    let terminal = world.terminal("terminal");
    let folder = world.file("small");
    small(&folder, 256);
    symlink(&folder, terminal.state()).unwrap();
    let agent = terminal.start_agent().unwrap();
    // Not by asking: where no agent runs yet, the question takes its lock.
    until(SOON, "the agent", || Ok((said_last(&terminal)["phase"] == "idle").then_some(())))
        .unwrap();
    // Room for the owner's word and the order (a page each) and for nothing else.
    fill(&folder.join("rest"));
    let rest = fs::metadata(folder.join("rest")).unwrap().len();
    File::options()
        .write(true)
        .open(folder.join("rest"))
        .unwrap()
        .set_len(rest - 2 * 4096)
        .unwrap();
    check("two pages are free", &terminal, &world.package("2.0.0", 2), Outcome::StorageFull);
    fs::remove_file(folder.join("rest")).unwrap();
    terminal.agent(&["check"]).unwrap();
    wait_for_status(&terminal, "the report", |status| status["phase"] == "idle");
    let outcomes: Vec<Outcome> = reports(&terminal).iter().map(|(outcome, _)| *outcome).collect();
    assert_eq!(outcomes, [Outcome::StorageFull]);
    drop(agent);
    check_still_updates(&terminal, &world.package("3.0.0", 3), "3.0.0");
}
