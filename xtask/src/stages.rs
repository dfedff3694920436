//! What `cargo xtask test` runs, in order, each stage with its budget.
//!
//! All stages that compile select the same packages with the same features and the
//! same profile, so that nothing is built twice.

use crate::board::{self, GRUB_BIOS, GRUB_OVMF, MALTA, UBOOT};
use crate::count::{Count, count, without_passed};
use crate::cross::Extent;
use crate::house;
use crate::packages;
use crate::programs;
use crate::run::{Ended, Show, run};
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// One stage.
pub(crate) struct Stage {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// After how many seconds it is ended and counts as failed, whatever else the machine
    /// does meanwhile.
    pub budget: u64,
    /// Whether it runs when no stage is named.
    pub length: Length,
    /// Which part of the work it shows; the part has a budget of its own.
    pub group: Group,
    /// Runs it.
    pub run: fn(&Bench) -> Result<Count>,
}

/// Whether a stage belongs to every change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// Always.
    Usual,
    /// With `--all` or `--long`.
    Long,
}

/// A part of the work. Its usual stages share a budget, in which the time is not counted
/// that other programs took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// What all parts share: judging the sources, and building everything.
    Shared,
    /// One release from the maker to a terminal and back.
    Spine,
    /// Deltas.
    Delta,
    /// Rollouts to many terminals.
    Fleet,
    /// Bootloaders, media and protocols of real terminals.
    Terminals,
}

impl Group {
    /// All parts.
    pub(crate) const ALL: [(Self, &str, u64); 5] = [
        (Self::Shared, "shared", 480),
        (Self::Spine, "spine", 600),
        // Five minutes for the images, two for the unit tests of the engine.
        (Self::Delta, "delta", 420),
        (Self::Fleet, "fleet", 240),
        (Self::Terminals, "terminals", 480),
    ];
}

/// Where a stage runs.
pub(crate) struct Bench {
    /// Directory of the workspace.
    pub root: PathBuf,
    /// Where the logs go.
    pub logs: PathBuf,
    /// The stage's name.
    pub stage: &'static str,
    /// The stage's budget.
    pub budget: Duration,
}

/// All stages, in the order in which they run.
pub(crate) const STAGES: &[Stage] = &[
    shared("fmt", "the sources are formatted", 60, fmt),
    shared("house", "floors, bans, licences, shape", 120, house),
    shared("clippy", "no warning anywhere", 600, clippy),
    shared("build", "everything builds", 900, build),
    stage("unit", "unit and integration tests", 400, unit),
    Stage {
        group: Group::Delta,
        ..stage("delta-unit", "unit and integration tests of the delta engine", 300, delta_unit)
    },
    stage("doc", "examples in the documentation", 240, doc),
    stage("sim", "every power cut in the fake world", 420, sim),
    stage("defects", "deliberate defects, each caught", 420, defects),
    stage("end-to-end", "real programs, good and bad input", 420, end_to_end),
    stage("cuts", "recorded writes replayed with power cuts", 300, cuts),
    Stage {
        group: Group::Terminals,
        ..stage("boot", "the agent on a board with U-Boot, in QEMU", 720, boot)
    },
    Stage {
        group: Group::Terminals,
        ..stage("layouts", "every power cut with a recovery or two bootloaders", 240, layouts)
    },
    Stage {
        group: Group::Terminals,
        ..stage("flash", "the agent on NAND with bad blocks and on UBI, in QEMU", 240, flash)
    },
    Stage {
        group: Group::Fleet,
        ..stage("fleet", "a fleet's servers through kills, cuts and full disks", 420, fleet)
    },
    Stage {
        group: Group::Delta,
        ..stage("delta", "deltas of real images, there and back", 480, delta)
    },
    stage("demo", "the main job, with four terminals", 300, demo),
    long("faults", "the same with ten times as many kills", 1800, faults),
    Stage {
        group: Group::Terminals,
        ..long(
            "boot-full",
            "the board started after every one of sixty power cuts",
            3600,
            boot_full,
        )
    },
    Stage {
        group: Group::Terminals,
        ..long(
            "boot-loaders",
            "a board with U-Boot in two copies, and new ones that do not start",
            900,
            boot_loaders,
        )
    },
    Stage {
        group: Group::Terminals,
        ..long("boot-grub", "the agent on a PC with GRUB, BIOS and UEFI", 1200, boot_grub)
    },
    Stage {
        group: Group::Terminals,
        ..long("boot-mips", "the agent on a MIPS board, its bootloader simulated", 900, boot_mips)
    },
    Stage {
        group: Group::Terminals,
        ..long("emmc", "an eMMC's two boot partitions, and NOR, in QEMU", 1200, emmc)
    },
    Stage {
        group: Group::Terminals,
        ..long("foreign", "agents for MIPS and ARM take a delta from a server", 3600, foreign)
    },
    Stage {
        group: Group::Terminals,
        ..long("idle", "how often an agent is woken that has nothing to do", 300, idle)
    },
    Stage {
        group: Group::Terminals,
        ..long("network", "the line, told by NetworkManager and ModemManager", 300, network)
    },
    long("demo-stores", "the main job on PostgreSQL and S3", 600, demo_stores),
    long("demo-full", "the main job, as `cargo demo` has it", 600, demo_full),
    Stage {
        group: Group::Delta,
        ..long("delta-full", "all pairs in every mode, damaged patches of each", 7200, delta_full)
    },
    Stage {
        group: Group::Delta,
        ..long("fuzz", "bytes from outside, made up by libFuzzer for a minute each", 1800, fuzz)
    },
    long("bench", "install against other updaters", 1800, bench),
];

