//! The real program, command by command.

use crate::bench::{Bench, Ended, image};
use std::path::Path;
use types::Effect;

/// 70 chunks and a rest: more than one checkpoint.
const IMAGE: usize = 70 * (64 << 10) + 777;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn check(ended: &Ended, code: i32, part: &str) {
    let all = format!("{}{}", ended.out, ended.err);
    assert_eq!(ended.code, Some(code), "{all}");
    assert!(all.contains(part), "{all}");
}

#[test]
fn a_package_is_installed_started_and_confirmed_without_a_service() {
    let bench = Bench::new();
    let image = image(IMAGE, 1);
    let package = bench.package("2.0", Effect::Slot, &image);
    check(&bench.agent(&["install", text(&package), "--test"]), 0, "would take 2.0");
    check(&bench.agent(&["install", text(&package)]), 100, "restarts");
    assert!(std::fs::read(bench.path("slot-b")).unwrap().starts_with(&image));
    assert_eq!(bench.status()["phase"], "rebooting");
    bench.boot("B", 2);
    check(&bench.agent(&["run", "--once"]), 0, "confirming 2.0");
    let status = bench.status();
    assert_eq!(status["running"]["rootfs"]["version"], "2.0");
    assert_eq!(status["last"]["outcome"], 0);
    check(&bench.agent(&["status", "--why"]), 0, "booted and confirmed");
    check(&bench.agent(&["install", text(&package)]), 10, "already runs");
}

#[test]
fn a_release_that_does_not_boot_is_left() {
    let bench = Bench::new();
    let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 1));
    check(&bench.agent(&["install", text(&package)]), 100, "");
    // What a bootloader does with a slot that does not start, three times.
    let boot = agent::platform::boot::file::BootFile::new(&bench.path("boot"));
    let tried: Vec<String> = (0..4).map(|_| boot.decide().unwrap().to_string()).collect();
    assert_eq!(tried, ["B", "B", "B", "A"]);
    bench.boot("A", 2);
    check(&bench.agent(&["run", "--once"]), 0, "");
    assert_eq!(bench.status()["last"]["outcome"], 209);
}

#[test]
fn a_killed_agent_goes_on() {
    let bench = Bench::new();
    let image = image(7 << 20, 2);
    let package = bench.package("2.0", Effect::Slot, &image);
    let mut child = bench.start(&["install", text(&package)]);
    for n in 0..40 {
        std::thread::sleep(std::time::Duration::from_millis(3 + n % 7));
        child.kill().unwrap();
        if child.wait().unwrap().code() == Some(100) {
            break;
        }
        child = bench.start(&["run", "--once"]);
    }
    drop(child.kill());
    child.wait().unwrap();
    let mut code = bench.agent(&["run", "--once"]).code;
    if bench.status()["phase"] == "idle" {
        // It was killed before the order was saved.
        code = bench.agent(&["install", text(&package)]).code;
    }
    assert_eq!(code, Some(100));
    assert!(std::fs::read(bench.path("slot-b")).unwrap().starts_with(&image));
}

#[test]
fn a_running_agent_takes_the_order() {
    let bench = Bench::new();
    let image = image(IMAGE, 3);
    let package = bench.package("3.1", Effect::Live, &image);
    let mut agent = bench.daemon();
    check(&bench.agent(&["run"]), 1, "another agent runs");
    let ended = bench.agent(&["install", text(&package), "--json"]);
    check(&ended, 0, "\"outcome\":0");
    for line in ended.out.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
    assert!(std::fs::read(bench.path("application/current")).unwrap() == image);
    assert_eq!(bench.status()["agent_runs"], true);
    let pid = rustix::process::Pid::from_child(&agent);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(agent.wait().unwrap().code(), Some(0));
    assert_eq!(bench.status()["agent_runs"], false);
}

#[test]
fn owners_decide() {
    let bench = Bench::new();
    check(&bench.agent(&["cancel"]), 3, "no update");
    check(&bench.agent(&["confirm"]), 3, "no release is on trial");
    check(&bench.agent(&["rollback"]), 3, "no release is on trial");
    check(&bench.agent(&["check"]), 3, "does not run");
    check(&bench.agent(&["pause"]), 0, "paused");
    check(&bench.agent(&["status", "--why"]), 0, "refit-agent resume");
    check(&bench.agent(&["resume"]), 0, "resumed");
    check(&bench.agent(&["automatic", "check", "off"]), 0, "");
    check(&bench.agent(&["status", "--why"]), 0, "refit-agent check");
    check(&bench.agent(&["automatic", "install", "off"]), 0, "");
    let switches = bench.status()["switches"].clone();
    assert_eq!(
        (&switches["automatic_check"], &switches["automatic_install"]),
        (&false.into(), &false.into())
    );
    assert_eq!(switches["paused"], false);
}

#[test]
fn a_person_rolls_back() {
    let bench = Bench::new();
    bench.configure("[health]\nby_hand_within = 600\n");
    let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 4));
    check(&bench.agent(&["install", text(&package)]), 100, "");
    bench.boot("B", 2);
    check(&bench.agent(&["rollback"]), 0, "returns to the release before");
    check(&bench.agent(&["run", "--once"]), 100, "rollback 2.0");
    bench.boot("A", 3);
    check(&bench.agent(&["run", "--once"]), 0, "");
    assert_eq!(bench.status()["last"]["outcome"], 210);
}

#[test]
fn a_person_confirms() {
    let bench = Bench::new();
    bench.configure("[health]\nby_hand_within = 600\n");
    let package = bench.package("2.0", Effect::Slot, &image(IMAGE, 5));
    check(&bench.agent(&["install", text(&package)]), 100, "");
    bench.boot("B", 2);
    check(&bench.agent(&["confirm"]), 0, "stays");
    check(&bench.agent(&["run", "--once"]), 0, "");
    assert_eq!(bench.status()["last"]["outcome"], 0);
}

#[test]
fn mistakes_are_told() {
    let bench = Bench::new();
    check(&bench.agent(&["install", "/no/such/file.zip"]), 1, "cannot open `/no/such/file.zip`");
    check(&bench.agent(&["frobnicate"]), 2, "unrecognized");
    check(&bench.agent(&["config", "check"]), 0, "can be used");
    bench.configure("[helth]\n");
    check(&bench.agent(&["status"]), 1, "unknown field `helth`");
    let noise = bench.path("noise.zip");
    std::fs::write(&noise, [7; 5000]).unwrap();
    bench.configure("");
    check(&bench.agent(&["install", text(&noise)]), 10, "(107)");
    check(&bench.agent(&["install", text(&noise), "--test", "--json"]), 10, "\"outcome\":107");
}

#[test]
fn help_is_complete() {
    let bench = Bench::new();
    check(&bench.agent(&["--help"]), 0, "Exit status:");
    check(&bench.agent(&["completions", "bash"]), 0, "refit-agent");
    let example = bench.agent(&["config", "example"]);
    std::fs::write(bench.path("agent.toml"), &example.out).unwrap();
    check(&bench.agent(&["config", "check"]), 0, "can be used");
}
