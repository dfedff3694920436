//! Configurations that work and that do not.

use super::*;
use types::Tries;

fn read(text: &str) -> Result<Config, ConfigError> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("agent.toml");
    std::fs::write(&path, text).unwrap();
    Config::load(&path)
}

const LEAST: &str = r#"
device = "d"
product = "p"
hardware = "h"
state_dir = "/s"
root = "/r"
[boot]
control = "file"
path = "/b"
[components.rootfs]
effect = "slot"
a = "/a"
b = "/b"
size = 4096
"#;

/// The least configuration with `from` replaced by `to`.
fn with(from: &str, to: &str) -> Result<Config, ConfigError> {
    assert!(LEAST.contains(from), "{from}");
    read(&LEAST.replacen(from, to, 1))
}

/// `name = value`, and no sentence.
fn is_key(line: &str) -> bool {
    let name = |name: &str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    line.split_once(" = ").is_some_and(|(key, _)| name(key))
}

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let example = read(EXAMPLE).unwrap();
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(table) if table.starts_with('[') => format!("{table}\n"),
            Some(key) if is_key(key) => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    // The one table whose feature is not there by default.
    let bus = "[dbus]\nbus = \"system\"\n";
    assert!(uncommented.contains(bus));
    if !cfg!(feature = "dbus") {
        check(read(&uncommented), "without `[dbus]`; it needs the feature `dbus`");
    }
    let full = read(&uncommented.replace(bus, "")).unwrap();
    assert_eq!(format!("{:?}", full.network), format!("{:?}", example.network));
    assert_eq!(format!("{:?}", full.install), format!("{:?}", example.install));
    assert_eq!(full.options().poll, example.options().poll);
    assert_eq!(full.memory_class_mib, example.memory_class_mib);
    assert_eq!(full.worker.user, example.worker.user);
    assert_eq!(full.health.checks().len(), 5);
    assert_eq!(format!("{:?}", full.hooks), format!("{:?}", super::Hooks::default()));
    assert!(full.configuration.is_some() && example.configuration.is_none());
    assert!(full.variant.is_some() && example.variant.is_none());
}

#[test]
fn the_least_configuration_is_enough() {
    let config = read(LEAST).unwrap();
    assert_eq!(config.identity().hardware, ["h".parse().unwrap()]);
    assert_eq!(config.options().checkpoint, 832 << 10);
    assert_eq!(config.runtime_dir(), Path::new("/s"));
    let Boot::File { tries, running_file, .. } = config.boot else { panic!("no boot file") };
    assert_eq!(Tries::from(tries), Tries::Counted(3));
    assert!(running_file.is_none());
}

#[test]
fn tries_are_a_number_or_single() {
    let tries = |text: &str| {
        let Boot::File { tries, .. } = with("path = \"/b\"", text).unwrap().boot else {
            panic!("no boot file");
        };
        Tries::from(tries)
    };
    assert_eq!(tries("path = \"/b\"\ntries = 2"), Tries::Counted(2));
    assert_eq!(tries("path = \"/b\"\ntries = \"single\""), Tries::Single);
}

/// Each convention with the least that it needs.
const CONVENTIONS: [&str; 11] = [
    "control = \"uboot\"\nenvironment = { size = 16384, copies = [{ path = \"/e\" }] }",
    "control = \"uboot\"\ncounting = \"always\"\nnames = { a = \"system0\", b = \"system1\" }\n\
     environment = { size = 16384, form = \"state-files\", \
     copies = [{ path = \"/1\" }, { path = \"/2\" }] }",
    "control = \"bootcount\"\nvariable = \"slot\"\nnames = { a = \"1\", b = \"2\" }\n\
     environment = { size = 16384, copies = [{ path = \"/e\" }, { path = \"/e\", offset = 16384 }] }",
    "control = \"mender\"\na = 2\nb = 3\ntries = \"single\"\n\
     environment = { size = 16384, copies = [{ path = \"/e\" }] }",
    "control = \"grub\"\npath = \"/boot/grubenv\"",
    "control = \"systemd-boot\"\nentries = \"/e\"\nnames = { a = \"a\", b = \"b\" }",
    "control = \"efi\"\na = 1\nb = 2",
    "control = \"raspberry-pi\"\nautoboot = \"/a\"\na = 2\nb = 3",
    "control = \"android\"\nmisc = \"/m\"",
    "control = \"chromeos\"\ndisk = \"/d\"\na = 2\nb = 4",
    "control = \"custom\"\ncommand = [\"/usr/lib/boot-control\"]",
];

