//! Runs a command with a deadline, shows or keeps what it says, and ends it with
//! all its descendants when the time is over.

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// The most bytes of one command's output that are kept in memory.
const KEPT_MAX: usize = 64 << 20;

/// Parts of a second in which Linux tells processor time (`USER_HZ`).
const TICKS: u64 = 100;

/// What of a command's output appears on the terminal while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// Every line.
    All,
    /// Lines that say how much was tried.
    Tried,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// It exited with status 0 in time.
    pub well: bool,
    /// Its whole output, standard error included.
    pub output: String,
}

/// Runs `command` for at most `budget`, and adds a copy of its output to `log`.
///
/// # Errors
/// It cannot be started, or exceeds the budget.
pub(crate) fn run(
    command: &mut Command,
    budget: Duration,
    log: &Path,
    show: Show,
) -> Result<Ended> {
    let began = now();
    let file = File::options().create(true).append(true).open(log);
    let mut file = file.with_context(|| format!("cannot write {}", log.display()))?;
    writeln!(file, "$ {command:?}")?;
    let mut child = start(command)?;
    let lines = lines(&mut child);
    let mut output = String::new();
    loop {
        let left = budget.saturating_sub(now() - began);
        match lines.recv_timeout(left) {
            Ok(line) => keep(&line, &mut output, &mut file, show)?,
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                end(&mut child);
                bail!("exceeded its budget of {} s and was ended", budget.as_secs());
            }
        }
    }
    let status = child.wait().context("cannot wait for a command")?;
    Ok(Ended { well: status.success(), output })
}

/// Now, for measuring how long a command takes.
#[expect(clippy::disallowed_methods, reason = "this file measures how long commands take")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Processor time of all commands that have ended, and of what they waited for.
pub(crate) fn spent() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name in parentheses may hold anything, so count from its end.
    let numbers = stat.rsplit_once(')').map_or("", |(_, numbers)| numbers);
    let children = numbers.split_ascii_whitespace().skip(13).take(2);
    let ticks: u64 = children.filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

/// Processor time that all programs of the machine took, and what its host took away.
pub(crate) fn busy() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let first = stat.lines().next().unwrap_or_default();
    let numbers = first.split_ascii_whitespace().skip(1).map(|n| n.parse::<u64>().unwrap_or(0));
    // user nice system [idle iowait] irq softirq steal; what follows is counted before.
    let ticks: u64 = numbers
        .take(8)
        .enumerate()
        .filter(|(place, _)| !matches!(place, 3 | 4))
        .map(|(_, ticks)| ticks)
        .sum();
    Duration::from_millis(ticks * 1000 / TICKS)
}

fn start(command: &mut Command) -> Result<Child> {
    let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("cannot start {:?}", command.get_program()))
}

/// The lines of both outputs as they come.
fn lines(child: &mut Child) -> Receiver<String> {
    let (sender, receiver) = channel();
    if let Some(out) = child.stdout.take() {
        forward(out, sender.clone());
    }
    if let Some(err) = child.stderr.take() {
        forward(err, sender);
    }
    receiver
}

fn forward(from: impl Read + Send + 'static, to: Sender<String>) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            if to.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                return;
            }
            line.clear();
        }
    });
}

fn keep(line: &str, output: &mut String, file: &mut File, show: Show) -> Result<()> {
    file.write_all(line.as_bytes())?;
    if output.len() + line.len() <= KEPT_MAX {
        output.push_str(line);
    }
    if show == Show::All || line.trim_start().starts_with("tried: ") {
        print!("{line}");
    }
    Ok(())
}

/// Ends `child` and everything that it started.
fn end(child: &mut Child) {
    for pid in descendants(child.id()) {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
        // One that ended by itself meanwhile is ended too.
        let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
    }
    let _ = child.kill();
    let _ = child.wait();
}

/// The processes that `root` started, directly or not, parents first.
fn descendants(root: u32) -> Vec<u32> {
    let parents = parents();
    let mut found = vec![root];
    let mut at = 0;
    while let Some(parent) = found.get(at).copied() {
        found.extend(parents.iter().filter(|(_, p)| *p == parent).map(|(pid, _)| *pid));
        at += 1;
    }
    found.split_off(1)
}

/// Every process with its parent.
fn parents() -> Vec<(u32, u32)> {
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = all.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| Some((pid, parent(pid)?))).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything, so count from its end.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, budget: Duration) -> Result<Ended> {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        run(command.arg("-c").arg(script), budget, &dir.path().join("log"), Show::Tried)
    }

    #[test]
    fn output_and_status_are_kept() {
        let ended = shell("echo one; echo two >&2; exit 3", Duration::from_secs(60)).unwrap();
        assert!(!ended.well);
        assert!(ended.output.contains("one\n") && ended.output.contains("two\n"));
        assert!(shell("true", Duration::from_secs(60)).unwrap().well);
    }

    #[test]
    fn processor_time_is_counted() {
        let (before, busy_before) = (spent(), busy());
        let work = "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done";
        assert!(shell(work, Duration::from_secs(60)).unwrap().well);
        assert!(spent() > before && busy() > busy_before);
    }

    #[test]
    fn a_command_over_its_budget_is_ended_with_its_children() {
        let began = now();
        let error = shell("sleep 600 & sleep 600", Duration::from_millis(200)).unwrap_err();
        assert!(error.to_string().contains("exceeded its budget"), "{error}");
        assert!(now() - began < Duration::from_secs(60));
    }
}
