//! What one run of a program costs, as the kernel counted it: GNU `time` waits for
//! it and reads the counters of the child and all that the child waited for.

use crate::clock::now;
use crate::process::system;
use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// After how many seconds of the processors' time what is measured for itself is ended, and
/// no peer held up.
pub(super) const FREE: u32 = 3000;
/// What `timeout` says when it ended the program.
const TIMED_OUT: i32 = 124;
/// What a program says that was killed (128 + SIGKILL).
const KILLED: i32 = 137;

/// Of one run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Cost {
    /// User and system, seconds.
    pub(super) cpu: f64,
    /// Seconds by the clock.
    pub(super) wall: f64,
    /// The most of the largest process, MiB.
    pub(super) rss: f64,
}

/// How a run went.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Ran {
    /// It did its work, and said this on standard output.
    Well(Cost, String),
    /// It did not.
    Not(String),
}

/// Runs `command` in `folder`. It is ended after `limit` seconds of the processors' time;
/// ten times as many of the clock's are granted beside others that use the processors.
pub(super) fn measure(command: &Command, folder: &Path, limit: u32) -> Result<Ran> {
    let times = folder.join("times");
    let mut time = system("time", "time")?;
    time.args(["--quiet", "--format", "%U %S %M", "--output"]).arg(&times);
    time.args(["timeout", "--signal", "KILL", &limit.saturating_mul(10).to_string()]);
    time.arg("prlimit").arg(format!("--cpu={limit}:{limit}"));
    time.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    let began = now();
    let output = time.output().context("cannot start `time`")?;
    let wall = (now() - began).as_secs_f64();
    if !output.status.success() {
        return Ok(Ran::Not(why(output.status.code(), &output.stderr, limit)));
    }
    let text = fs::read_to_string(&times)?;
    let cost = Cost { wall, ..parse(&text)? };
    Ok(Ran::Well(cost, String::from_utf8_lossy(&output.stdout).into_owned()))
}

fn why(code: Option<i32>, said: &[u8], limit: u32) -> String {
    match code {
        Some(TIMED_OUT | KILLED) => format!("did not finish within {limit} s of the CPU"),
        _ => {
            let said = String::from_utf8_lossy(said);
            let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no word");
            format!("failed: {last}")
        }
    }
}

fn parse(text: &str) -> Result<Cost> {
    let last = text.lines().last().context("`time` said nothing")?;
    let fields: Vec<f64> = last.split(' ').filter_map(|field| field.parse().ok()).collect();
    let [user, system, kib] = fields.as_slice() else { bail!("`time` said `{last}`") };
    ensure!(*kib > 0.0, "`time` counted no memory");
    Ok(Cost { cpu: user + system, wall: 0.0, rss: kib / 1024.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(script: &str) -> Ran {
        let dir = tempfile::tempdir().unwrap();
        measure(Command::new("sh").args(["-c", script]), dir.path(), 300).unwrap()
    }

    #[test]
    fn work_and_memory_are_counted() {
        let Ran::Well(cost, said) =
            run("i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; echo done")
        else {
            panic!("it failed")
        };
        assert!(cost.cpu > 0.02 && cost.wall >= cost.cpu / 2.0 && cost.rss > 0.5, "{cost:?}");
        assert_eq!(said, "done\n");
    }

    #[test]
    fn failures_say_why() {
        assert_eq!(run("echo bad luck >&2; exit 3"), Ran::Not("failed: bad luck".into()));
        assert_eq!(run("ulimit -t 1; while :; do :; done"), Ran::Not(why(Some(KILLED), b"", 300)));
        assert_eq!(why(Some(TIMED_OUT), b"", 900), "did not finish within 900 s of the CPU");
    }
}
