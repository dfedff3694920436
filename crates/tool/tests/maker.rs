//! The maker's commands, as a maker types them.

#![expect(clippy::unwrap_used, reason = "a test's own steps end the test where they fail")]

use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const RELEASE: &str = r#"
product = "acme-r7000"
version = "2.4.1"
rollback_index = 7
class = "security"
hardware = ["r7000-rev-a", "r7000-rev-b"]
variants = ["telco-x"]
support_until = "2031-12-31"
sbom = { url = "https://acme.example/sbom.json", file = "sbom.json" }

[notes]
en = "Closes a hole."
de = "Schließt eine Lücke."

[[components]]
name = "rootfs"
kind = "rootfs"
effect = "slot"
file = "images/rootfs.img"
chunk_size = "64 KiB"

[[components]]
name = "settings"
kind = "configuration"
effect = "direct"
file = "images/settings.json"
works_with_both = true
"#;

/// A maker's desk: a folder with keys and images.
struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let desk = Self { folder };
        fs::create_dir(desk.path("images")).unwrap();
        let image: Vec<u8> = (0..300_000u32).map(|n| (n / 50) as u8).collect();
        fs::write(desk.path("images/rootfs.img"), image).unwrap();
        fs::write(desk.path("images/settings.json"), "{}").unwrap();
        fs::write(desk.path("sbom.json"), "{\"spdx\":1}").unwrap();
        fs::write(desk.path("release.toml"), RELEASE).unwrap();
        desk
    }

    /// With keys of which two must sign, and a package signed by two.
    fn signed() -> Self {
        let desk = Self::new();
        desk.fine(&["keygen", "keys"]);
        desk.fine(&["pack", "--level", "3", "-k", "keys/key-1.json", "-k", "keys/key-3.json"]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn refit(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit"));
        command.current_dir(self.folder.path()).args(arguments).output().unwrap()
    }

    /// Must succeed; returns what was printed.
    fn fine(&self, arguments: &[&str]) -> String {
        let output = self.refit(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Must end with `status` and say `text` on whichever output.
    fn check(&self, arguments: &[&str], status: i32, text: &str) {
        let output = self.refit(arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8(said).unwrap();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
        assert!(said.contains(text), "{arguments:?} says: {said}");
    }

    fn verify(&self, status: i32, text: &str) {
        self.check(&["verify", "update.zip", "--root", "keys/root.json"], status, text);
    }
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_are_secret_and_never_overwritten() {
    let desk = Desk::new();
    desk.fine(&["keygen", "keys"]);
    for n in 1..=3 {
        assert_eq!(mode(&desk.path(&format!("keys/key-{n}.json"))), 0o600);
    }
    assert_eq!(mode(&desk.path("keys")), 0o700);
    let before = fs::read(desk.path("keys/key-2.json")).unwrap();
    desk.check(&["keygen", "keys"], 1, "exists and is not overwritten");
    fs::remove_file(desk.path("keys/key-1.json")).unwrap();
    desk.check(&["keygen", "keys"], 1, "exists and is not overwritten");
    assert!(!desk.path("keys/key-1.json").exists(), "nothing is written in part");
    assert_eq!(fs::read(desk.path("keys/key-2.json")).unwrap(), before);
    desk.check(&["keygen", "more", "--count", "1"], 1, "threshold 2 is higher");
    desk.check(&["keygen", "more", "--threshold", "0"], 2, "0 is not in 1..=32");
    assert!(!desk.path("more").exists());
}

#[test]
fn two_of_three_keys_sign_a_package() {
    let desk = Desk::new();
    desk.fine(&["keygen", "keys"]);
    assert!(desk.fine(&["pack", "--level", "3"]).contains("not signed yet"));
    desk.verify(3, "the package is not signed");
    desk.fine(&["sign", "update.zip", "--key", "keys/key-2.json"]);
    desk.verify(3, "only 1 of the 2 required different keys signed targets");
    desk.fine(&["sign", "update.zip", "--key", "keys/key-2.json"]);
    desk.verify(3, "(105)");
    desk.fine(&["sign", "update.zip", "--key", "keys/key-3.json"]);
    desk.verify(0, "update.zip is good: acme-r7000 2.4.1, rollback index 7");
    let twice = ["sign", "update.zip", "-k", "keys/key-1.json", "-k", "keys/key-1.json"];
    desk.check(&twice, 1, "use each key once");
}

#[test]
fn a_package_gets_deltas_and_stays_signed() {
    let desk = Desk::signed();
    fs::rename(desk.path("update.zip"), desk.path("old.zip")).unwrap();
    let mut image: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
    fs::write(desk.path("images/rootfs.img"), &image).unwrap();
    let pack = ["pack", "--level", "3", "-k", "keys/key-1.json", "-k", "keys/key-3.json"];
    desk.fine(&pack);
    fs::rename(desk.path("update.zip"), desk.path("older.zip")).unwrap();
    image.splice(1000..1000, *b"something new");
    fs::write(desk.path("images/rootfs.img"), &image).unwrap();
    desk.fine(&pack);
    let said = desk.fine(&["add-delta", "update.zip", "--from", "older.zip", "--from", "old.zip"]);
    assert!(said.starts_with("rootfs from 2.4.1: "), "{said}");
    assert!(desk.fine(&["verify", "update.zip", "--root", "keys/root.json"]).contains("is good"));
    let shown: Value =
        serde_json::from_str(&desk.fine(&["inspect", "update.zip", "--json"])).unwrap();
    let old: Value = serde_json::from_str(&desk.fine(&["inspect", "older.zip", "--json"])).unwrap();
    let delta = &shown["deltas"][0];
    assert_eq!(delta["source"], old["manifest"]["components"][0]["image"]["sha256"]);
    assert!(delta["size"].as_u64().unwrap() < 2000, "{delta}");
    // Again: what is there is kept, and nothing is there twice.
    let before = fs::read(desk.path("update.zip")).unwrap();
    desk.fine(&["add-delta", "update.zip", "--from", "older.zip"]);
    assert!(fs::read(desk.path("update.zip")).unwrap() == before);
}

#[test]
fn another_makers_keys_are_refused() {
    let desk = Desk::signed();
    desk.fine(&["keygen", "others"]);
    let others = ["verify", "update.zip", "--root", "others/root.json"];
    desk.check(&others, 3, "no trusted key signed targets");
    desk.check(&["verify", "update.zip", "--root", "keys/key-1.json"], 1, "as a root of trust");
}

#[test]
fn signatures_expire_and_are_renewed() {
    let desk = Desk::signed();
    let late = ["verify", "update.zip", "--root", "keys/root.json", "--at", "2035-01-01"];
    desk.check(&late, 3, "targets expired at");
    let keys = ["-k", "keys/key-1.json", "-k", "keys/key-2.json", "--expires", "2035-06-01"];
    desk.check(&[&["sign", "update.zip"], &keys[..]].concat(), 1, "--renew");
    desk.fine(&[&["sign", "update.zip", "--renew"], &keys[..]].concat());
    desk.check(&late, 0, "its signatures count until 2035-06-01T00:00:00Z");
}

#[test]
fn scripts_read_json() {
    let desk = Desk::signed();
    let inspected: Value =
        serde_json::from_str(&desk.fine(&["inspect", "update.zip", "--json"])).unwrap();
    assert_eq!(inspected["manifest"]["components"][0]["image"]["size"], 300_000);
    assert_eq!(inspected["manifest"]["notes"]["de"], "Schließt eine Lücke.");
    assert!(inspected["manifest"]["sbom"]["sha256"].is_string());
    assert_eq!(inspected["signed_by"].as_array().unwrap().len(), 2);
    assert_eq!(inspected["entries"][0]["name"], "manifest.json");
    let verify = ["verify", "update.zip", "--root", "keys/root.json", "--json"];
    let good: Value = serde_json::from_str(&desk.fine(&verify)).unwrap();
    assert_eq!((&good["good"], &good["release"]), (&true.into(), &inspected["release"]));
    let late = [&verify[..], &["--at", "2040-01-01"]].concat();
    let refused: Value = serde_json::from_slice(&desk.refit(&late).stdout).unwrap();
    assert_eq!((&refused["good"], &refused["outcome"]), (&false.into(), &106.into()));
}

#[test]
fn people_read_tables() {
    let desk = Desk::signed();
    let text = desk.fine(&["inspect", "update.zip"]);
    for part in ["acme-r7000 2.4.1", "r7000-rev-a, r7000-rev-b", "telco-x", "[en] Closes a hole."] {
        assert!(text.contains(part), "{part} is missing in {text}");
    }
    assert!(text.contains("5 × 64.00 KiB"), "{text}");
}

#[test]
fn damage_is_named_and_not_signed() {
    let desk = Desk::signed();
    let good = fs::read(desk.path("update.zip")).unwrap();
    // The last but one place of a name is its local header; the last is the directory.
    let at = |name: &str| {
        let places = (0..good.len()).filter(|at| good[*at..].starts_with(name.as_bytes()));
        places.rev().nth(1).unwrap()
    };
    let manifest = good.windows(5).position(|w| w == b"rev-b").unwrap();
    for (place, text) in [
        (at("payload/rootfs.zst") + 100, "`payload/rootfs.zst` is damaged: its checksum differs"),
        (at("chunks/rootfs") + 60, "`chunks/rootfs` is damaged: its checksum differs"),
        (manifest, "`manifest.json` is damaged: its checksum differs"),
        (good.len() - 1, "the directory at the end does not fit"),
        (0, "does not start like a zip archive"),
    ] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        fs::write(desk.path("update.zip"), &bad).unwrap();
        desk.verify(3, text);
        desk.check(&["sign", "update.zip", "-k", "keys/key-2.json"], 1, text);
        assert_eq!(fs::read(desk.path("update.zip")).unwrap(), bad);
    }
    fs::write(desk.path("update.zip"), &good[..good.len() / 2]).unwrap();
    desk.verify(3, "the package ends in the middle of an entry");
}

#[test]
fn the_same_release_gives_the_same_manifest() {
    let desk = Desk::new();
    let release = |level: &str| {
        desk.fine(&["pack", "--level", level]);
        fs::read(desk.path("update.zip")).unwrap()
    };
    assert_eq!(release("3"), release("3"));
}

#[test]
fn foreign_programs_read_a_signed_package() {
    let desk = Desk::signed();
    for (program, arguments) in [
        ("unzip", &["-t", "update.zip"][..]),
        ("unzip", &["-l", "update.zip"]),
        ("python3", &["-m", "zipfile", "-t", "update.zip"]),
    ] {
        let output = Command::new(program).args(arguments).current_dir(desk.folder.path()).output();
        let output = output.unwrap_or_else(|e| panic!("`{program}` must be installed: {e}"));
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stdout));
    }
}

/// A release with one thing wrong, and what is said about it.
fn check_release(from: &str, to: &str, text: &str) {
    let desk = Desk::new();
    let changed = RELEASE.replacen(from, to, 1);
    assert_ne!(changed, RELEASE, "{from} is not there");
    fs::write(desk.path("release.toml"), changed).unwrap();
    desk.check(&["pack", "--level", "1"], 1, text);
    let left: Vec<_> = fs::read_dir(desk.folder.path()).unwrap().collect();
    assert_eq!(left.len(), 3, "something is left behind: {left:?}");
}

#[test]
fn mistakes_in_a_release_are_named() {
    check_release(
        "images/rootfs.img",
        "images/no.img",
        "cannot pack `rootfs` from ./images/no.img",
    );
    check_release("\"64 KiB\"", "\"63 KiB\"", "chunk size is not a power of two");
    check_release("\"64 KiB\"", "\"64 KB\"", "a size looks like");
    check_release("rollback_index = 7", "", "missing field `rollback_index`");
    check_release("\"security\"", "\"urgent\"", "unknown variant `urgent`");
    check_release("\"settings\"", "\"rootfs\"", "a component is named twice");
    check_release("\"settings\"", "\"../rootfs\"", "is no name");
    check_release("works_with_both = true", "", "must work with old and new");
    check_release("variants", "variant", "unknown field `variant`");
    check_release("2031-12-31", "31.12.2031", "a date looks like");
    let desk = Desk::new();
    desk.check(&["pack", "-c", "no.toml"], 1, "cannot read no.toml");
    fs::write(desk.path("images/rootfs.img"), "").unwrap();
    desk.check(&["pack"], 1, "the file is empty");
    desk.check(&["pack", "--key", "release.toml"], 1, "cannot use the key release.toml");
}

#[test]
fn shells_complete() {
    let desk = Desk::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(desk.fine(&["completions", shell]).contains("verify"));
    }
}

#[test]
fn hooks_bring_their_programs() {
    let desk = Desk::new();
    fs::create_dir(desk.path("hooks")).unwrap();
    fs::write(desk.path("hooks/fits.sh"), "#!/bin/sh\nexit 0\n").unwrap();
    let hooks = "\n[[hooks]]\nphase = \"before-install\"\nfile = \"hooks/fits.sh\"\n\
                 command = [\"-v\"]\nlimit_seconds = 5\n\n[[hooks]]\nphase = \"migrate\"\nfrom = 1\n\
                 to = 2\ncommand = [\"/usr/lib/migrate\"]\nlimit_seconds = 5\n";
    let release = format!("configuration = 2\n{RELEASE}{hooks}");
    fs::write(desk.path("release.toml"), &release).unwrap();
    desk.fine(&["keygen", "keys"]);
    desk.fine(&["pack", "--level", "1", "-k", "keys/key-1.json", "-k", "keys/key-3.json"]);
    desk.check(&["inspect", "update.zip"], 0, "before-install: hooks/fits.sh -v (in the package)");
    desk.check(&["inspect", "update.zip"], 0, "migrate from 1 to 2: /usr/lib/migrate");
    desk.fine(&["verify", "update.zip", "--root", "keys/root.json"]);
    fs::write(desk.path("release.toml"), release.replace("to = 2", "")).unwrap();
    desk.check(&["pack"], 1, "a migration has both");
}

#[test]
fn keys_are_changed_and_packages_bring_the_roots() {
    let desk = Desk::new();
    desk.fine(&["keygen", "keys"]);
    let old = ["-k", "keys/key-1.json", "-k", "keys/key-2.json"];
    let change = |more: &[&'static str]| {
        [&["keygen", "new", "--after", "keys/root.json"][..], more].concat()
    };
    desk.check(&change(&old[..2]), 1, "terminals would not follow to this root");
    assert!(!desk.path("new").exists());
    desk.fine(&change(&old));
    let release = format!("roots = [\"keys/root.json\", \"new/root.json\"]\n{RELEASE}");
    fs::write(desk.path("release.toml"), &release).unwrap();
    desk.fine(&["pack", "--level", "1", "-k", "new/key-1.json", "-k", "new/key-2.json"]);
    desk.fine(&["verify", "update.zip", "--root", "new/root.json"]);
    let listed = desk.fine(&["inspect", "--json", "update.zip"]);
    assert!(listed.contains("roots/1.root.json") && listed.contains("roots/2.root.json"));
    fs::write(desk.path("release.toml"), release.replace("\"new/", "\"keys/")).unwrap();
    desk.check(&["pack"], 1, "cannot use the root keys/root.json");
}
