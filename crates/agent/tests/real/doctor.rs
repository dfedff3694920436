//! The real program looks at terminals that are put together well and badly.

use crate::bench::Bench;
use serde_json::Value;

/// The finding about `what`, as `state says`.
fn finding(bench: &Bench, what: &str, code: i32) -> String {
    let ended = bench.agent(&["doctor", "--json"]);
    assert_eq!(ended.code, Some(code), "{}{}", ended.out, ended.err);
    let all: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(all["fit"], code == 0);
    let mut about = all["findings"].as_array().unwrap().iter().filter(|f| f["what"] == what);
    let found = about.next().unwrap_or_else(|| panic!("nothing about {what}: {all}"));
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_string();
    assert_eq!(found["state"] == "ok", found["advice"].is_null(), "what is not well has advice");
    format!("{} {}", text("state"), text("says"))
}

#[track_caller]
fn check(more: &str, what: &str, code: i32, expected: &str) {
    let bench = Bench::new();
    let more = more.replace("{dir}", bench.path("").to_str().unwrap().trim_end_matches('/'));
    bench.configure(&more);
    let found = finding(&bench, what, code);
    assert!(found.contains(expected), "{what}: {found}");
}

#[test]
fn a_terminal_that_is_well_is_fit() {
    let bench = Bench::new();
    for (what, expected) in [
        ("configuration", "ok "),
        ("component rootfs, slot A", "ok "),
        ("bootloader", "ok slot A runs; A is good"),
        ("root of trust", "ok 1 of 1 keys"),
        ("storage", "ok "),
        ("watchdog", "warn none"),
        ("server", "warn none"),
    ] {
        let found = finding(&bench, what, 0);
        assert!(found.starts_with(expected), "{what}: {found}");
    }
    assert!(!bench.path("slot-a").exists(), "nothing is made");
    let people = bench.agent(&["doctor"]).out;
    assert!(people.contains("warn  watchdog: none is fed\n      a release that hangs"), "{people}");
}

#[test]
fn what_is_wrong_is_told() {
    check(
        "[components.modem]\neffect = \"direct\"\nplace = \"/no/such/modem\"\nstaging = \"{dir}/s\"\nsize = 9\n",
        "component modem",
        4,
        "fail /no/such/modem",
    );
    check(
        "[components.x]\neffect = \"slot\"\na = \"{dir}/slot-a\"\nb = \"{dir}/./slot-b\"\nsize = 9\n",
        "components rootfs and x",
        4,
        "are one place",
    );
    check(
        "[page]\nlisten = \"127.0.0.1:1\"\npassword_file = \"{dir}/agent.toml\"\n",
        "local page",
        4,
        "fail 127.0.0.1:1: ",
    );
    check("[watchdog]\ndevice = \"/no/such/watchdog\"\n", "watchdog", 4, "fail");
    check("[hooks]\nuser = \"nobody-at-all\"\n", "configuration", if root() { 4 } else { 0 }, "ok");
    check(
        "[server]\nurl = \"https://127.0.0.1:1\"\nca = \"{dir}/ca\"\n",
        "server",
        4,
        "cannot read `",
    );
    check("[partitions.factory]\npath = \"/no/such/part\"\n", "partition factory", 4, "fail");
    check("[configuration]\nfolder = \"{dir}/config\"\n", "own configuration", 0, "warn");
}

/// A device that another program has open, and one that nobody has.
#[test]
fn who_has_the_watchdog_is_told() {
    check("[watchdog]\ndevice = \"/dev/null\"\n", "watchdog", 4, "/dev/null is held by ");
    check("[watchdog]\ndevice = \"/dev/full\"\n", "watchdog", 0, "ok /dev/full, 60 s");
}

/// The agent goes on without the watchdog, says so, and stays when it gets it.
#[test]
fn an_agent_without_its_watchdog_goes_on() {
    let bench = Bench::new();
    bench.configure("[watchdog]\ndevice = \"/no/such/watchdog\"\ntimeout_seconds = 2\n");
    let mut child = bench.daemon();
    let why = loop {
        let said = bench.agent(&["status", "--why"]).out;
        if said.contains("watchdog") {
            break said;
        }
    };
    assert!(why.contains("is not fed: cannot use `/no/such/watchdog`: "), "{why}");
    let package = bench.package("2.0", types::Effect::Slot, &crate::bench::image(1 << 20, 1));
    assert_eq!(bench.agent(&["install", package.to_str().unwrap()]).code, Some(100));
    assert_eq!(child.wait().unwrap().code(), Some(100));
}

/// The recovery has trust files of its own, and may be the only one that has none.
#[test]
fn a_recovery_is_looked_at_too() {
    let bench = Bench::new();
    let path = bench.path("agent.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let b = format!("b = \"{}\"\n", bench.path("slot-b").display());
    let text = text.replace(&b, "").replacen("[boot]", "layout = \"recovery\"\n[boot]", 1);
    std::fs::write(&path, &text).unwrap();
    agent::platform::boot::file::BootFile::new(&bench.path("boot"))
        .put_behind(types::Slot::B)
        .unwrap();
    assert!(finding(&bench, "trust files of the system", 0).starts_with("ok"));
    assert_eq!(bench.agent(&["run", "--once"]).code, Some(0));
    assert!(finding(&bench, "stage", 0).contains("MiB for a package in"));
    bench.boot("B", 2);
    std::fs::remove_file(bench.path("root.json")).unwrap();
    assert!(finding(&bench, "root of trust", 0).starts_with("ok"), "it is stored");
    let found = finding(&bench, "trust files of the recovery", 0);
    assert!(found.starts_with("warn") && found.contains("root.json"), "{found}");
    std::fs::write(&path, format!("{text}[staging]\npath = \"/no/such/folder/s.zip\"\n")).unwrap();
    assert!(finding(&bench, "stage", 4).starts_with("fail"));
}

fn root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn damage_is_told() {
    let bench = Bench::new();
    std::fs::write(bench.path("running"), "C").unwrap();
    assert!(finding(&bench, "bootloader", 4).starts_with("fail"));
    bench.boot("A", 1);
    std::fs::write(bench.path("root.json"), "{}").unwrap();
    assert!(finding(&bench, "root of trust", 4).starts_with("fail"));
    std::fs::remove_file(bench.path("root.json")).unwrap();
    assert!(finding(&bench, "root of trust", 4).contains("root.json"));
    assert!(finding(&bench, "trust files of this image", 4).starts_with("warn"));
    bench.configure("[helth]\n");
    assert!(finding(&bench, "configuration", 4).contains("unknown field"));
}
