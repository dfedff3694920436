//! What the agent writes for a bootloader, read by the convention's own tool, and the
//! other way round.

use agent::edges::{BootControl, SlotFacts};
use agent::platform::boot::environment::{Copies, Environment};
use agent::platform::boot::{
    Control, Convention, Counting, Names, Place, RunningFrom, bootcount::BootCount,
    chromeos::ChromeOs, grub::Grub, rauc::Rauc,
};
use std::path::{Path, PathBuf};
use std::process::Command;
use types::{Slot, Tries};

const SIZE: usize = 0x4000;

/// Runs a tool, which has to succeed; what it said.
#[track_caller]
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect(program);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn edge<C: Convention + 'static>(folder: &Path, convention: C) -> Control {
    let running = folder.join("running");
    std::fs::write(&running, "A").unwrap();
    Control::new(convention, Some(RunningFrom::File(running)))
}

/// An environment that `fw_setenv` made, and how to ask for a variable.
struct Uboot {
    folder: tempfile::TempDir,
    environment: Environment,
}

impl Uboot {
    fn new(copies: u64, variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("env");
        std::fs::write(&path, vec![0xff; 2 * SIZE]).unwrap();
        let place = |n: u64| Place { path: path.clone(), offset: n * SIZE as u64 };
        let lines =
            (0..copies).map(|n| format!("{} {:#x} {SIZE:#x}\n", text(&path), place(n).offset));
        std::fs::write(folder.path().join("fw_env.config"), lines.collect::<String>()).unwrap();
        let defaults = variables.iter().map(|(name, value)| format!("{name}={value}\n"));
        std::fs::write(folder.path().join("defaults"), defaults.collect::<String>()).unwrap();
        let copies = match copies {
            1 => Copies::Single(place(0)),
            _ => Copies::Flagged([place(0), place(1)]),
        };
        let uboot = Self { folder, environment: Environment { size: SIZE, copies, range: 0 } };
        uboot.set("made_by", "fw_setenv");
        uboot
    }

    fn set(&self, name: &str, value: &str) {
        let (config, defaults) = (self.file("fw_env.config"), self.file("defaults"));
        run("fw_setenv", &["-c", text(&config), "-f", text(&defaults), name, value]);
    }

