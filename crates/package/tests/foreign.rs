//! Foreign programs read what the writer writes: Info-ZIP and Python.
//!
//! They are part of the tests' set-up; where one is missing, the test fails and
//! says so.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's own steps end the test where they fail"
)]

use package::Writer;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::process::Command;

/// Writes an archive with a payload of `mib` MiB of zeros, which take no space
/// on the disk, and a small entry behind it.
fn write_archive(file: &Path, mib: u64) {
    let zeros = vec![0; 1 << 20];
    let mut crc = package::Crc32::default();
    (0..mib).for_each(|_| crc.update(&zeros));
    let mut out = File::create(file).unwrap();
    let mut writer = Writer::new(|bytes: &[u8]| match bytes.len() {
        len if len == zeros.len() => out.seek(SeekFrom::Current(len as i64)).map(|_| ()),
        _ => out.write_all(bytes),
    });
    writer.entry("manifest.json", b"{}").unwrap();
    writer.start("payload/big.zst", mib << 20, crc.finish()).unwrap();
    (0..mib).for_each(|_| writer.data(&zeros).unwrap());
    writer.entry("payload/small.zst", b"beyond").unwrap();
    writer.finish().unwrap();
}

/// Runs a program, which must be there and succeed; returns what it prints.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|e| panic!("`{program}` must be installed: {e}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {text}{errors}");
    text
}

/// Python lists the archive and reads its last entry.
const PYTHON: &str = "
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as zip:
    for entry in zip.infolist():
        print(entry.filename, entry.file_size)
    assert zip.read('payload/small.zst') == b'beyond'
";

fn check(mib: u64) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("update.zip");
    write_archive(&file, mib);
    let path = file.to_str().unwrap();
    let size = (mib << 20).to_string();
    let listed = run("unzip", &["-l", path]);
    assert!(listed.contains(&size) && listed.contains("payload/small.zst"), "{listed}");
    assert_eq!(run("unzip", &["-p", path, "payload/small.zst"]), "beyond");
    let by_python = run("python3", &["-c", PYTHON, path]);
    let expected = format!("manifest.json 2\npayload/big.zst {size}\npayload/small.zst 6\n");
    assert_eq!(by_python, expected);
}

#[test]
fn a_small_archive_is_an_archive_for_others() {
    check(1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("update.zip");
    write_archive(&file, 3);
    assert!(run("unzip", &["-t", file.to_str().unwrap()]).contains("No errors detected"));
    run("python3", &["-m", "zipfile", "-t", file.to_str().unwrap()]);
}

#[test]
fn an_archive_beyond_4_gib_is_an_archive_for_others() {
    check(4097);
}