const fn stage(
    name: &'static str,
    what: &'static str,
    budget: u64,
    run: fn(&Bench) -> Result<Count>,
) -> Stage {
    Stage { name, what, budget, length: Length::Usual, group: Group::Spine, run }
}

const fn shared(
    name: &'static str,
    what: &'static str,
    budget: u64,
    run: fn(&Bench) -> Result<Count>,
) -> Stage {
    Stage { group: Group::Shared, ..stage(name, what, budget, run) }
}

const fn long(
    name: &'static str,
    what: &'static str,
    budget: u64,
    run: fn(&Bench) -> Result<Count>,
) -> Stage {
    Stage { length: Length::Long, ..stage(name, what, budget, run) }
}

/// Prints the table of stages.
pub(crate) fn print() {
    for stage in STAGES {
        let length = if stage.length == Length::Long { " (long)" } else { "" };
        println!("{:<12} {:>5} s  {}{length}", stage.name, stage.budget, stage.what);
    }
}

fn fmt(bench: &Bench) -> Result<Count> {
    bench.one(&mut bench.cargo(&["fmt", "--all", "--check"]), Show::All)
}

fn house(bench: &Bench) -> Result<Count> {
    house::check(&bench.root, &house::CHECKS)
}

fn clippy(bench: &Bench) -> Result<Count> {
    let clippy = ["clippy", "--quiet", "--workspace", "--all-targets", "--locked"];
    let all = bench.one(bench.cargo(&clippy).args(["--", "--deny", "warnings"]), Show::All)?;
    let smallest = ["clippy", "--quiet", "--package", "agent", "--locked"];
    let mut smallest = bench.cargo(&smallest);
    smallest.args(Extent::Smallest.features()).args(["--", "--deny", "warnings"]);
    Ok(all.plus(bench.one(&mut smallest, Show::All)?))
}

fn build(bench: &Bench) -> Result<Count> {
    let build = ["build", "--quiet", "--workspace", "--all-targets", "--locked"];
    bench.one(&mut bench.cargo(&build), Show::All)
}

fn unit(bench: &Bench) -> Result<Count> {
    bench.tests(&|package| !["sim", "lab", "delta"].contains(&package))
}

fn delta_unit(bench: &Bench) -> Result<Count> {
    bench.tests(&|package| package == "delta")
}