    fn get(&self, name: &str) -> String {
        run("fw_printenv", &["-c", text(&self.file("fw_env.config")), "-n", name])
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

#[test]
fn uboot_tools_read_what_the_agent_writes() {
    for copies in [1, 2] {
        let uboot = Uboot::new(copies, &[("BOOT_ORDER", "A"), ("BOOT_A_LEFT", "3")]);
        let (environment, counting) = (uboot.environment.clone(), Counting::Trial);
        let rauc = Rauc { environment, names: Names::default(), tries: 3, counting };
        let mut edge = edge(uboot.folder.path(), rauc);
        // More writes than a flag byte has values.
        for _ in 0..140 {
            edge.set_trial(Slot::B, 3).unwrap();
            edge.set_unbootable(Slot::B).unwrap();
        }
        assert_eq!(uboot.get("BOOT_ORDER"), "A");
        edge.set_trial(Slot::B, 3).unwrap();
        assert_eq!(uboot.get("BOOT_ORDER"), "B A");
        assert_eq!((uboot.get("BOOT_A_LEFT"), uboot.get("BOOT_B_LEFT")), ("3".into(), "3".into()));
        assert_eq!(uboot.get("made_by"), "fw_setenv");
        for left in [2, 1, 0] {
            uboot.set("BOOT_B_LEFT", &left.to_string());
            assert_eq!(edge.slot(Slot::B).unwrap(), SlotFacts::Trial { left });
        }
        assert_eq!(edge.slot(Slot::A).unwrap(), SlotFacts::Good);
    }
}

#[test]
fn uboot_tools_write_menders_variables() {
    let factory = [("mender_boot_part", "2"), ("mender_boot_part_hex", "2")];
    let uboot = Uboot::new(2, &factory);
    let values = Names { a: "2".into(), b: "3".into() };
    let mender = BootCount::mender(uboot.environment.clone(), values, Tries::Single);
    let mut edge = edge(uboot.folder.path(), mender);
    edge.set_trial(Slot::B, 3).unwrap();
    let get = |name| uboot.get(name);
    assert_eq!((get("mender_boot_part"), get("mender_boot_part_hex")), ("3".into(), "3".into()));
    assert_eq!((get("upgrade_available"), get("bootlimit")), ("1".into(), "1".into()));
    uboot.set("bootcount", "1");
    assert_eq!(edge.slot(Slot::B).unwrap(), SlotFacts::Trial { left: 0 });
    uboot.set("upgrade_available", "0");
    assert_eq!(edge.slot(Slot::B).unwrap(), SlotFacts::Good);
}

/// A copy that is damaged while B is committed changes nothing.
#[test]
fn one_damaged_copy_of_two_loses_nothing() {
    for damaged in [0, 1] {
        let uboot = Uboot::new(2, &[("BOOT_ORDER", "A B"), ("BOOT_A_LEFT", "3")]);
        let (environment, counting) = (uboot.environment.clone(), Counting::Trial);
        let rauc = Rauc { environment, names: Names::default(), tries: 3, counting };
        let edge = |running: &str| {
            let path = uboot.file("running");
            std::fs::write(&path, running).unwrap();
            Control::new(rauc.clone(), Some(RunningFrom::File(path)))
        };
        edge("A").set_trial(Slot::B, 3).unwrap();
        edge("B").mark_running_good().unwrap();
        edge("B").set_unbootable(Slot::A).unwrap();
        edge("B").set_trial(Slot::A, 3).unwrap();
        edge("B").set_unbootable(Slot::A).unwrap();
        let mut bytes = std::fs::read(uboot.file("env")).unwrap();
        bytes[damaged * SIZE + 20] ^= 1;
        std::fs::write(uboot.file("env"), bytes).unwrap();
        assert_eq!(edge("B").slot(Slot::B).unwrap(), SlotFacts::Good);
        assert_eq!(uboot.get("BOOT_ORDER").split(' ').next(), Some("B"));
    }
}

#[test]
fn grub_editenv_reads_what_the_agent_writes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("grubenv");
    let grub = |arguments: &[&str]| {
        let all = [&[text(&path)], arguments].concat();
        run("grub-editenv", &all)
    };
    grub(&["create"]);
    grub(&["set", "ORDER=A", "A_OK=1", "A_LEFT=3", "saved=a b \\ c"]);
    let block = Place { path: path.clone(), offset: 0 };
    let (tries, counting) = (Tries::Counted(3), Counting::Trial);
    let convention = Grub { block, names: Names::default(), tries, counting };
    let mut edge = edge(folder.path(), convention);
    assert_eq!(edge.slot(Slot::A).unwrap(), SlotFacts::Good);
    edge.set_trial(Slot::B, 3).unwrap();
    let listed = grub(&["list"]);
    for line in ["ORDER=B A", "B_OK=1", "B_LEFT=3", "B_GOOD=0", "A_GOOD=1", "saved=a b \\ c"] {
        assert!(listed.lines().any(|listed| listed == line), "{line} in {listed}");
    }
    grub(&["set", "B_LEFT=1"]);
    assert_eq!(edge.slot(Slot::B).unwrap(), SlotFacts::Trial { left: 1 });
}

#[test]
fn the_script_for_grub_is_one() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../contrib/boot/grub.cfg");
    run("grub-script-check", &[text(&script)]);
}

#[test]
fn cgpt_reads_what_the_agent_writes() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::File::create(&disk).unwrap().set_len(4 << 20).unwrap();
    let cgpt = |arguments: &[&str]| {
        let all = [arguments, &[text(&disk)]].concat();
        run("cgpt", &all)
    };
    cgpt(&["create"]);
    for (number, first, success) in [("1", "1024", "1"), ("2", "2048", "0")] {
        cgpt(&[
            "add", "-i", number, "-b", first, "-s", "512", "-t", "kernel", "-S", success, "-T",
            "0", "-P", success,
        ]);
    }
    let convention = ChromeOs { disk: disk.clone(), sector: 512, a: 1, b: 2, tries: 6 };
    let mut edge = edge(folder.path(), convention);
    assert_eq!(edge.slot(Slot::A).unwrap(), SlotFacts::Good);
    assert_eq!(edge.slot(Slot::B).unwrap(), SlotFacts::Unbootable);
    edge.set_trial(Slot::B, 3).unwrap();
    let show = |number: &str, what: &str| cgpt(&["show", "-i", number, what]);
    let bits = |number| (show(number, "-P"), show(number, "-T"), show(number, "-S"));
    assert_eq!(bits("2"), ("2".into(), "3".into(), "0".into()));
    assert_eq!((show("1", "-P"), show("1", "-S")), ("1".into(), "1".into()));
    assert!(!cgpt(&["show"]).contains("INVALID"));
    // The first header is lost: the other copy counts, for both.
    let mut bytes = std::fs::read(&disk).unwrap();
    bytes[512..1024].fill(0);
    std::fs::write(&disk, bytes).unwrap();
    assert_eq!(edge.slot(Slot::B).unwrap(), SlotFacts::Trial { left: 3 });
    edge.set_unbootable(Slot::B).unwrap();
    assert_eq!(show("2", "-P"), "0");
}
