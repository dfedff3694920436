//! How strong the oracles are: deliberate defects of engine and agent, each of which
//! the sweep must catch. A defect is a change of the source; the changed tree is
//! built and swept like the real one.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::thread;

/// One deliberate defect.
struct Defect {
    /// What is wrong, in a word or three.
    name: &'static str,
    /// The file below `crates/`.
    file: &'static str,
    /// The text as it is, once in the file.
    right: &'static str,
    /// The text that is wrong.
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
        "{ let _ = (detail, boot); State::Committing { task, failed_boots } }",
    ),
    defect(
        "the bootloader may try four times",
        "engine/src/state.rs",
        "pub const TRIES: u8 = 3;",
        "pub const TRIES: u8 = 4;",
    ),
    defect(
        "an ended attempt is forgotten",
        "engine/src/next.rs",
        "Self::Idle { over: Some(report.attempt) }",
        "{ let _ = report; Self::Idle { over: None } }",
    ),
    defect(
        "a payload that fails is tried for ever",
        "engine/src/next.rs",
        "Event::PayloadFailed { cursor, another: Another::Payload, spent, .. } => {",
        "Event::PayloadFailed { cursor, spent, .. } => {",
    ),
    defect(
        "a single try that failed is not counted",
        "engine/src/next.rs",
        "Tries::Single => failed_boots.saturating_add(1),",
        "Tries::Single => failed_boots,",
    ),
    defect(
        "the running slot is written",
        "agent/src/perform/inspect.rs",
        "banked.then(|| running.other())",
        "banked.then_some(running)",
    ),
    defect(
        "a slot is written that may be started",
        "agent/src/install.rs",
        "self.edges.boot.set_unbootable(target).map_err(io::Error::other)?;",
        "",
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
        "if let Err(error) = self.flush(task, &job, cursor) {",
        "if cursor.chunk % 8 == 0 && let Err(error) = self.flush(task, &job, cursor) {",
    ),
    defect(
        "nothing is read back",
        "agent/src/read_back.rs",
        "if self.options.read_back == ReadBack::Full {",
        "if self.options.read_back != ReadBack::Full {",
    ),
    defect(
        "progress is not saved",
        "agent/src/device.rs",
        "self.edges.journal.save(&record)",
        "(if matches!(next, State::Installing { .. }) && matches!(self.state, State::Installing { .. }) { Ok(()) } else { self.edges.journal.save(&record) })",
    ),
    defect(
        "a used-up trial is armed again",
        "agent/src/perform/activate.rs",
        "start.slot == target || (used_up && start.boot != since)",
        "{ let _ = (used_up, since); start.slot == target }",
    ),
    defect(
        "a restart of the agent is taken for a boot",
        "agent/src/perform/activate.rs",
        "if start.boot != boot {",
        "if start.boot != boot || self.work.buffer.bytes().is_empty() {",
    ),
    defect(
        "a live component is not switched",
        "agent/src/perform/confirm.rs",
        "live.switch()",
        "{ let _ = live; Ok::<(), std::io::Error>(()) }",
    ),
    defect(
        "a switch is not undone",
        "agent/src/perform/activate.rs",
        "Bank::Live(live) => live.switch_back(),",
        "Bank::Live(_) => Ok(()),",
    ),
    defect(
        "a switch is not kept",
        "agent/src/perform/confirm.rs",
        "Some(Bank::Live(live)) => live.keep()?,",
        "Some(Bank::Live(_)) => {}",
    ),
    defect(
        "a confirmed slot is not marked good",
        "agent/src/perform/confirm.rs",
        "self.edges.boot.mark_running_good()?;",
        "",
    ),
    defect(
        "the floors are not raised",
        "agent/src/perform/confirm.rs",
        "self.edges.floors.raise(name.as_str(), index)",
        "{ let _ = index; Ok(()) }",
    ),
    defect(
        "a refused slot is not disarmed",
        "agent/src/perform/revert.rs",
        "if let Err(error) = self.edges.boot.set_unbootable(target) {",
        "if let Err(error) = Ok::<(), std::io::Error>(()) {",
    ),
    defect(
        "a failed release is not remembered",
        "agent/src/perform/revert.rs",
        "inventory.remember_failure(job.release)",
        "{ let _ = (inventory, &job); }",
    ),
    defect(
        "an expired address is not renewed",
        "agent/src/attend.rs",
        "Some((of, newest)) if *of == attempt => newest.clone(),",
        "Some((of, newest)) if *of == attempt && newest == ordered => newest.clone(),",
    ),
    defect(
        "a report is not kept",
        "agent/src/perform/file.rs",
        "let written = self.write(Outbox::NAME, &outbox);",
        "let written = Ok::<(), DeviceError>(drop(outbox));",
    ),
];

