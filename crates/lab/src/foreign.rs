//! The agent for other processors, one program at a time in an emulator of its
//! instructions (qemu-user): it starts, says what it is, looks at a terminal, and takes
//! deltas from a real server over TLS, one of them with streams to be made again. An agent
//! that cannot do that takes the full payload. The agent of this machine does the same
//! beside it.
//!
//! The agent starts its worker by itself, so the kernel has to know the emulator
//! (binfmt_misc). It learns that in a namespace of its own, which ends with this; that
//! needs Linux 6.7 and root. Deliberately absent: any figure of time or memory. Both would
//! be the emulator's.

use crate::chance::noise;
use crate::clock::until;
use crate::maker::{Details, Maker, Release};
use crate::operator::Operator;
use crate::process::{Programs, bound_to_us, said, system, through};
use crate::terminal::{Factory, Server, Settings, Terminal};
use anyhow::{Context, Result, bail, ensure};
use protocols::operator::AttemptState;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;
use types::{Outcome, Slot};

/// Bytes of the old image: no multiple of anything.
const SIZE: usize = (3 << 20) + 1001;
/// Lines of the text in a compressed stream.
const LINES: u32 = 40_000;
/// What agents are called that make no streams again.
const SMALLEST: &str = "-smallest";
/// Bytes of a slot.
const SLOT: u64 = 8 << 20;
/// How long the server may take to hear of an end.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs agents for other processors.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Static agents, each with its processor: `mips=PATH`, `mipsel=PATH`, `arm=PATH`,
    /// `aarch64=PATH`. What follows a dash tells two of a processor apart:
    /// `mipsel-smallest=PATH`.
    #[arg(required = true)]
    agents: Vec<String>,
    /// Keep everything in this folder.
    #[arg(long)]
    keep: Option<PathBuf>,
}

/// A processor, as qemu-user calls it, and how its programs begin.
struct Processor {
    name: &'static str,
    /// `EI_CLASS`: 1 for 32 bits, 2 for 64.
    class: u8,
    /// `EI_DATA`: 1 for little-endian, 2 for big-endian.
    order: u8,
    /// `e_machine`.
    machine: u8,
    /// What `doctor` has to say of the sandbox there: nothing of this is in an emulator.
    gap: &'static str,
}

const PROCESSORS: [Processor; 4] = [
    Processor { name: "mips", class: 1, order: 2, machine: 8, gap: NO_FILTER },
    Processor { name: "mipsel", class: 1, order: 1, machine: 8, gap: NO_FILTER },
    Processor { name: "arm", class: 1, order: 1, machine: 40, gap: NO_FILTER },
    Processor { name: "aarch64", class: 2, order: 1, machine: 183, gap: NO_KERNEL },
];
const NO_FILTER: &str = "no seccomp filter for this processor: system calls are not refused";
const NO_KERNEL: &str = "no seccomp in this kernel: system calls are not refused";

