//! `refit diff` and `refit patch`, as they are typed.

#![expect(clippy::unwrap_used, reason = "a test's own steps end the test where they fail")]

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder with an old and a new image.
struct Desk(TempDir);

impl Desk {
    fn new(old: &[u8], new: &[u8]) -> Self {
        let desk = Self(tempfile::tempdir().unwrap());
        fs::write(desk.path("old"), old).unwrap();
        fs::write(desk.path("new"), new).unwrap();
        desk
    }

    /// Two images that have most in common.
    fn alike() -> Self {
        let old = noise(400_000, 1);
        let mut new = old.clone();
        new.splice(100_000..100_010, noise(500, 2));
        new.splice(300_000..310_000, []);
        Self::new(&old, &new)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn refit(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit"));
        command.current_dir(self.0.path()).args(arguments).output().unwrap()
    }

    fn fine(&self, arguments: &[&str]) -> String {
        let output = self.refit(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Must fail with these words, and leave nothing behind.
    fn refused(&self, arguments: &[&str], words: &str) {
        let output = self.refit(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success() && errors.contains(words), "{arguments:?}: {errors}");
        assert!(!self.path("out").exists());
        let left = |entry: fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".refit");
        assert!(!fs::read_dir(self.0.path()).unwrap().flatten().any(left));
    }

    /// There and back.
    fn comes_back(&self, options: &[&str]) -> Value {
        let diff = [&["diff", "old", "new", "-o", "patch", "--json"], options].concat();
        let said: Value = serde_json::from_str(&self.fine(&diff)).unwrap();
        let made = self.fine(&["patch", "old", "patch", "-o", "out", "--json"]);
        let made: Value = serde_json::from_str(&made).unwrap();
        let told = |said: &Value| (said.get("new").cloned(), said.get("heap").cloned());
        assert_eq!(told(&made), told(&said));
        assert_eq!(read(&self.path("out")), read(&self.path("new")));
        fs::remove_file(self.path("out")).unwrap();
        said
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap()
}

fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn an_image_goes_there_and_comes_back() {
    let desk = Desk::alike();
    let said = desk.comes_back(&[]);
    let size = said["patch"]["size"].as_u64().unwrap();
    assert!(size < 2000 && size == fs::metadata(desk.path("patch")).unwrap().len(), "{said}");
    assert_eq!(said["new"]["size"], 390_490);
    assert!(said["heap"].as_u64().unwrap() <= 64 << 20);
    desk.comes_back(&["--fast"]);
    let little = desk.comes_back(&["--max-heap", "4 MiB"]);
    assert!(little["heap"].as_u64().unwrap() <= 4 << 20, "{little}");
}

#[test]
fn images_without_anything_in_them_are_images() {
    let some = noise(1000, 3);
    for (old, new) in [(&[][..], &some[..]), (&some, &[]), (&[], &[]), (&some, &some), (&[7], &[8])]
    {
        Desk::new(old, new).comes_back(&[]);
    }
    Desk::new(&vec![0; 3 << 20], &vec![0; 5 << 20]).comes_back(&[]);
}

#[test]
fn the_same_images_give_the_same_patch() {
    let desk = Desk::alike();
    let patch = || desk.comes_back(&[])["patch"]["sha256"].clone();
    assert_eq!(patch(), patch());
}

#[test]
fn where_the_bytes_went_is_explained() {
    let said = Desk::alike().fine(&["diff", "old", "new", "-o", "patch", "--explain"]);
    assert!(said.contains("new bytes") && said.contains("what comes from where"), "{said}");
    let said = Desk::alike().comes_back(&[]);
    let parts = said["bytes"].as_object().unwrap().values().filter_map(Value::as_u64);
    assert_eq!(Some(parts.sum()), said["patch"]["size"].as_u64(), "{said}");
}

/// The output has the bytes alone, the summary goes elsewhere.
#[test]
fn patch_and_image_go_through_pipes() {
    let desk = Desk::alike();
    desk.fine(&["diff", "old", "new", "-o", "patch"]);
    for output in ["-", "/dev/stdout"] {
        let made = desk.refit(&["diff", "old", "new", "-o", output, "--json"]);
        assert!(made.status.success() && made.stdout == read(&desk.path("patch")));
        let said: Value = serde_json::from_slice(&made.stderr).unwrap();
        assert_eq!(said["new"]["size"], 390_490);
        let mut command = Command::new(env!("CARGO_BIN_EXE_refit"));
        command.current_dir(desk.0.path()).args(["patch", "old", "-", "-o", output]);
        command.stdin(fs::File::open(desk.path("patch")).unwrap());
        let made = command.output().unwrap();
        assert!(made.status.success() && made.stdout == read(&desk.path("new")));
        assert!(String::from_utf8_lossy(&made.stderr).contains("KiB"), "{:?}", made.stderr);
        // Behind what is in a file already.
        let file = desk.path("file");
        fs::write(&file, "before").unwrap();
        let to = fs::OpenOptions::new().append(true).open(&file).unwrap();
        assert!(
            command
                .stdin(fs::File::open(desk.path("patch")).unwrap())
                .stdout(to)
                .status()
                .unwrap()
                .success()
        );
        assert!(read(&file) == [&b"before"[..], &read(&desk.path("new"))].concat());
    }
    assert!(!desk.path("-").exists());
}

#[test]
fn what_does_not_fit_is_refused() {
    let desk = Desk::alike();
    desk.comes_back(&[]);
    let mut other = read(&desk.path("old"));
    other[5] ^= 1;
    fs::write(desk.path("other"), &other).unwrap();
    desk.refused(&["patch", "other", "patch", "-o", "out"], "other is not the image of this patch");
    desk.refused(&["patch", "new", "patch", "-o", "out"], "it has 390490 bytes");
    desk.refused(&["patch", "old", "old", "-o", "out"], "this is no patch");
    desk.refused(&["patch", "old", "missing", "-o", "out"], "cannot open missing");
    desk.refused(&["diff", "old", "missing", "-o", "out"], "cannot read missing");
    desk.refused(&["patch", "old", "patch", "-o", "out", "--max-heap", "64 KiB"], "bytes of heap");
    desk.refused(&["diff", "old", "new", "-o", "out", "--max-heap", "1 KiB"], "bytes of heap");
}

#[test]
fn half_a_patch_makes_nothing() {
    let desk = Desk::alike();
    desk.comes_back(&[]);
    let patch = read(&desk.path("patch"));
    for len in [0, 1, 50, patch.len() / 2, patch.len() - 1] {
        fs::write(desk.path("part"), &patch[..len]).unwrap();
        desk.refused(&["patch", "old", "part", "-o", "out"], "part");
    }
}
