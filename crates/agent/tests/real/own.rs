//! The agent replaces itself, started by the script that we ship.

use crate::bench::Bench;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use types::Effect;

/// A terminal whose agent is the component `application`.
fn bench() -> Bench {
    let bench = Bench::new();
    bench.configure_agent();
    let agent = bench.path("application");
    std::fs::create_dir(&agent).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_refit-agent"), agent.join("first")).unwrap();
    std::os::unix::fs::symlink("first", agent.join("current")).unwrap();
    bench
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../contrib/init/refit-agent.sh")
}

/// Installs `program` as the new agent, under the script; the outcome of the update.
fn replace_by(bench: &Bench, program: &[u8]) -> i64 {
    let package = bench.package("2.0", Effect::Live, program);
    let mut init = Command::new("/bin/sh")
        .arg(script())
        .env("REFIT_AGENT_DIR", bench.path("application"))
        .env("REFIT_AGENT_STATUS", bench.path("state/status.json"))
        .env("REFIT_AGENT_CONFIG", bench.path("agent.toml"))
        .env("REFIT_AGENT_UP_WITHIN", "2")
        .env("REFIT_AGENT_RESTART", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while bench.agent(&["check"]).code != Some(0) {}
    let mut install = bench.start(&["install", package.to_str().unwrap()]);
    let ended = loop {
        let status = bench.agent(&["status", "--json"]).out;
        let status: serde_json::Value = serde_json::from_str(&status).unwrap_or_default();
        if status["phase"] == "idle" && status["last"]["version"] == "2.0" {
            break status["last"]["outcome"].as_i64().unwrap();
        }
    };
    drop(install.kill());
    install.wait().unwrap();
    let pid = rustix::process::Pid::from_child(&init);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(init.wait().unwrap().code(), Some(0));
    ended
}

/// Which image runs, and whether a switch is open.
fn state(bench: &Bench) -> (PathBuf, bool) {
    let link = |name: &str| std::fs::read_link(bench.path("application").join(name));
    (link("current").unwrap(), link("previous").is_ok())
}

#[test]
fn a_new_agent_takes_over() {
    let bench = bench();
    // The same program to run, and other bytes.
    let mut new = std::fs::read(env!("CARGO_BIN_EXE_refit-agent")).unwrap();
    new.extend(b"newer");
    assert_eq!(replace_by(&bench, &new), 0);
    assert_eq!(state(&bench), ("second".into(), false));
    let mode = std::fs::metadata(bench.path("application/second")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn a_new_agent_that_ends_is_replaced_by_the_one_before() {
    let bench = bench();
    assert_eq!(replace_by(&bench, b"#!/bin/sh\nexit 1\n"), 210);
    assert_eq!(state(&bench), ("first".into(), false));
}

#[test]
fn a_new_agent_that_hangs_is_replaced_by_the_one_before() {
    let bench = bench();
    assert_eq!(replace_by(&bench, b"#!/bin/sh\nexec sleep 600\n"), 210);
    assert_eq!(state(&bench), ("first".into(), false));
}

#[test]
fn what_is_no_program_at_all_is_replaced_by_the_one_before() {
    let bench = bench();
    assert_eq!(replace_by(&bench, &[7; 5000]), 210);
    assert_eq!(state(&bench), ("first".into(), false));
}