/// `lab foreign`.
///
/// # Errors
/// A program is missing, or the namespace cannot be made.
pub fn run(args: &Args) -> Result<ExitCode> {
    let scratch = tempfile::tempdir()?;
    let folder = args.keep.clone().unwrap_or_else(|| scratch.path().into());
    fs::create_dir_all(&folder)?;
    let world = World::open(&folder)?;
    let mut lost = 0;
    let native = world.programs.agent();
    let own = |words: &[&str]| {
        let mut command = bound_to_us(&native);
        command.args(words);
        command
    };
    let tried = args.agents.len() + 1;
    lost += told("this machine", &world.take_all("native", "", &own));
    for agent in &args.agents {
        let (name, path) = agent.split_once('=').context("say PROCESSOR=PATH")?;
        lost += told(name, &world.foreign(name, Path::new(path)));
    }
    let verdict = if lost == 0 { "ok" } else { "FAILED" };
    println!("test result: {verdict}. {} passed; {lost} failed", tried - lost);
    Ok(if lost == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told(name: &str, result: &Result<String>) -> usize {
    match result {
        Ok(said) => println!("tried: {name}: {said}"),
        Err(error) => println!("tried: {name}: FAILED: {error:#}"),
    }
    usize::from(result.is_err())
}

/// A maker, a server with releases, and a place for terminals.
struct World {
    programs: Programs,
    folder: PathBuf,
    maker: Maker,
    operator: Operator,
    updates: [Update; 2],
}

/// A release, what it is an update of, and whether the delta between them has streams that
/// are made again.
struct Update {
    from: &'static str,
    to: &'static str,
    new: Vec<u8>,
    streams: bool,
}

impl World {
    fn open(folder: &Path) -> Result<Self> {
        let programs = Programs::find()?;
        let maker = Maker::new(&programs, &folder.join("keys"))?;
        let operator = Operator::start(&programs, &folder.join("server"), &maker.root())?;
        let old = noise(SIZE);
        let (first, rest) = old.split_at(1_000_000);
        let new = [first, &noise(70_000), rest.get(100_000..).unwrap_or_default()].concat();
        let with_stream = |every| Ok::<_, anyhow::Error>([first, &stream(every)?].concat());
        let images = [old.clone(), new, with_stream(900)?, with_stream(1000)?];
        for (version, index, bytes) in
            VERSIONS.iter().zip(1..).zip(&images).map(|((v, n), bytes)| (*v, n, bytes))
        {
            let image = folder.join(format!("{version}.img"));
            fs::write(&image, bytes)?;
            let details = Details { chunk_size: 128 << 10, ..Details::default() };
            let release = Release { version, index, image: &image, details };
            maker.pack(&release, &folder.join(format!("{version}.zip")))?;
        }
        let [from, to, stream_from, stream_to] = VERSIONS;
        let [_, new, _, new_stream] = images;
        let updates = [
            Update { from, to, new, streams: false },
            Update { from: stream_from, to: stream_to, new: new_stream, streams: true },
        ];
        for Update { from, to, .. } in &updates {
            let package = folder.join(format!("{to}.zip"));
            let mut add = programs.refit();
            add.arg("add-delta").arg("--from").arg(folder.join(format!("{from}.zip")));
            said(add.args(["--max-heap", "8 MiB"]).arg(&package))?;
            operator.publish(&package)?;
        }
        Ok(Self { programs, folder: folder.into(), maker, operator, updates })
    }

    /// One agent for another processor.
    fn foreign(&self, name: &str, agent: &Path) -> Result<String> {
        let agent = &agent.canonicalize().with_context(|| format!("no {}", agent.display()))?;
        let processor = name.split('-').next().unwrap_or(name);
        let known = PROCESSORS.iter().find(|known| known.name == processor);
        let Some(processor) = known else { bail!("the processor `{processor}` is not known") };
        let emulated = Emulated::start(processor)?;
        let run = |words: &[&str]| emulated.command(agent, words);
        let version = said(&mut run(&["--version"]))?;
        let own = said(Command::new(self.programs.agent()).arg("--version"))?;
        ensure!(version.lines().next() == own.lines().next(), "it says it is {version}");
        let nothing = version.contains("built with nothing");
        ensure!(nothing == name.ends_with(SMALLEST), "it says what it has: {version}");
        let took = self.take_all(name, processor.gap, &run)?;
        let size = fs::metadata(agent)?.len();
        Ok(format!("{size} bytes; {took}"))
    }

    /// A terminal for each update.
    fn take_all(
        &self,
        name: &str,
        gap: &str,
        agent: &dyn Fn(&[&str]) -> Command,
    ) -> Result<String> {
        let took = self.updates.iter().map(|update| {
            let kind = if update.streams { "streams" } else { "plain" };
            self.take(&format!("{name}-{kind}"), gap, agent, update)
        });
        Ok(took.collect::<Result<Vec<_>>>()?.join("; "))
    }

    /// A terminal named `name` says what it is not protected from, and takes the new
    /// release as is expected.
    fn take(
        &self,
        name: &str,
        gap: &str,
        agent: &dyn Fn(&[&str]) -> Command,
        update: &Update,
    ) -> Result<String> {
        let tokens = self.operator.tokens(1)?;
        let token = tokens.first().context("the server gave no token")?;
        let server = Server { url: self.operator.address(), ca: &self.operator.ca(), token };
        let factory = Factory {
            programs: &self.programs,
            root: &self.maker.root(),
            image: &self.folder.join(format!("{}.img", update.from)),
            version: update.from,
            slot_size: SLOT,
            server: Some(server),
            settings: &Settings::default(),
        };
        let terminal = Terminal::make(name, &self.folder, &factory)?;
        let config = terminal.config().display().to_string();
        let does = |words: &[&str]| -> Result<(Option<i32>, String)> {
            let mut command = agent(&[words, &["--config", &config]].concat());
            let output = command.stdin(Stdio::null()).output().context("cannot start it")?;
            let all = [output.stdout, output.stderr].concat();
            Ok((output.status.code(), String::from_utf8_lossy(&all).into_owned()))
        };
        let (code, doctor) = does(&["doctor"])?;
        let is_smallest = name.contains(SMALLEST);
        let (want, says) = if is_smallest { (2, "the feature `doctor`") } else { (0, gap) };
        ensure!(code == Some(want), "doctor ended with {code:?}: {doctor}");
        ensure!(doctor.contains(says), "doctor does not say `{says}`: {doctor}");
        let filter = format!("device=={name}");
        self.operator.roll_out(name, update.to, &["--filter", &filter])?;
        let (code, log) = does(&["run", "--once"])?;
        ensure!(code == Some(100), "it wants no restart, {code:?}: {log}");
        ensure!(log.contains(gap), "it does not say `{gap}`: {log}");
        let slot = fs::read(terminal.slot(Slot::B))?;
        ensure!(slot.get(..update.new.len()) == Some(&update.new), "slot B is not the new release");
        fs::write(terminal.running_slot(), "B")?;
        fs::write(terminal.boot_id(), "1".repeat(32))?;
        let (code, log) = does(&["run", "--once"])?;
        ensure!(code == Some(0), "it ended with {code:?}: {log}");
        self.judge(name, update)
    }

    /// What the server was told.
    fn judge(&self, name: &str, update: &Update) -> Result<String> {
        let attempt = until(PATIENCE, "the report", || {
            let attempts = self.operator.device(name)?.attempts;
            Ok(attempts.into_iter().find(|attempt| attempt.outcome.is_some()))
        })?;
        let well = attempt.state == AttemptState::Confirmed && attempt.outcome == Some(Outcome::Ok);
        ensure!(well, "the server was told {:?}: {}", attempt.outcome, attempt.detail);
        let (fetched, full) = (attempt.spent.bytes, update.new.len() as u64);
        if update.streams && name.contains(SMALLEST) {
            ensure!(fetched * 10 > full * 9, "it fetched {fetched} bytes: was that all?");
            return Ok(format!("left a delta that it cannot apply for {fetched} bytes of {full}"));
        }
        ensure!(fetched * 4 < full, "it fetched {fetched} bytes: was that the delta?");
        Ok(format!("took {full} bytes as a delta of {fetched} over TLS, and is confirmed"))
    }
}

/// The releases: two without streams, and two with one that a small change makes all anew.
const VERSIONS: [&str; 4] = ["1.0.0", "2.0.0", "3.0.0", "4.0.0"];

/// A text of which some lines are others, compressed by another program.
fn stream(every: u32) -> Result<Vec<u8>> {
    let line = |n: u32| {
        let value = if n.is_multiple_of(every) { n } else { n.wrapping_mul(7919) % 10_007 };
        format!("setting.{n} = {value}\n")
    };
    let text: String = (0..LINES).map(line).collect();
    through(system("gzip", "gzip")?.args(["--no-name", "-6", "--stdout"]), text.as_bytes())
}

/// A namespace in which the kernel runs programs of another processor.
struct Emulated {
    holder: Child,
}

impl Emulated {
    fn start(processor: &Processor) -> Result<Self> {
        let program = format!("qemu-{}-static", processor.name);
        let emulator = system(&program, "qemu-user-static")?.get_program().to_owned();
        let script = format!(
            "read go; mount -t binfmt_misc none /proc/sys/fs/binfmt_misc && \
             printf '%s' '{}' >/proc/sys/fs/binfmt_misc/register && echo ready && read end",
            processor.rule(Path::new(&emulator))
        );
        let mut command = bound_to_us(Path::new("unshare"));
        command.args(["--user", "--mount", "sh", "-c", &script]);
        let holder = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut emulated = Self { holder: holder.context("cannot start `unshare`")? };
        emulated.open().context("cannot teach the kernel another processor: Linux 6.7, root?")?;
        Ok(emulated)
    }

    /// Waits until it is in its namespace, says who is who in it, and lets it go on.
    fn open(&mut self) -> Result<()> {
        let own = fs::read_link("/proc/self/ns/user")?;
        let proc = PathBuf::from(format!("/proc/{}", self.holder.id()));
        until(PATIENCE, "the namespace", || {
            let theirs = fs::read_link(proc.join("ns/user"))?;
            Ok((theirs != own).then_some(()))
        })?;
        for map in ["uid_map", "gid_map"] {
            fs::write(proc.join(map), "0 0 65536\n")?;
        }
        let input = self.holder.stdin.as_mut().context("no pipe")?;
        input.write_all(b"go\n")?;
        let mut answer = String::new();
        let output = self.holder.stdout.as_mut().context("no pipe")?;
        BufReader::new(output).read_line(&mut answer)?;
        ensure!(answer == "ready\n", "it is not ready");
        Ok(())
    }

    fn command(&self, program: &Path, words: &[&str]) -> Command {
        let mut command = bound_to_us(Path::new("nsenter"));
        command.args(["--user", "--mount", "--target", &self.holder.id().to_string()]);
        command.arg(program).args(words);
        command
    }
}

impl Drop for Emulated {
    fn drop(&mut self) {
        // Its namespace ends with it.
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

impl Processor {
    /// For `register` (`admin-guide/binfmt-misc.rst`): static programs of this processor
    /// run in `emulator`, which is opened now.
    fn rule(&self, emulator: &Path) -> String {
        // Of its kind and processor, the low byte comes first or last. A program has the
        // kind 2 or, where it can be anywhere in memory, 3.
        let word = |low: &str, high: &str| match self.order {
            2 => format!("{high}{low}"),
            _ => format!("{low}{high}"),
        };
        let machine = word(&format!("\\x{:02x}", self.machine), "\\x00");
        let (class, order) = (self.class, self.order);
        let (zeros, kind) = ("\\x00".repeat(9), word("\\x02", "\\x00"));
        let magic = format!("\\x7fELF\\x{class:02x}\\x{order:02x}\\x01{zeros}{kind}{machine}");
        let (set, kind) = ("\\xff", word("\\xfe", "\\xff"));
        // Any system's program, and any version of its rules: one of MIPS at a fixed
        // address is of version 1.
        let any = "\\x00".repeat(2);
        let mask = format!("{}{any}{}{kind}{}", set.repeat(7), set.repeat(7), set.repeat(2));
        format!(":{}:M::{magic}:{mask}:{}:F", self.name, emulator.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_magic_and_mask_of_the_same_length() {
        for processor in &PROCESSORS {
            let rule = processor.rule(Path::new("/bin/emulator"));
            let parts: Vec<&str> = rule.split(':').collect();
            let len = |text: &str| text.replace("ELF", "\\x45\\x4c\\x46").len() / 4;
            assert_eq!((len(parts[4]), len(parts[5])), (20, 20), "{rule}");
        }
    }
}
