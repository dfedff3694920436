//! The real program on a terminal with one system: what is kept and looked at before that
//! is given up, and what the recovery installs from.

use crate::bench::{Bench, Brought, Ended, First, image};
use std::path::Path;
use types::Effect;

const IMAGE: usize = 70 * (64 << 10) + 777;

/// A terminal whose slot A is its only system, with these lines about staging.
fn terminal(staging: &str) -> Bench {
    let bench = Bench::new();
    let path = bench.path("agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let b = format!("b = \"{}\"\n", bench.path("slot-b").display());
    let text = text.replace(&b, "").replacen("[boot]", "layout = \"recovery\"\n[boot]", 1);
    std::fs::write(path, format!("{text}[staging]\n{staging}\n")).unwrap();
    // The factory trusts the recovery.
    agent::platform::boot::file::BootFile::new(&bench.path("boot"))
        .put_behind(types::Slot::B)
        .unwrap();
    bench
}

/// One byte in the middle of the package is another one; that is in its payload.
fn damage(package: &Path) {
    let mut bytes = std::fs::read(package).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(package, bytes).unwrap();
}

fn install(bench: &Bench, package: &Path) -> Ended {
    bench.agent(&["install", package.to_str().unwrap()])
}

/// How the last update ended, and which log it left.
fn last(bench: &Bench) -> (u64, String) {
    let status = bench.agent(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status.out).unwrap();
    (status["last"]["outcome"].as_u64().unwrap(), status["log"].to_string())
}

#[test]
fn a_package_is_kept_before_its_system_is_left_and_the_recovery_needs_no_other() {
    let bench = terminal("use = \"always\"");
    let image = image(IMAGE, 1);
    let package = bench.package("2.0", Effect::Slot, &image);
    let staged = bench.path("state/staged.zip");
    assert_eq!(install(&bench, &package).code, Some(100));
    assert!(!bench.path("slot-a").exists(), "nothing is written yet");
    // It is a package, and holds what the recovery needs.
    let kept = std::fs::read(&staged).unwrap();
    let archive = package::Archive::open(kept.as_slice()).unwrap();
    let names: Vec<&str> = archive.entries().iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["manifest.json", "payload/rootfs.zst"]);
    // The medium it came on is gone.
    std::fs::remove_file(&package).unwrap();
    bench.boot("B", 2);
    assert_eq!(bench.agent(&["run", "--once"]).code, Some(100));
    assert!(std::fs::read(bench.path("slot-a")).unwrap().starts_with(&image));
    bench.boot("A", 3);
    assert_eq!(bench.agent(&["run", "--once"]).code, Some(0));
    assert_eq!(last(&bench).0, 0);
    assert!(!staged.exists(), "what is installed is not kept any longer");
}

/// All payloads of a component are kept: what the first one does not give, the next one
/// does, before the system is left and in the recovery.
#[test]
fn a_payload_that_is_no_good_costs_nothing_where_there_is_another() {
    for first in [First::Damaged, First::Missing] {
        let bench = terminal("use = \"always\"");
        let image = image(IMAGE, 1);
        let brought = Brought { first: Some(first), ..Brought::default() };
        let package = bench.package_with("2.0", Effect::Slot, &image, &brought);
        let ended = install(&bench, &package);
        assert_eq!(ended.code, Some(100), "{first:?}: {}{}", ended.out, ended.err);
        let kept = std::fs::read(bench.path("state/staged.zip")).unwrap();
        let archive = package::Archive::open(kept.as_slice()).unwrap();
        let sizes: Vec<_> = archive.entries().iter().skip(1).map(|entry| entry.size).collect();
        assert!(sizes.len() == 2 && sizes[0] == sizes[1], "{first:?}: {sizes:?}");
        std::fs::remove_file(&package).unwrap();
        bench.boot("B", 2);
        assert_eq!(bench.agent(&["run", "--once"]).code, Some(100), "{first:?}");
        assert!(std::fs::read(bench.path("slot-a")).unwrap().starts_with(&image), "{first:?}");
    }
}

/// What was told to a person, and with which outcome nothing was given up.
#[track_caller]
fn stays(staging: &str, spoil: impl Fn(&Path), outcome: u64, says: &str) {
    let bench = terminal(&staging.replace("{dir}", bench_folder().to_str().unwrap()));
    let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
    spoil(&package);
    let ended = install(&bench, &package);
    assert_ne!(ended.code, Some(100), "{}", ended.err);
    let (told, log) = last(&bench);
    assert_eq!(told, outcome, "{log}");
    assert!(log.contains(says), "{log}");
    assert!(!bench.path("slot-a").exists());
    let boot = agent::platform::boot::file::BootFile::new(&bench.path("boot"));
    assert_eq!(boot.slot(types::Slot::A).unwrap(), agent::edges::SlotFacts::Good);
    assert_eq!(boot.slot(types::Slot::B).unwrap(), agent::edges::SlotFacts::Good);
}

/// A folder of the system that has no room: nothing can be made in it.
fn bench_folder() -> &'static Path {
    Path::new("/proc/self")
}

#[test]
fn a_system_is_not_given_up_for_what_does_not_give_the_next_one() {
    stays("use = \"always\"", damage, 201, "a payload failed");
    stays("use = \"auto\"", damage, 201, "a payload failed");
}

#[test]
fn where_nothing_can_be_kept_it_is_refused_or_fetched_later() {
    stays("use = \"always\"\npath = \"{dir}/staged.zip\"", |_| {}, 206, "0 MiB are free");
    let bench = terminal("use = \"never\"");
    let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
    assert_eq!(install(&bench, &package).code, Some(100));
    assert!(!bench.path("state/staged.zip").exists());
}