fn doc(bench: &Bench) -> Result<Count> {
    bench.counted(&mut bench.cargo(&["test", "--quiet", "--workspace", "--doc", "--locked"]))
}

fn sim(bench: &Bench) -> Result<Count> {
    let tests = bench.tests(&|package| package == "sim")?;
    let sweep = bench.one(bench.program("sim")?.arg("sweep"), Show::All)?;
    Ok(tests.plus(sweep))
}

fn layouts(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("sim")?.arg("layouts"), Show::All)
}

fn defects(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("sim")?.arg("defects"), Show::All)
}

fn end_to_end(bench: &Bench) -> Result<Count> {
    bench.tests(&|package| package == "lab")
}

fn cuts(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.arg("cuts"), Show::Tried)
}

fn boot(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    bench.counted(&mut board::command(&bench.root, Path::new(lab.get_program()), &UBOOT)?)
}

fn flash(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    bench.counted(&mut board::flash(&bench.root, Path::new(lab.get_program()))?)
}

fn emmc(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    bench.counted(&mut board::emmc(&bench.root, Path::new(lab.get_program()))?)
}

fn foreign(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    bench.counted(&mut board::foreign(&bench.root, Path::new(lab.get_program()))?)
}

fn idle(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.arg("idle"), Show::All)
}

fn network(bench: &Bench) -> Result<Count> {
    packages::ensure_installed(&packages::NETWORK)?;
    bench.one(bench.program("lab")?.arg("network"), Show::All)
}

fn boot_full(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    let mut command = board::command(&bench.root, Path::new(lab.get_program()), &UBOOT)?;
    bench.counted(command.args(["--long", "--case", "good, from a card"]))
}

fn boot_loaders(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    let mut command = board::command(&bench.root, Path::new(lab.get_program()), &UBOOT)?;
    bench.counted(command.arg("--loaders"))
}

fn boot_grub(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    let run = |chain| {
        bench.counted(&mut board::command(&bench.root, Path::new(lab.get_program()), chain)?)
    };
    Ok(run(&GRUB_BIOS)?.plus(run(&GRUB_OVMF)?))
}

fn boot_mips(bench: &Bench) -> Result<Count> {
    let lab = bench.program("lab")?;
    bench.counted(&mut board::command(&bench.root, Path::new(lab.get_program()), &MALTA)?)
}

fn fleet(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.arg("faults"), Show::Tried)
}

fn faults(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.args(["faults", "--long"]), Show::Tried)
}

fn demo_stores(bench: &Bench) -> Result<Count> {
    let options = ["demo", "--terminals", "4", "--mib", "32", "--store", "postgres"];
    bench.one(bench.program("lab")?.args(options), Show::All)
}

fn delta(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.args(["deltas", "--small"]), Show::Tried)
}

fn delta_full(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.args(["deltas", "--long"]), Show::Tried)
}

fn fuzz(bench: &Bench) -> Result<Count> {
    bench.one(&mut bench.cargo(&["xtask", "fuzz"]), Show::All)
}

fn demo(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.args(["demo", "--terminals", "4", "--mib", "32"]), Show::All)
}

fn demo_full(bench: &Bench) -> Result<Count> {
    bench.one(bench.program("lab")?.arg("demo"), Show::All)
}

fn bench(bench: &Bench) -> Result<Count> {
    bench.one(bench.cargo(&["xtask", "bench", "install"]).arg("--"), Show::All)
}

