//! Images of a folder of files: file systems, archives, boot images, made by the
//! tools that firmware builders use, the same bytes each time.

use crate::process::{said, system};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Makes identifiers that do not change from build to build.
const UUID: &str = "5ca1ab1e-0000-4000-8000-7ef17c0de000";
/// Room in a file system beside its files, in percent.
const SPARE: u64 = 12;

/// How an image is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pack {
    /// One file of the folder, as it is; its path may have `*` in it.
    One(&'static str),
    /// `tar`, sorted.
    Tar,
    /// `mke2fs` with these options, as large as the larger side needs; at least so
    /// many MiB.
    Ext4(&'static [&'static str], u64),
    /// `mkfs.erofs` with these options.
    Erofs(&'static [&'static str]),
    /// `mksquashfs` with these options.
    Squashfs(&'static [&'static str]),
    /// `cpio` for the kernel, through a compressor.
    Initrd(&'static [&'static str]),
    /// A kernel (the one file there), compressed by `gzip -9`, and all the other files
    /// as a squashfs with these options, in one FIT.
    Fit(&'static str, &'static [&'static str]),
    /// A legacy U-Boot image of a kernel that is packed by this compressor.
    Legacy(&'static str, &'static [&'static str]),
}

impl Pack {
    /// Makes the image `out` of `tree`. `others` is the other side's folder.
    pub(super) fn make(self, tree: &Path, others: &Path, date: u64, out: &Path) -> Result<()> {
        match self {
            Self::One(path) => fs::copy(one(tree, path)?, out).map(drop).map_err(Into::into),
            Self::Tar => tar(tree, date, out),
            Self::Ext4(options, least) => ext4(tree, others, options, least, date, out),
            Self::Erofs(options) => erofs(tree, options, date, out),
            Self::Squashfs(options) => squashfs(tree, options, date, out),
            Self::Initrd(compressor) => initrd(tree, compressor, out),
            Self::Fit(kernel, options) => fit(&one(tree, kernel)?, tree, options, date, out),
            Self::Legacy(path, compressor) => legacy(&one(tree, path)?, compressor, date, out),
        }
    }

    /// The same in words, for the manifest.
    pub(super) fn recipe(self) -> String {
        match self {
            Self::One(path) => format!("file {path}"),
            Self::Tar => "tar --format=gnu --sort=name".to_owned(),
            Self::Ext4(options, least) => {
                format!("mke2fs {} (≥ {least} MiB), one time everywhere", options.join(" "))
            }
            Self::Erofs(options) => format!("mkfs.erofs {}", options.join(" ")),
            Self::Squashfs(options) => format!("mksquashfs {}", options.join(" ")),
            Self::Initrd(compressor) => format!("cpio -H newc | {}", compressor.join(" ")),
            Self::Fit(kernel, options) => {
                format!("FIT of gzip -9 {kernel} and mksquashfs {}", options.join(" "))
            }
            Self::Legacy(path, compressor) => format!("uImage of {} {path}", compressor.join(" ")),
        }
    }
}

/// The one file that `pattern` names: each `*` stands for a part of one name.
pub(super) fn one(tree: &Path, pattern: &str) -> Result<PathBuf> {
    let mut found = vec![tree.to_path_buf()];
    for part in pattern.split('/') {
        let (start, end) = part.split_once('*').unwrap_or((part, ""));
        let fits = |name: &str| {
            if part.contains('*') {
                name.starts_with(start) && name.ends_with(end)
            } else {
                name == part
            }
        };
        let inside = found.iter().filter_map(|at| fs::read_dir(at).ok()).flatten().flatten();
        found =
            inside.filter(|e| fits(&e.file_name().to_string_lossy())).map(|e| e.path()).collect();
    }
    found.sort();
    found.pop().with_context(|| format!("there is no {pattern} in {}", tree.display()))
}

fn tar(tree: &Path, date: u64, out: &Path) -> Result<()> {
    let mut tar = system("tar", "tar")?;
    tar.args(["-c", "--format=gnu", "--sort=name", "--numeric-owner", "--owner=0", "--group=0"]);
    tar.arg(format!("--mtime=@{date}")).arg("-f").arg(out).arg("-C").arg(tree).arg(".");
    said(&mut tar).map(drop)
}

fn ext4(
    tree: &Path,
    others: &Path,
    options: &[&str],
    least: u64,
    date: u64,
    out: &Path,
) -> Result<()> {
    let used = used(tree)?.max(used(others)?);
    let mib = (used / 1024 * (100 + SPARE) / 100).next_multiple_of(4).max(least);
    let mut mke2fs = system("mke2fs", "e2fsprogs")?;
    mke2fs.args(["-q", "-F", "-t", "ext4", "-m", "0", "-L", "root", "-U", UUID]).args(options);
    mke2fs.arg("-E").arg(format!("hash_seed={UUID},root_owner=0:0,lazy_itable_init=0,nodiscard"));
    let date = date.to_string();
    mke2fs.env("E2FSPROGS_FAKE_TIME", &date).env("SOURCE_DATE_EPOCH", &date);
    mke2fs.arg("-d").arg(tree).arg(out).arg(format!("{mib}M"));
    said(&mut mke2fs)?;
    date_inodes(out, &date)
}

/// Gives every inode of an ext4 the time `date`: `mke2fs` copies when a file was last
/// read and changed in this folder, which nobody can choose.
fn date_inodes(image: &Path, date: &str) -> Result<()> {
    let header = said(system("dumpe2fs", "e2fsprogs")?.arg(image))?;
    let script = image.with_extension("inodes");
    let lines = |inode: u32| {
        ["atime", "ctime"].map(|field| format!("set_inode_field <{inode}> {field} @{date}\n"))
    };
    fs::write(&script, used_inodes(&header)?.into_iter().flat_map(lines).collect::<String>())?;
    let mut debugfs = system("debugfs", "e2fsprogs")?;
    said(debugfs.arg("-w").arg("-f").arg(&script).arg(image))?;
    fs::remove_file(&script).map_err(Into::into)
}

/// The inodes of the root and of all files, by what `dumpe2fs` says is free.
fn used_inodes(header: &str) -> Result<Vec<u32>> {
    let values = |key: &'static str| {
        header.lines().filter_map(move |line| line.trim_start().strip_prefix(key)).map(str::trim)
    };
    let number = |key| -> Result<u32> {
        let text = values(key).next().with_context(|| format!("dumpe2fs tells no {key}"))?;
        Ok(text.parse()?)
    };
    let (count, first) = (number("Inode count:")?, number("First inode:")?);
    let mut used: BTreeSet<u32> = std::iter::once(ROOT).chain(first..=count).collect();
    // Once for all of the file system, then for each group.
    for range in values("Free inodes:").skip(1).flat_map(|text| text.split(", ")) {
        let (from, to) = range.split_once('-').unwrap_or((range, range));
        if let (Ok(from), Ok(to)) = (from.parse(), to.parse::<u32>()) {
            used.retain(|inode| !(from..=to).contains(inode));
        }
    }
    Ok(used.into_iter().collect())
}

/// The inode of the topmost folder.
const ROOT: u32 = 2;

/// KiB that the files in `tree` take.
fn used(tree: &Path) -> Result<u64> {
    let text = said(system("du", "coreutils")?.args(["-s", "-k"]).arg(tree))?;
    let number = text.split_ascii_whitespace().next().context("du said nothing")?;
    Ok(number.parse()?)
}

fn erofs(tree: &Path, options: &[&str], date: u64, out: &Path) -> Result<()> {
    let mut mkfs = system("mkfs.erofs", "erofs-utils")?;
    mkfs.args(["--quiet", "-U", UUID, "--all-root"]).args(options).arg(format!("-T{date}"));
    said(mkfs.arg(out).arg(tree)).map(drop)
}

fn squashfs(tree: &Path, options: &[&str], date: u64, out: &Path) -> Result<()> {
    let mut mksquashfs = system("mksquashfs", "squashfs-tools")?;
    mksquashfs.arg(tree).arg(out).args(["-noappend", "-no-progress", "-quiet", "-all-root"]);
    let date = date.to_string();
    mksquashfs.args(["-mkfs-time", &date, "-all-time", &date]).args(options);
    said(&mut mksquashfs).map(drop)
}

fn initrd(tree: &Path, compressor: &[&str], out: &Path) -> Result<()> {
    let names = out.with_extension("names");
    let text = said(system("find", "findutils")?.current_dir(tree).args([".", "-mindepth", "1"]))?;
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    fs::write(&names, lines.join("\n") + "\n")?;
    let mut cpio = system("cpio", "cpio")?;
    cpio.args(["--quiet", "--create", "--format=newc", "--reproducible", "--owner=0:0"]);
    let archive = out.with_extension("cpio");
    let mut cpio = cpio
        .current_dir(tree)
        .stdin(File::open(&names)?)
        .stdout(File::create(&archive)?)
        .spawn()?;
    ensure!(cpio.wait()?.success(), "cpio failed");
    fs::remove_file(&names)?;
    compress(compressor, &archive, out)?;
    fs::remove_file(&archive).map_err(Into::into)
}

/// Runs `compressor`, which reads standard input and writes standard output.
fn compress(compressor: &[&str], from: &Path, to: &Path) -> Result<()> {
    let (program, arguments) = compressor.split_first().context("no compressor")?;
    let mut command = system(program, program)?;
    command.args(arguments).stdin(File::open(from)?).stdout(File::create(to)?);
    let status = command.status()?;
    ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

fn fit(kernel: &Path, tree: &Path, options: &[&str], date: u64, out: &Path) -> Result<()> {
    let folder = out.with_extension("fit");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    compress(&["gzip", "-9", "-n"], kernel, &folder.join("kernel.gz"))?;
    // All files but the kernel, which has its own place.
    let mut left_out = vec!["-e".to_owned()];
    left_out.push(kernel.strip_prefix(tree)?.to_string_lossy().into_owned());
    let mut all = options.to_vec();
    all.extend(left_out.iter().map(String::as_str));
    squashfs(tree, &all, date, &folder.join("root.squashfs"))?;
    fs::write(folder.join("image.its"), FIT)?;
    let mut mkimage = system("mkimage", "u-boot-tools")?;
    mkimage.current_dir(&folder).env("SOURCE_DATE_EPOCH", date.to_string());
    said(mkimage.args(["-f", "image.its", "image.fit"]))?;
    fs::rename(folder.join("image.fit"), out)?;
    fs::remove_dir_all(&folder).map_err(Into::into)
}

fn legacy(kernel: &Path, compressor: &[&str], date: u64, out: &Path) -> Result<()> {
    let packed = out.with_extension("packed");
    compress(compressor, kernel, &packed)?;
    let kind = compressor.first().copied().unwrap_or("none");
    let kind = if kind == "xz" { "lzma" } else { kind };
    let mut mkimage = system("mkimage", "u-boot-tools")?;
    mkimage.env("SOURCE_DATE_EPOCH", date.to_string());
    mkimage.args(["-A", "arm", "-O", "linux", "-T", "kernel", "-C", kind]);
    mkimage.args(["-a", "0x80008000", "-e", "0x80008000", "-n", "kernel", "-d"]);
    said(mkimage.arg(&packed).arg(out))?;
    fs::remove_file(&packed).map_err(Into::into)
}

const FIT: &str = r#"/dts-v1/;
/ {
    description = "kernel and root file system";
    #address-cells = <1>;
    images {
        kernel-1 {
            description = "kernel";
            data = /incbin/("kernel.gz");
            type = "kernel";
            arch = "arm64";
            os = "linux";
            compression = "gzip";
            load = <0x40080000>;
            entry = <0x40080000>;
            hash-1 { algo = "sha256"; };
        };
        rootfs-1 {
            description = "root file system";
            data = /incbin/("root.squashfs");
            type = "filesystem";
            arch = "arm64";
            os = "linux";
            compression = "none";
            hash-1 { algo = "sha256"; };
        };
    };
    configurations {
        default = "config-1";
        config-1 { kernel = "kernel-1"; loadables = "rootfs-1"; };
    };
};
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_that_are_not_free_are_used() {
        let header = "Inode count:              32\nFree inodes:              17\n\
                      First inode:              11\n  Free inodes: 14-16\n  \
                      Free inodes: 18, 20-32\n";
        assert_eq!(used_inodes(header).unwrap(), [2, 11, 12, 13, 17, 19]);
    }

    #[test]
    fn an_ext4_that_is_made_twice_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let tree = dir.path().join("tree");
        let make = |name: &str| {
            if tree.exists() {
                fs::remove_dir_all(&tree).unwrap();
            }
            fs::create_dir_all(tree.join("etc")).unwrap();
            fs::write(tree.join("etc/passwd"), "root").unwrap();
            super::super::tree::date_all(&tree, 1_700_000_000).unwrap();
            let image = dir.path().join(name);
            let options = &["-b", "4096", "-O", "^has_journal"];
            Pack::Ext4(options, 4).make(&tree, &tree, 1_700_000_000, &image).unwrap();
            fs::read(image).unwrap()
        };
        let first = make("first");
        // Later, and by files that were made later.
        let began = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        while std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() == began {
            std::hint::spin_loop();
        }
        assert!(first == make("second"), "the images differ");
    }
}