/// What came of one defect.
enum Verdict {
    Caught(String),
    Missed,
    Unusable(String),
}

/// Builds and sweeps every defect that has `word` in its name.
///
/// # Errors
/// The names of those that were not caught, or why they could not be tried.
pub fn try_all(word: &str) -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let chosen: Vec<&Defect> = DEFECTS.iter().filter(|d| d.name.contains(word)).collect();
    if chosen.is_empty() {
        return Err(format!("no defect has `{word}` in its name"));
    }
    let queue = Mutex::new(chosen.iter());
    let bad = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for lane in 0..2 {
            let (root, queue, bad) = (&root, &queue, &bad);
            scope.spawn(move || work(root, lane, queue, bad));
        }
    });
    let bad = bad.into_inner().map_err(|e| e.to_string())?;
    println!("{} deliberate defects tried, {} not caught", chosen.len(), bad.len());
    if bad.is_empty() { Ok(()) } else { Err(bad.join("\n")) }
}

fn work(
    root: &Path,
    lane: usize,
    queue: &Mutex<std::slice::Iter<'_, &Defect>>,
    bad: &Mutex<Vec<String>>,
) {
    let tree = match copy_tree(root, lane) {
        Ok(tree) => tree,
        Err(error) => return report(bad, format!("cannot copy the source: {error}")),
    };
    loop {
        let next = queue.lock().ok().and_then(|mut queue| queue.next());
        let Some(defect) = next else { break };
        match try_one(&tree, defect) {
            Verdict::Caught(by) => println!("caught: {}: {by}", defect.name),
            Verdict::Missed => report(bad, format!("not caught: {}", defect.name)),
            Verdict::Unusable(why) => report(bad, format!("not tried: {}: {why}", defect.name)),
        }
    }
    // A left-over copy costs only room.
    let _ = fs::remove_dir_all(&tree);
}

fn report(bad: &Mutex<Vec<String>>, line: String) {
    println!("{line}");
    if let Ok(mut bad) = bad.lock() {
        bad.push(line);
    }
}

fn try_one(tree: &Path, defect: &Defect) -> Verdict {
    let file = tree.join("crates").join(defect.file);
    let right = match fs::read_to_string(&file) {
        Ok(text) => text,
        Err(error) => return Verdict::Unusable(error.to_string()),
    };
    if right.matches(defect.right).count() != 1 {
        return Verdict::Unusable(format!("`{}` is not once in {}", defect.right, defect.file));
    }
    let verdict = match fs::write(&file, right.replace(defect.right, defect.wrong)) {
        Ok(()) => build_and_sweep(tree),
        Err(error) => Verdict::Unusable(error.to_string()),
    };
    match fs::write(&file, right) {
        Ok(()) => verdict,
        Err(error) => Verdict::Unusable(error.to_string()),
    }
}

fn build_and_sweep(tree: &Path) -> Verdict {
    let mut build = Command::new(env!("CARGO"));
    build.args(["build", "--quiet", "--offline", "--package", "sim"]).current_dir(tree);
    build.env("CARGO_TARGET_DIR", tree.join("target"));
    match build.output() {
        Ok(built) if built.status.success() => {}
        Ok(built) => return Verdict::Unusable(last_line(&built.stderr)),
        Err(error) => return Verdict::Unusable(error.to_string()),
    }
    match Command::new(tree.join("target/debug/sim")).arg("quick").output() {
        Ok(swept) if swept.status.success() => Verdict::Missed,
        Ok(swept) => Verdict::Caught(first_line(&swept.stderr)),
        Err(error) => Verdict::Unusable(error.to_string()),
    }
}

fn first_line(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().to_string()
}

fn last_line(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let error = text.lines().find(|line| line.starts_with("error"));
    error.or_else(|| text.lines().last()).unwrap_or_default().to_string()
}

/// A copy of the workspace's sources, below the build directory.
fn copy_tree(root: &Path, lane: usize) -> io::Result<PathBuf> {
    let exe = std::env::current_exe()?;
    let build = exe.parent().and_then(Path::parent).ok_or(io::ErrorKind::NotFound)?;
    let tree = build.join(format!("defects-{lane}"));
    for name in ["Cargo.toml", "Cargo.lock"] {
        fs::create_dir_all(&tree)?;
        fs::copy(root.join(name), tree.join(name))?;
    }
    for name in ["crates", "xtask"] {
        copy_dir(&root.join(name), &tree.join(name))?;
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