#[test]
fn every_convention_can_be_configured() {
    let file = "control = \"file\"\npath = \"/b\"";
    for convention in CONVENTIONS {
        let config = with(file, convention).unwrap();
        assert!(!matches!(config.boot, Boot::File { .. }), "{convention}");
        // None of them is there.
        config.boot_control().slot(Slot::A).unwrap_err();
    }
}

#[test]
fn a_bootloader_that_cannot_be_is_refused() {
    let file = "control = \"file\"\npath = \"/b\"";
    let refused = |convention: &str, part| check(with(file, convention), part);
    refused("control = \"efi\"\na = 1\nb = 1", "are the same");
    refused("control = \"grub\"\npath = \"/g\"\nnames = { a = \"A\", b = \"A\" }", "are the same");
    refused("control = \"custom\"\ncommand = []", "no program");
    refused("control = \"lilo\"", "unknown variant");
    refused("control = \"grub\"\npath = \"/g\"\nconting = \"trial\"", "unknown field");
    let environment =
        |inside: &str| format!("control = \"mender\"\na = 2\nb = 3\nenvironment = {{ {inside} }}");
    refused(&environment("size = 16, copies = [{ path = \"/e\" }]"), "environment.size");
    refused(&environment("size = 4096, copies = []"), "one place or two");
    let twice = "size = 4096, copies = [{ path = \"/e\" }, { path = \"/e\" }]";
    refused(&environment(twice), "same place");
    let alone = "size = 4096, form = \"state-files\", copies = [{ path = \"/e\" }]";
    refused(&environment(alone), "two state files");
}

#[test]
fn a_watchdog_has_a_time() {
    let watchdog = |text: &str| {
        with("[components.rootfs]", &format!("[watchdog]\n{text}\n[components.rootfs]"))
    };
    let config = watchdog("").unwrap().watchdog.unwrap();
    assert_eq!((config.device.to_str(), config.timeout_seconds), (Some("/dev/watchdog"), 60));
    check(watchdog("timeout_seconds = 1"), "from 2 to a day");
    check(watchdog("timeout = 60"), "unknown field");
    assert!(read(LEAST).unwrap().watchdog.is_none());
}

/// What may be locked and unlocked: where components lie, and the bootloader's memory.
#[test]
fn all_places_that_are_written_are_known() {
    let file = "control = \"file\"\npath = \"/b\"";
    let android = with(file, "control = \"android\"\nmisc = \"/m\"").unwrap();
    for (config, memory) in [(android, "/m"), (read(LEAST).unwrap(), "/b")] {
        assert_eq!(config.written(), ["/a", "/b", memory].map(Path::new));
    }
}

#[test]
fn what_runs_can_be_named_by_any_argument() {
    let running = "[running]\nfrom = \"command-line\"\nargument = \"rauc.slot\"\n\
                   names = { a = \"system0\", b = \"system1\" }\n[components.rootfs]";
    assert!(matches!(
        with("[components.rootfs]", running).unwrap().running,
        Some(Running::CommandLine { argument, .. }) if argument == "rauc.slot"
    ));
}

/// The error and its causes must say `part`.
fn check(config: Result<Config, ConfigError>, part: &str) {
    let error = config.unwrap_err();
    let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
    let all = format!("{error}: {cause}");
    assert!(all.contains(part), "{all}");
}

#[test]
fn mistakes_are_named() {
    check(with("device = \"d\"", ""), "missing field `device`");
    check(with("device", "devise"), "unknown field `devise`");
    check(with("\"d\"", "\"a b\""), "is no name");
    check(with("hardware = \"h\"", "hardware = []"), "`hardware` names none");
    check(with("b = \"/b\"", "b = \"/a\""), "slot A and slot B are the same");
    check(with("effect = \"slot\"", "effect = \"bank\""), "unknown variant `bank`");
    check(with("size = 4096", "sise = 4096"), "unknown field `sise`");
    check(with("path = \"/b\"", "path = \"/b\"\ntrys = 3"), "trys");
    let live = "effect = \"live\"\ndirectory = \"/a\"\nsize = 0\n";
    check(
        read(&LEAST.replace("effect = \"slot\"\na = \"/a\"\nb = \"/b\"\nsize = 4096", live)),
        "size",
    );
    check(read(&format!("{LEAST}[server]\nurl = \"http://x\"\nca = \"/c\"")), "https://");
    check(read(&format!("{LEAST}[network]\nwindow_kib = 8")), "window_kib");
    let plan = |url: &str, keys: &[&str]| {
        read(&format!("{LEAST}[plan]\nurl = {url:?}\nca = \"/c\"\nkeys = {keys:?}"))
    };
    let key = "0a".repeat(32);
    check(plan("http://x", &[&key]), "`plan.url`");
    check(plan("https://x", &[]), "`plan.keys`");
    check(plan("https://x", &[&key, "0A"]), "`plan.keys`");
    plan("https://x/refit", &[&key]).unwrap();
    let installed =
        format!("{LEAST}[installed.x]\nversion = \"1\"\nsha256 = \"{}\"", "0".repeat(64));
    check(read(&installed), "`installed.x`");
    check(Config::load(Path::new("/there/is/no/such/file")), "config example");
}

