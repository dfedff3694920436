//! Configurations that work and that do not.

use super::*;

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

#[test]
fn the_example_is_valid_and_shows_the_defaults() {
    let example = read(EXAMPLE).unwrap();
    let uncommented: String = EXAMPLE
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") && !key.contains(':') => format!("{key}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let full = read(&uncommented).unwrap();
    assert_eq!(format!("{:?}", full.network), format!("{:?}", example.network));
    assert_eq!(format!("{:?}", full.install), format!("{:?}", example.install));
    assert_eq!(full.options().poll, example.options().poll);
    assert_eq!(full.memory_class_mib, example.memory_class_mib);
    assert_eq!(full.worker.user, example.worker.user);
    assert!(full.variant.is_some() && example.variant.is_none());
}

#[test]
fn the_least_configuration_is_enough() {
    let config = read(LEAST).unwrap();
    assert_eq!(config.identity().hardware, ["h".parse().unwrap()]);
    assert_eq!(config.options().checkpoint, 256 << 10);
    assert_eq!(config.runtime_dir(), Path::new("/s"));
    let Boot::File { tries, running_file, .. } = config.boot;
    assert_eq!(Tries::from(tries), Tries::Counted(3));
    assert!(running_file.is_none());
}

#[test]
fn tries_are_a_number_or_single() {
    let tries = |text: &str| {
        let Boot::File { tries, .. } = with("path = \"/b\"", text).unwrap().boot;
        Tries::from(tries)
    };
    assert_eq!(tries("path = \"/b\"\ntries = 2"), Tries::Counted(2));
    assert_eq!(tries("path = \"/b\"\ntries = \"single\""), Tries::Single);
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
    let installed =
        format!("{LEAST}[installed.x]\nversion = \"1\"\nsha256 = \"{}\"", "0".repeat(64));
    check(read(&installed), "`installed.x`");
    check(Config::load(Path::new("/there/is/no/such/file")), "config example");
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
