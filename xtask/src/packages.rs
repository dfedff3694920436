//! The Debian packages that the stages need, installed where that is possible.

use crate::run;
use anyhow::{Context, Result, bail, ensure};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How long a package installation may take.
const BUDGET: Duration = Duration::from_secs(600);

/// A program that the stages need and the Debian package that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Need {
    /// Found in `PATH`, the `sbin` directories, or where PostgreSQL has its own.
    pub program: &'static str,
    /// The package.
    pub package: &'static str,
}

/// What building needs.
pub(crate) const BUILD: [Need; 1] = [Need { program: "cc", package: "build-essential" }];
/// What the demo and the tests with real images need besides.
pub(crate) const IMAGES: [Need; 3] = [
    Need { program: "mkfs.ext4", package: "e2fsprogs" },
    Need { program: "e2fsck", package: "e2fsprogs" },
    Need { program: "unzip", package: "unzip" },
];
/// What the tests of the fleet's stores need besides.
pub(crate) const STORES: [Need; 3] = [
    Need { program: "postgres", package: "postgresql" },
    Need { program: "python3", package: "python3-venv" },
    Need { program: "setpriv", package: "util-linux" },
];
/// The web server that rollouts from files are tried with.
pub(crate) const WEB: [Need; 1] = [Need { program: "nginx", package: "nginx-light" }];
/// The programs whose compressed data the tests of `delta` open and make again.
pub(crate) const CODECS: [Need; 20] = [
    Need { program: "cpio", package: "cpio" },
    Need { program: "dtc", package: "device-tree-compiler" },
    Need { program: "gzip", package: "gzip" },
    Need { program: "lz4", package: "lz4" },
    Need { program: "mcopy", package: "mtools" },
    Need { program: "mkfs.erofs", package: "erofs-utils" },
    Need { program: "mke2fs", package: "e2fsprogs" },
    Need { program: "mkfs.vfat", package: "dosfstools" },
    Need { program: "mkimage", package: "u-boot-tools" },
    Need { program: "mksquashfs", package: "squashfs-tools" },
    Need { program: "python3", package: "python3-minimal" },
    Need { program: "7z", package: "p7zip-full" },
    Need { program: "libdeflate-gzip", package: "libdeflate-tools" },
    Need { program: "lzip", package: "lzip" },
    Need { program: "lzmp", package: "lzma" },
    Need { program: "tar", package: "tar" },
    Need { program: "xz", package: "xz-utils" },
    Need { program: "zip", package: "zip" },
    Need { program: "zopfli", package: "zopfli" },
    Need { program: "zstd", package: "zstd" },
];
/// The tools of bootloaders that the tests of the agent's boot control ask.
pub(crate) const LOADERS: [Need; 5] = [
    Need { program: "grub-script-check", package: "grub-common" },
    Need { program: "fw_setenv", package: "libubootenv-tool" },
    Need { program: "fw_printenv", package: "libubootenv-tool" },
    Need { program: "grub-editenv", package: "grub-common" },
    Need { program: "cgpt", package: "cgpt" },
];
/// What builds programs for other processors.
pub(crate) const CROSS: [Need; 1] = [Need { program: "python3", package: "python3-venv" }];
/// The compiler whose standard library can be built for any processor.
pub(crate) const LIBRARY: [Need; 2] = [
    Need { program: "/usr/bin/rustc", package: "rustc-web" },
    Need { program: "/usr/lib/rustlib/src/rust/library/std/Cargo.toml", package: "rust-web-src" },
];
/// What all emulated boards need besides.
pub(crate) const BOARDS: [Need; 5] = [
    Need { program: "mcopy", package: "mtools" },
    Need { program: "mkfs.vfat", package: "dosfstools" },
    Need { program: "sfdisk", package: "fdisk" },
    Need { program: "cpio", package: "cpio" },
    Need { program: "dpkg", package: "dpkg" },
];
/// What the board with U-Boot needs.
pub(crate) const BOARD: [Need; 4] = [
    Need { program: "qemu-system-aarch64", package: "qemu-system-arm" },
    Need { program: "/usr/lib/u-boot/qemu_arm64/u-boot.bin", package: "u-boot-qemu" },
    Need { program: "mkimage", package: "u-boot-tools" },
    Need { program: "mkenvimage", package: "u-boot-tools" },
];
/// What the PC with GRUB needs.
pub(crate) const BOARD_PC: [Need; 6] = [
    Need { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Need { program: "/usr/share/ovmf/OVMF.fd", package: "ovmf" },
    Need { program: "grub-mkimage", package: "grub-common" },
    Need { program: "grub-editenv", package: "grub-common" },
    Need { program: "/usr/lib/grub/i386-pc/boot.img", package: "grub-pc-bin" },
    Need { program: "/usr/lib/grub/x86_64-efi/linux.mod", package: "grub-efi-amd64-bin" },
];
/// What the MIPS board needs.
pub(crate) const BOARD_MIPS: [Need; 2] = [
    Need { program: "qemu-system-mipsel", package: "qemu-system-mips" },
    Need { program: "debugfs", package: "e2fsprogs" },
];
/// What the machine with an eMMC and NOR needs.
pub(crate) const EMMC: [Need; 3] = [
    Need { program: "fw_printenv", package: "libubootenv-tool" },
    Need { program: "qemu-system-arm", package: "qemu-system-arm" },
    Need { program: "mkenvimage", package: "u-boot-tools" },
];
/// The bus on which the agent's owner is spoken for.
pub(crate) const BUS: [Need; 2] = [
    Need { program: "dbus-daemon", package: "dbus" },
    Need { program: "dbus-send", package: "dbus" },
];
/// Who knows about the line, and what puts one up.
pub(crate) const NETWORK: [Need; 6] = [
    Need { program: "NetworkManager", package: "network-manager" },
    Need { program: "ModemManager", package: "modemmanager" },
    Need { program: "dbus-daemon", package: "dbus" },
    Need { program: "ip", package: "iproute2" },
    Need { program: "mount", package: "mount" },
    Need { program: "unshare", package: "util-linux" },
];
/// What the guest with raw flash needs besides.
pub(crate) const FLASH: [Need; 4] = [
    Need { program: "qemu-system-x86_64", package: "qemu-system-x86" },
    Need { program: "nanddump", package: "mtd-utils" },
    Need { program: "ubiattach", package: "mtd-utils" },
    Need { program: "fw_setenv", package: "libubootenv-tool" },
];
/// What runs agents for other processors.
pub(crate) const FOREIGN: [Need; 6] = [
    Need { program: "gzip", package: "gzip" },
    Need { program: "qemu-mips-static", package: "qemu-user-static" },
    Need { program: "qemu-mipsel-static", package: "qemu-user-static" },
    Need { program: "qemu-arm-static", package: "qemu-user-static" },
    Need { program: "qemu-aarch64-static", package: "qemu-user-static" },
    Need { program: "nsenter", package: "util-linux" },
];
/// The browser in which the agent's local page is tried.
pub(crate) const BROWSER: [Need; 2] = [
    Need { program: "chromium", package: "chromium" },
    Need { program: "chromedriver", package: "chromium-driver" },
];
/// What the bench against other updaters needs besides.
pub(crate) const PEERS: [Need; 9] = [
    Need { program: "swupdate", package: "swupdate" },
    Need { program: "rauc", package: "rauc" },
    Need { program: "mksquashfs", package: "squashfs-tools" },
    Need { program: "cpio", package: "cpio" },
    Need { program: "nginx", package: "nginx-light" },
    Need { program: "stdbuf", package: "coreutils" },
    Need { program: "unshare", package: "util-linux" },
    Need { program: "zstd", package: "zstd" },
    Need { program: "openssl", package: "openssl" },
];

/// What the bench against other servers needs besides.
pub(crate) const FLEET_PEERS: [Need; 1] = [Need { program: "nginx", package: "nginx-light" }];

/// What making the corpus of images needs.
pub(crate) const CORPUS: [Need; 13] = [
    Need { program: "apt-get", package: "apt" },
    Need { program: "dpkg-deb", package: "dpkg" },
    Need { program: "cpio", package: "cpio" },
    Need { program: "dtc", package: "device-tree-compiler" },
    Need { program: "find", package: "findutils" },
    Need { program: "gzip", package: "gzip" },
    Need { program: "mke2fs", package: "e2fsprogs" },
    Need { program: "mkfs.erofs", package: "erofs-utils" },
    Need { program: "mkimage", package: "u-boot-tools" },
    Need { program: "mksquashfs", package: "squashfs-tools" },
    Need { program: "tar", package: "tar" },
    Need { program: "xz", package: "xz-utils" },
    Need { program: "zstd", package: "zstd" },
];
/// What the bench against other makers of deltas needs besides.
pub(crate) const DELTA_PEERS: [Need; 4] = [
    Need { program: "bsdiff", package: "bsdiff" },
    Need { program: "python3", package: "python3-venv" },
    Need { program: "time", package: "time" },
    Need { program: "xdelta3", package: "xdelta3" },
];

/// Sees to it that every needed program is there: installs what is missing when run
/// by root on Debian.
///
/// # Errors
/// Something is missing and cannot be installed; the text says what to do.
pub(crate) fn ensure_installed(needs: &[Need]) -> Result<()> {
    let missing = missing(needs, is_there);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() || !is_there("apt-get") {
        bail!("missing programs; install them with: sudo apt-get install {names}");
    }
    println!("installing with apt-get: {names}");
    apt(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(missing);
    if let Err(error) = apt(&install) {
        // Something that is there already may come from the backports, and what is
        // missing has to match it.
        let suite = add_backports().context(error.to_string())?;
        apt(&["update"])?;
        install.splice(1..1, ["--target-release", &suite]);
        apt(&install)?;
    }
    ensure!(needs.iter().all(|need| is_there(need.program)), "apt-get did not install: {names}");
    Ok(())
}

/// Makes this Debian's backports known to apt, from where its packages come.
fn add_backports() -> Result<String> {
    let targets = ["indextargets", "--format", "$(REPO_URI) $(CODENAME)", "Created-By: Packages"];
    let output = Command::new("apt-get").args(targets).output().context("apt-get")?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let release = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
    let code = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    let code = code.context("this system does not say which Debian it is")?;
    let from = said.lines().find_map(|line| line.strip_suffix(code)).map(str::trim);
    let from = from.context("apt does not say where its packages come from")?;
    let suite = format!("{code}-backports");
    let list = format!("/etc/apt/sources.list.d/{suite}.list");
    std::fs::write(&list, format!("deb {from} {suite} main\n"))
        .with_context(|| format!("cannot write {list}"))?;
    Ok(suite)
}

/// The packages of the programs that are not `there`, each once.
fn missing(needs: &[Need], there: impl Fn(&str) -> bool) -> Vec<&'static str> {
    let mut missing: Vec<_> =
        needs.iter().filter(|need| !there(need.program)).map(|need| need.package).collect();
    missing.sort_unstable();
    missing.dedup();
    missing
}

fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    // Debian keeps the server programs of PostgreSQL in a folder per version.
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let versions = versions.map(|version| version.path().join("bin"));
    let places = path.split(':').chain(["/usr/sbin", "/sbin"]).map(PathBuf::from);
    places.chain(versions).any(|place| place.join(program).is_file())
}

fn apt(arguments: &[&str]) -> Result<()> {
    let log = std::env::temp_dir().join(format!("refit-apt-{}.log", std::process::id()));
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let ended = run::run(&mut command, BUDGET, &log, run::Show::Tried).context("apt-get");
    // Nothing depends on the log: what apt-get said is in `ended`.
    let _ = std::fs::remove_file(&log);
    let ended = ended?;
    ensure!(ended.well, "apt-get {} failed:\n{}", arguments.join(" "), ended.output);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_once() {
        assert_eq!(missing(&IMAGES, |program| program == "unzip"), ["e2fsprogs"]);
        assert_eq!(missing(&IMAGES, |_| false), ["e2fsprogs", "unzip"]);
        assert!(missing(&IMAGES, |_| true).is_empty());
    }

    #[test]
    fn programs_are_looked_for_where_they_are() {
        assert!(is_there("sh"));
        assert!(!is_there("no-such-program-anywhere"));
    }
}