#[test]
fn a_system_with_a_recovery_has_one_place() {
    let recovery = "layout = \"recovery\"\n[boot]";
    let alone = LEAST.replace("[boot]", recovery).replace("b = \"/b\"\n", "");
    let config = read(&alone).unwrap();
    assert_eq!(config.options().layout, crate::Layout::Recovery);
    check(read(&LEAST.replace("[boot]", recovery)), "`a` alone");
    check(read(&LEAST.replace("b = \"/b\"\n", "")), "`a` and `b`");
    let mender = "[boot]\ncontrol = \"mender\"\na = 2\nb = 3\n[boot.environment]\nsize = 8192\n\
                  copies = [{ path = \"/e\" }]\n";
    let other = alone.replace("[boot]\ncontrol = \"file\"\npath = \"/b\"\n", mender);
    check(read(&other), "half-written");
    assert_eq!(config.options().staging, crate::Staging::Auto);
    assert_eq!(config.stage(), config.state_dir.join("staged.zip"));
    let staging = |lines: &str| read(&format!("{alone}[staging]\n{lines}"));
    let always = staging("use = \"always\"\npath = \"/data/s.zip\"").unwrap();
    assert_eq!(always.options().staging, crate::Staging::Always);
    assert_eq!(always.stage(), Path::new("/data/s.zip"));
    check(staging("path = \"s.zip\""), "`staging.path`");
    check(staging(&format!("path = \"/{}\"", "x".repeat(256))), "`staging.path`");
    staging("use = \"never\"\npath = \"s.zip\"").unwrap();
    check(staging("use = \"ever\""), "unknown variant `ever`");
    let installed =
        format!("{alone}[installed.rootfs]\nversion = \"1\"\nsha256 = \"{}\"\n", "0".repeat(64));
    let inventory = read(&installed).unwrap().inventory();
    assert_eq!(Slot::BOTH.map(|slot| inventory.running(slot).len()), [1, 0]);
}

#[test]
fn a_bootloader_has_two_copies_and_a_switch() {
    let copies = |b: &str, switch: &str| {
        read(&format!(
            "{LEAST}[components.bootloader]\neffect = \"copies\"\na = \"/x\"\nb = {b:?}\n\
             running = {{ from = \"file\", path = \"/r\" }}\nswitch = {{ {switch} }}\n"
        ))
    };
    copies("/y", "file = \"/s\"").unwrap();
    copies("/y", "command = [\"/bin/switch\"]").unwrap();
    copies("/y", "emmc = \"/dev/mmcblk0\"").unwrap();
    check(copies("/x", "file = \"/s\""), "copy A and copy B");
    check(copies("/y", "lever = \"/s\""), "lever");
    check(copies("/y", "command = []"), "names no program");
}

#[test]
fn raw_flash_is_always_read_back() {
    let off = |place: &str| {
        let text = LEAST.replace("b = \"/b\"", &format!("b = {place:?}"));
        read(&format!("{text}[install]\nread_back = false\n"))
    };
    off("ubi:system-b").unwrap();
    off("/dev/mmcblk0p3").unwrap();
    for raw in ["mtd:system-b", "/dev/mtd4", "/dev/mtdblock4"] {
        check(off(raw), "`install.read_back` is off");
    }
}

#[test]
fn errors_name_the_line() {
    check(with("product = \"p\"", "product = 7"), "line 3");
}

#[test]
fn what_the_factory_installed_is_the_first_inventory() {
    let installed = |slot: &str| {
        let sha256 = "0".repeat(64);
        let text =
            format!("{LEAST}[installed.rootfs]\nversion = \"1\"\nsha256 = \"{sha256}\"\n{slot}");
        let inventory = read(&text).unwrap().inventory();
        Slot::BOTH.map(|slot| inventory.running(slot).len())
    };
    assert_eq!(installed(""), [1, 1]);
    assert_eq!(installed("slot = \"B\""), [0, 1]);
}
