//! How strong the oracles are: deliberate defects of engine and agent, each of which
//! the sweep must catch. A defect is a change of the source. One copy of the sources
//! gets all of them, each behind a switch, is built once, and is swept with each
//! switch on by itself; with none on it must pass.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// One deliberate defect.
struct Defect {
    /// What is wrong, in a word or three.
    name: &'static str,
    /// The file below `crates/`.
    file: &'static str,
    /// The text as it is, once in the file.
    right: &'static str,
    /// What takes its place while the defect is on: an expression for an expression,
    /// or a text that says itself when it is wrong, by the word `DEFECT`.
    wrong: &'static str,
}

const fn defect(
    name: &'static str,
    file: &'static str,
    right: &'static str,
    wrong: &'static str,
) -> Defect {
    Defect { name, file, right, wrong }
}

/// The deliberate defects.
const DEFECTS: &[Defect] = &[
    defect(
        "an unhealthy release is committed",
        "engine/src/next.rs",
        "roll_back(task, failed_boots, Outcome::Unhealthy, detail, boot)",
        "State::Committing { task, failed_boots }",
    ),
    defect(
        "the bootloader may try four times",
        "agent/src/perform/activate.rs",
        "self.edges.boot.set_trial(target, TRIES)",
        "self.edges.boot.set_trial(target, TRIES + 1)",
    ),
    defect(
        "an ended attempt is forgotten",
        "engine/src/next.rs",
        "Self::Idle { over: Some(report.attempt) }",
        "Self::Idle { over: None }",
    ),
    defect(
        "a payload that fails is tried for ever",
        "engine/src/next.rs",
        "Event::PayloadFailed { cursor, another: Another::Payload, spent, .. } => {",
        "Event::PayloadFailed { cursor, another, spent, .. } if another == Another::Payload || DEFECT => {",
    ),
    defect(
        "a single try that failed is not counted",
        "engine/src/next.rs",
        "failed_boots.saturating_add(1)",
        "failed_boots",
    ),
    defect(
        "the running slot is written",
        "agent/src/perform/inspect.rs",
        "banked.then(|| self.options.layout.target(running))",
        "banked.then_some(running)",
    ),
    defect(
        "a slot is written that may be started",
        "agent/src/install.rs",
        "self.edges.boot.set_unbootable(target).map_err(io::Error::other)?",
        "()",
    ),
    defect(
        "nothing is flushed",
        "agent/src/install.rs",
        "bank.map_or(Ok(()), |bank| bank.medium(task.target).flush())",
        "bank.map_or(Ok(()), |_| Ok(()))",
    ),
    defect(
        "progress is recorded before it is durable",
        "agent/src/install.rs",
        "self.flush(task, &job, cursor, sink)",
        "if cursor.chunk % 8 == 0 { self.flush(task, &job, cursor, sink) } else { Ok(()) }",
    ),
    defect(
        "nothing is read back",
        "agent/src/read_back.rs",
        "self.options.read_back == ReadBack::Full",
        "self.options.read_back != ReadBack::Full",
    ),
    defect(
        "progress is not saved",
        "agent/src/device.rs",
        "self.edges.journal.save(&record)",
        "if matches!((&next, &self.state), (State::Installing { .. }, State::Installing { .. })) { Ok(()) } else { self.edges.journal.save(&record) }",
    ),
    defect(
        "a used-up trial is armed again",
        "agent/src/perform/activate.rs",
        "start.slot == target || (used_up && start.boot != since)",
        "start.slot == target",
    ),
    defect(
        "a restart of the agent is taken for a boot",
        "agent/src/perform/activate.rs",
        "start.boot != boot",
        "start.boot != boot || self.work.buffer.bytes().is_empty()",
    ),
    defect(
        "the terminal restarts during a call",
        "engine/src/policy/rules.rs",
        "body(rules, now).or_else(|| people(rules, now, haste))",
        "body(rules, now)",
    ),
    defect(
        "a rule is not asked right before the bootloader is told",
        "engine/src/policy.rs",
        "State::Activating { failed_boots: 0, boot, .. } if *boot == facts.boot => {",
        "State::Activating { failed_boots: 0, boot, .. } if !DEFECT && *boot == facts.boot => {",
    ),
    defect(
        "a full image is fetched over a line that costs",
        "agent/src/policy.rs",
        "None | Some(Encoding::Frames | Encoding::Plain) => Payload::Full,",
        "None | Some(Encoding::Frames) if DEFECT => Payload::Delta,\n            None | Some(Encoding::Frames | Encoding::Plain) => Payload::Full,",
    ),
    defect(
        "a live component is not switched",
        "agent/src/perform/confirm.rs",
        "live.switch()",
        "Ok::<(), std::io::Error>(())",
    ),
    defect(
        "a switch is not undone",
        "agent/src/perform/activate.rs",
        "live.switch_back()",
        "Ok(())",
    ),
    defect("a switch is not kept", "agent/src/perform/confirm.rs", "live.keep()?", "()"),
    defect(
        "a confirmed slot is not marked good",
        "agent/src/perform/confirm.rs",
        "self.edges.boot.mark_running_good()?",
        "()",
    ),
    defect(
        "the floors are not raised",
        "agent/src/perform/confirm.rs",
        "self.edges.floors.raise(name.as_str(), index)",
        "Ok(())",
    ),
    defect(
        "a refused slot is not disarmed",
        "agent/src/perform/revert.rs",
        "if let Err(error) = self.edges.boot.set_unbootable(target) {",
        "if !DEFECT && let Err(error) = self.edges.boot.set_unbootable(target) {",
    ),
    defect(
        "a failed release is not remembered",
        "agent/src/perform/revert.rs",
        "inventory.remember_failure(job.release)",
        "()",
    ),
    defect(
        "an expired address is not renewed",
        "agent/src/attend.rs",
        "Some((of, newest)) if *of == attempt => newest.clone(),",
        "Some((of, newest)) if *of == attempt && (!DEFECT || newest == ordered) => newest.clone(),",
    ),
    defect(
        "the configuration is not copied",
        "agent/src/perform/configuration.rs",
        "device.edges.configuration.copy(running, to, steps)",
        "{ let _ = (running, to, steps); Ok::<(), CopyError>(()) }",
    ),
    defect(
        "the configuration of an armed slot is made again",
        "agent/src/perform/activate.rs",
        "if matches!(facts, Some(SlotFacts::Trial { left: 1.. })) {",
        "if !DEFECT && matches!(facts, Some(SlotFacts::Trial { left: 1.. })) {",
    ),
    defect(
        "the configuration that runs is removed",
        "agent/src/perform/revert.rs",
        "self.edges.configuration.forget(target)",
        "self.edges.configuration.forget(target.other())",
    ),
    defect(
        "a report is not kept",
        "agent/src/perform/file.rs",
        "self.write(Outbox::NAME, &outbox)",
        "Ok::<(), DeviceError>(())",
    ),
    defect(
        "the system is given up for a recovery that did not prove itself",
        "agent/src/recovery.rs",
        "self.edges.health.check_trusted()",
        "Verdict::Healthy",
    ),
    defect(
        "the system is given up before the recovery is trusted",
        "agent/src/recovery.rs",
        "self.edges.boot.mark_running_good()?",
        "()",
    ),
    defect(
        "a recovery that was only visited stays",
        "agent/src/recovery.rs",
        "self.edges.boot.give_way()?;",
        "if !DEFECT { self.edges.boot.give_way()?; } else { return Ok(()) }",
    ),
    defect(
        "a recovery that does not start is entered for ever",
        "engine/src/next.rs",
        "return State::Entering { task, locator, failed_boots, boot: start_of.boot };",
        "return State::Entering { task, locator, failed_boots: if DEFECT { 0 } else { failed_boots }, boot: start_of.boot };",
    ),
    defect(
        "a system is given up for a package that nobody looked at",
        "engine/src/ahead.rs",
        "check(spend(task, more), kept)",
        "State::Entering { task: spend(task, more), locator: kept, failed_boots: 0, boot: crate::BootId([9; 16]) }",
    ),
    defect(
        "of several payloads the first one is kept only",
        "agent/src/install.rs",
        "ahead::next_payload(job, cursor)",
        "ahead::next_payload(job, cursor).filter(|next| next.payload == 0)",
    ),
    defect(
        "a payload that fails is looked at, and no other one",
        "engine/src/ahead.rs",
        "Event::PayloadFailed { cursor, another: Another::Payload, spent, .. } => {",
        "Event::PayloadFailed { cursor, another: Another::Payload, spent, .. } if !DEFECT => {",
    ),
    defect(
        "what is kept is not made durable",
        "agent/src/install.rs",
        "self.edges.stage.as_mut().map_or(Ok(()), |stage| stage.flush())",
        "Ok(())",
    ),
    defect(
        "what is kept is fetched once more",
        "agent/src/attend.rs",
        "_ if self.is_stage(ordered.as_str()) => ordered.clone(),",
        "_ if !DEFECT && self.is_stage(ordered.as_str()) => ordered.clone(),",
    ),
    defect(
        "a bootloader is called new before it started",
        "agent/src/perform/bootloader.rs",
        "choice if here => Next::Try(choice),",
        "choice if here && !DEFECT => Next::Try(choice),\n        _ if DEFECT => Next::Stays,",
    ),
    defect(
        "a bootloader that did not start stays chosen",
        "agent/src/perform/bootloader.rs",
        "self.choose(name, running)",
        "Ok::<(), Text>(())",
    ),
    defect(
        "the bootloader that is started first is written",
        "agent/src/install.rs",
        "copies.choose(copies.running()?)?;",
        "copies.choose(if DEFECT { copies.running()?.other() } else { copies.running()? })?;",
    ),
];

