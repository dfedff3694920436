//! Programs of the device that the agent runs: without a shell, within a time, in a
//! process group of their own that ends with them, and heard only so far.

use super::clock::Stopwatch;
use super::wait::poll;
use rustix::event::{PollFd, PollFlags};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::Duration;

/// The most bytes of a program's words that are heard: what `mmcli` says of a modem that
/// knows all bands is more than 4 KiB.
pub const HEARD_MAX: usize = 32 << 10;

/// The time between two looks at a running program.
const LOOK: Duration = Duration::from_millis(20);

/// How a program ended, and what it said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How it ended; `None` when it was ended at the limit.
    pub status: Option<ExitStatus>,
    /// The first bytes of its standard output, as text.
    pub said: String,
}

impl Ended {
    /// The words, when the program ended with status 0.
    pub fn words(&self) -> Option<&str> {
        let well = self.status.is_some_and(|status| status.success());
        well.then_some(self.said.trim())
    }
}

/// Runs `command` (program and arguments) until it ends, or ends it after `limit`
/// milliseconds. Its environment holds `variables` and nothing else.
///
/// # Errors
/// There is no such program, or it cannot be started or waited for.
pub fn run(command: &[String], variables: &[(&str, &str)], limit: u64) -> io::Result<Ended> {
    let (program, arguments) =
        command.split_first().ok_or_else(|| io::Error::other("no program"))?;
    let mut command = bare(program);
    command.args(arguments).envs(variables.iter().copied()).stdin(Stdio::null());
    run_prepared(&mut command, limit)
}

/// A command for `program` that gets nothing of what the agent was given.
pub fn bare(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").current_dir("/");
    command
}

/// Runs a command that has its standard input, arguments and variables, as [`run`] does.
///
/// # Errors
/// As [`run`].
pub fn run_prepared(command: &mut Command, limit: u64) -> io::Result<Ended> {
    let watch = Stopwatch::start();
    let mut child = command.stdout(Stdio::piped()).process_group(0).spawn()?;
    let group = Pid::from_child(&child);
    let mut out = child.stdout.take();
    let heard = listen(&mut child, out.as_mut(), &watch, limit);
    // What it started ends with it, whether or not it ended itself.
    let _ = kill_process_group(group, Signal::KILL);
    let (status, said) = heard?;
    if status.is_none() {
        child.wait()?;
    }
    Ok(Ended { status, said: String::from_utf8_lossy(&said).into_owned() })
}

type Heard = (Option<ExitStatus>, Vec<u8>);

fn listen(
    child: &mut Child,
    mut out: Option<&mut ChildStdout>,
    watch: &Stopwatch,
    limit: u64,
) -> io::Result<Heard> {
    let mut said = Vec::new();
    if let Some(out) = &out {
        fcntl_setfl(out, fcntl_getfl(out)? | OFlags::NONBLOCK)?;
    }
    loop {
        let status = child.try_wait()?;
        if let Some(open) = &mut out
            && drain(open, &mut said)? == Pipe::Closed
        {
            out = None;
        }
        if status.is_some() || watch.millis() >= limit {
            return Ok((status, said));
        }
        pause(out.as_deref());
    }
}

/// Whether more can come.
#[derive(PartialEq, Eq)]
enum Pipe {
    Open,
    Closed,
}

/// Takes what is there; what is over the most is thrown away.
fn drain(out: &mut ChildStdout, said: &mut Vec<u8>) -> io::Result<Pipe> {
    let mut piece = [0; 1024];
    // So many pieces at once at most: a program that never stops talking is ended too.
    for _ in 0..64 {
        match out.read(&mut piece) {
            Ok(0) => return Ok(Pipe::Closed),
            Ok(len) => {
                let room = HEARD_MAX.saturating_sub(said.len());
                said.extend(piece.get(..len.min(room)).unwrap_or_default());
            }
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(Pipe::Open)
}

fn pause(out: Option<&ChildStdout>) {
    let Some(out) = out else { return std::thread::sleep(LOOK) };
    let mut fds = [PollFd::new(out, PollFlags::IN)];
    // An error is a pause that ended early.
    let _ = poll(&mut fds, LOOK);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: u64) -> Ended {
        let command = ["/bin/sh", "-c", script].map(String::from);
        run(&command, &[("REFIT_PHASE", "health")], limit).unwrap()
    }

    #[test]
    fn words_are_those_of_a_program_that_ended_well() {
        assert_eq!(sh("echo metered roaming", 5000).words(), Some("metered roaming"));
        assert_eq!(sh("echo metered; exit 1", 5000).words(), None);
        assert_eq!(sh("echo $REFIT_PHASE $HOME", 5000).words(), Some("health"));
        assert!(sh("head -c 9000 /dev/zero; echo end", 5000).said.ends_with("end\n"));
        assert!(run(&["/no/such/program".into()], &[], 1000).is_err());
        assert!(run(&[], &[], 1000).is_err());
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let mark = dir.path().join("pid");
        let watch = Stopwatch::start();
        let ended = sh(&format!("sleep 600 & echo $! > {}; echo hm; wait", mark.display()), 500);
        assert_eq!((ended.status, ended.said.trim()), (None, "hm"));
        assert!(watch.millis() < 5000);
        let child: i32 = std::fs::read_to_string(mark).unwrap().trim().parse().unwrap();
        let gone =
            || !std::path::Path::new(&format!("/proc/{child}/stat")).exists() || zombie(child);
        while !gone() {}
    }

    fn zombie(pid: i32) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |s| s.contains(") Z "))
    }

    #[test]
    fn endless_words_are_heard_only_so_far() {
        let ended = sh("while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done", 700);
        assert_eq!((ended.status, ended.said.len()), (None, HEARD_MAX));
        let ended = sh("head -c 300000 /dev/zero", 5000);
        assert_eq!((ended.words().is_some(), ended.said.len()), (true, HEARD_MAX));
    }

    #[test]
    fn a_program_that_leaves_others_behind_is_not_waited_for() {
        let watch = Stopwatch::start();
        assert_eq!(sh("sleep 600 & echo idle", 30_000).words(), Some("idle"));
        assert!(watch.millis() < 10_000);
    }
}