impl Bench {
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(&self.root).env("CARGO_TERM_COLOR", "never");
        command
    }

    fn program(&self, name: &str) -> Result<Command> {
        let program = programs::directory()?.join(name);
        ensure!(program.is_file(), "`{name}` is not built: run the stage `build` first");
        let mut command = Command::new(program);
        command.current_dir(&self.root);
        Ok(command)
    }

    fn run(&self, command: &mut Command, show: Show) -> Result<Ended> {
        let log = self.log();
        let ended = run(command, self.budget, &log, show)?;
        if !ended.well && show == Show::Tried {
            print!("{}", without_passed(&ended.output));
        }
        Ok(ended)
    }

    /// Where everything is kept that its commands say.
    pub(crate) fn log(&self) -> PathBuf {
        self.logs.join(format!("{}.log", self.stage))
    }

    /// A command that is one test by itself.
    fn one(&self, command: &mut Command, show: Show) -> Result<Count> {
        let well = u64::from(self.run(command, show)?.well);
        Ok(Count { passed: well, failed: 1 - well })
    }

    /// A command that says how many tests passed and failed.
    fn counted(&self, command: &mut Command) -> Result<Count> {
        let ended = self.run(command, Show::Tried)?;
        let count = count(&ended.output);
        // One that fails without a count did not come as far as its tests.
        let unsaid = u64::from(!ended.well && count.failed == 0);
        Ok(count.plus(Count { passed: 0, failed: unsaid }))
    }

    /// The tests of the packages that are `wanted`.
    fn tests(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Count> {
        let packages = packages(&self.root)?;
        let wanted: Vec<&str> =
            packages.iter().map(String::as_str).filter(|package| wanted(package)).collect();
        let count = if has_nextest() { self.nextest(&wanted) } else { self.plain(&wanted) }?;
        ensure!(count != Count::default(), "there was no test to run");
        Ok(count)
    }

    fn nextest(&self, packages: &[&str]) -> Result<Count> {
        let names: Vec<String> = packages.iter().map(|p| format!("package(={p})")).collect();
        let mut command = self.cargo(&["nextest", "run", "--workspace", "--locked"]);
        command.args(["--no-fail-fast", "--color", "never", "--success-output", "final"]);
        self.counted(command.args(["-E", &names.join(" | ")]))
    }

    /// Without nextest: the test programs one after the other.
    fn plain(&self, packages: &[&str]) -> Result<Count> {
        let mut total = Count::default();
        for (directory, program) in self.test_programs()? {
            let package = directory.file_name().and_then(|name| name.to_str());
            if package.is_some_and(|package| packages.contains(&package)) {
                let mut command = Command::new(program);
                command.arg("--show-output").current_dir(directory);
                total = total.plus(self.counted(&mut command)?);
            }
        }
        Ok(total)
    }

    /// Every test program with the directory of its package.
    fn test_programs(&self) -> Result<Vec<(PathBuf, PathBuf)>> {
        let list = ["test", "--no-run", "--workspace", "--locked", "--message-format", "json"];
        let output = self.cargo(&list).output().context("cannot start cargo")?;
        ensure!(output.status.success(), "the tests do not build");
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(test_program).collect())
    }
}

fn test_program(line: &str) -> Option<(PathBuf, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let program = message.get("executable")?.as_str()?;
    let is_test = message.get("profile")?.get("test")?.as_bool()?;
    let manifest = Path::new(message.get("manifest_path")?.as_str()?);
    is_test.then(|| Some((manifest.parent()?.into(), program.into())))?
}

/// The packages of the workspace: each has the name of its folder.
fn packages(root: &Path) -> Result<Vec<String>> {
    let mut names = vec!["xtask".to_owned()];
    for entry in std::fs::read_dir(root.join("crates")).context("cannot list crates/")? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

fn has_nextest() -> bool {
    let mut command = Command::new(env!("CARGO"));
    command.args(["nextest", "--version"]).output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn test_programs_are_told_from_other_messages() {
        let message = r#"{"reason": "compiler-artifact", "executable": "/t/x-1",
            "profile": {"test": true}, "manifest_path": "/w/crates/x/Cargo.toml"}"#;
        let want = (PathBuf::from("/w/crates/x"), PathBuf::from("/t/x-1"));
        assert_eq!(test_program(message), Some(want));
        assert_eq!(test_program(&message.replace("true", "false")), None);
        assert_eq!(test_program("{\"reason\": \"build-finished\"}"), None);
        assert_eq!(test_program("warning"), None);
    }

    #[test]
    fn stages_have_names_of_their_own() {
        let mut names: Vec<_> = STAGES.iter().map(|stage| stage.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), STAGES.len());
    }
}