/// What the copy of the engine gets: the switches.
const SWITCHES: &str = "
/// Which deliberate defect is on.
pub static DEFECT: core::sync::atomic::AtomicUsize = core::sync::atomic::AtomicUsize::new(usize::MAX);

/// Whether the deliberate defect `index` is on.
pub fn defect(index: usize) -> bool {
    DEFECT.load(core::sync::atomic::Ordering::Relaxed) == index
}
";
/// Where the copy of the simulator reads which one is on.
const MAIN: &str = "fn main() -> ExitCode {";
/// How it reads it.
const READ: &str = "
    let defect = std::env::var(\"SIM_DEFECT\").ok().and_then(|index| index.parse().ok());
    engine::DEFECT.store(defect.unwrap_or(usize::MAX), std::sync::atomic::Ordering::Relaxed);";

/// Tries every defect that has `word` in its name.
///
/// # Errors
/// The names of those that were not caught, or why they could not be tried.
pub fn try_all(word: &str) -> Result<(), String> {
    let chosen: Vec<_> =
        DEFECTS.iter().enumerate().filter(|(_, defect)| defect.name.contains(word)).collect();
    if chosen.is_empty() {
        return Err(format!("no defect has `{word}` in its name"));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let tree = copy_tree(&root).map_err(|e| format!("cannot copy the sources: {e}"))?;
    put_in(&tree)?;
    let sim = build(&tree)?;
    let sound = sweep(&sim, None)?;
    if !sound.status.success() {
        return Err(format!("broken without a defect: {}", first_line(&sound.stderr)));
    }
    let mut missed = Vec::new();
    for (index, defect) in &chosen {
        let swept = sweep(&sim, Some(*index))?;
        if swept.status.success() {
            println!("not caught: {}", defect.name);
            missed.push(defect.name);
        } else {
            println!("caught: {}: {}", defect.name, first_line(&swept.stderr));
        }
    }
    println!("{} deliberate defects tried, {} not caught", chosen.len(), missed.len());
    if missed.is_empty() { Ok(()) } else { Err(format!("not caught: {}", missed.join("; "))) }
}

/// Puts all defects and their switches into the copy.
fn put_in(tree: &Path) -> Result<(), String> {
    for (index, defect) in DEFECTS.iter().enumerate() {
        change(tree, defect.file, defect.right, &switched(index, defect))?;
    }
    change(tree, "sim/src/main.rs", MAIN, &format!("{MAIN}{READ}"))?;
    let engine = tree.join("crates/engine/src/lib.rs");
    let whole = fs::read_to_string(&engine).map(|text| text + SWITCHES);
    whole.and_then(|text| fs::write(&engine, text)).map_err(|e| e.to_string())
}

/// The text that is wrong while the switch of `defect` is on.
fn switched(index: usize, defect: &Defect) -> String {
    let root = if defect.file.starts_with("engine/") { "crate" } else { "engine" };
    let on = format!("{root}::defect({index})");
    if defect.wrong.contains("DEFECT") {
        return defect.wrong.replace("DEFECT", &on);
    }
    format!("{{ if {on} {{ {} }} else {{ {} }} }}", defect.wrong, defect.right)
}

fn change(tree: &Path, file: &str, right: &str, wrong: &str) -> Result<(), String> {
    let path = tree.join("crates").join(file);
    let text = fs::read_to_string(&path).map_err(|e| format!("cannot read {file}: {e}"))?;
    if text.matches(right).count() != 1 {
        return Err(format!("`{right}` is not once in {file}"));
    }
    fs::write(&path, text.replace(right, wrong)).map_err(|e| format!("cannot write {file}: {e}"))
}

fn build(tree: &Path) -> Result<PathBuf, String> {
    let target = tree.join("target");
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--offline", "--package", "sim"]).current_dir(tree);
    let built = build.env("CARGO_TARGET_DIR", &target).output().map_err(|e| e.to_string())?;
    if !built.status.success() {
        return Err(format!(
            "the defects do not build:\n{}",
            String::from_utf8_lossy(&built.stderr)
        ));
    }
    Ok(target.join("debug/sim"))
}

fn sweep(sim: &Path, defect: Option<usize>) -> Result<Output, String> {
    let mut sweep = Command::new(sim);
    sweep.arg("quick").env_remove("SIM_DEFECT");
    if let Some(index) = defect {
        sweep.env("SIM_DEFECT", index.to_string());
    }
    sweep.output().map_err(|e| e.to_string())
}

fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_string()
}

/// A copy of the workspace's sources, below the build directory. What was built of an
/// earlier one stays.
fn copy_tree(root: &Path) -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let build = exe.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let tree = build.join("defects");
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::create_dir_all(&tree)?;
        fs::copy(root.join(name), tree.join(name))?;
    }
    for name in ["crates", "fuzz", "xtask"] {
        match fs::remove_dir_all(tree.join(name)) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => copy_dir(&root.join(name), &tree.join(name))?,
        }
    }
    Ok(tree)
}

fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            copy_dir(&from, &to)?;
        } else {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}
