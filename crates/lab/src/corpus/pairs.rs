//! The pairs: what is in them, how they are packed, and what is expected of a delta.

use super::choice::Step;
use super::pack::Pack;
use super::tree::Documents;
use serde::{Deserialize, Serialize};

/// What a pair's two folders are made of.
#[derive(Debug)]
pub(super) struct Material {
    pub(super) name: &'static str,
    pub(super) architecture: &'static str,
    pub(super) from: From,
}

/// Where a folder comes from.
#[derive(Debug)]
pub(super) enum From {
    /// These packages with all that they depend on.
    Closure(&'static [&'static str], Step, Documents),
    /// These packages only.
    Listed(&'static [&'static str], Step, Documents),
    /// The kernel of this flavour, and its modules if they are wanted.
    Kernel(&'static str, Modules),
}

/// What is taken of a kernel's modules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Modules {
    Without,
    /// Of the drivers for networks, each packed by xz.
    Network,
}

impl Material {
    /// What it is, for the manifest.
    pub(super) fn words(&self) -> String {
        let of = |names: &[&str], step: &Step, documents: &Documents| {
            format!("{} ({step:?}, documents {documents:?})", names.join(" "))
        };
        let from = match &self.from {
            From::Closure(roots, step, documents) => {
                format!("closure of {}", of(roots, step, documents))
            }
            From::Listed(names, step, documents) => of(names, step, documents),
            From::Kernel(flavour, modules) => format!("kernel {flavour} (modules {modules:?})"),
        };
        format!("{} {from}", self.architecture)
    }
}

/// By which goal of size a pair is judged, beside those for every pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// At most 0.17 of the best peer.
    SquashfsXz,
    /// At most 0.25 of the best peer.
    SquashfsOther,
    /// At most 0.20 of the best peer.
    SelfExtracting,
    /// At most the best peer.
    Plain,
    /// Only what counts for every pair.
    Any,
}

/// Which pairs a run wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Group {
    /// Three small ones for every test run.
    Small,
    /// What the engine is tuned on.
    Main,
    /// Other packages, other parameters: nobody tunes on these.
    HeldOut,
}

/// One pair.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) name: &'static str,
    pub(super) group: Group,
    pub(super) shape: Shape,
    pub(super) old: Image,
    pub(super) new: Image,
    /// Seconds since 1970 of every file, on both sides.
    pub(super) dates: (u64, u64),
}

/// One side of one material, packed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image {
    pub(super) material: &'static str,
    pub(super) side: Side,
    pub(super) pack: Pack,
}

/// Which of a material's two folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Old,
    New,
}

impl Side {
    /// As a folder is called.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }

    /// The other one.
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Old => Self::New,
            Self::New => Self::Old,
        }
    }
}

use Documents::{Kept, Removed};
use Step::{Feature, Point};

/// All materials.
pub(super) const MATERIALS: &[Material] = &[
    material("tiny", "arm64", From::Listed(TINY, Point, Kept)),
    material("gateway", "arm64", From::Closure(GATEWAY, Point, Removed)),
    material("router", "armhf", From::Closure(ROUTER, Point, Removed)),
    material("next", "arm64", From::Closure(ROUTER, Feature, Removed)),
    material("office", "amd64", From::Closure(OFFICE, Point, Removed)),
    material("web", "amd64", From::Closure(WEB, Point, Removed)),
    material("kernel-arm64", "arm64", From::Kernel("arm64", Modules::Without)),
    material("kernel-armmp", "armhf", From::Kernel("armmp", Modules::Without)),
    material("kernel-mipsel", "mipsel", From::Kernel("4kc-malta", Modules::Without)),
    material("kernel-amd64", "amd64", From::Kernel("amd64", Modules::Without)),
    material("kernel-cloud", "arm64", From::Kernel("cloud-arm64", Modules::Network)),
    material("kernel-mips32r2el", "mipsel", From::Kernel("mips32r2el", Modules::Network)),
    material("uboot", "arm64", From::Listed(&["u-boot-qemu"], Feature, Removed)),
    material("edk2", "arm64", From::Listed(&["qemu-efi-aarch64"], Point, Removed)),
    material("ovmf", "amd64", From::Listed(&["ovmf"], Point, Removed)),
];

const TINY: &[&str] = &["libssl3", "openssl", "libcurl4", "curl", "mosquitto"];
const GATEWAY: &[&str] = &[
    "avahi-daemon",
    "base-files",
    "bash",
    "busybox",
    "ca-certificates",
    "curl",
    "dnsmasq",
    "ethtool",
    "hostapd",
    "iptables",
    "libtiff6",
    "mosquitto",
    "nftables",
    "nginx-light",
    "openssh-server",
    "openssl",
    "openvpn",
    "ppp",
    "strongswan",
    "systemd",
    "tcpdump",
    "udev",
    "wpasupplicant",
];
const ROUTER: &[&str] =
    &["busybox", "dnsmasq", "hostapd", "iproute2", "libldb2", "openssh-server", "openssl"];
const OFFICE: &[&str] = &["chromium", "firefox-esr"];
const WEB: &[&str] = &["apache2", "bind9", "git", "php8.2-cli"];

/// The time of every file where both sides have the same.
const THEN: u64 = 1_700_000_000;
/// A month later.
const LATER: u64 = THEN + 30 * 86_400;

const EXT4: Pack = Pack::Ext4(&["-b", "4096", "-O", "^has_journal"], 4);

/// All pairs.
pub(super) const PAIRS: &[Pair] = &[
    pair("small-squashfs-xz", Group::Small, Shape::SquashfsXz, "tiny", squashfs(&["-comp", "xz"])),
    pair("small-fit", Group::Small, Shape::SquashfsOther, "tiny", FIT_TINY),
    pair("small-ext4", Group::Small, Shape::Any, "tiny", EXT4),
    pair(
        "gateway-squashfs-xz",
        Group::Main,
        Shape::SquashfsXz,
        "gateway",
        squashfs(&["-comp", "xz"]),
    ),
    pair(
        "gateway-squashfs-gzip",
        Group::Main,
        Shape::SquashfsOther,
        "gateway",
        squashfs(&["-comp", "gzip"]),
    ),
    pair(
        "gateway-squashfs-zstd",
        Group::Main,
        Shape::SquashfsOther,
        "gateway",
        squashfs(&["-comp", "zstd"]),
    ),
    pair("router-squashfs-xz-bcj", Group::Main, Shape::SquashfsXz, "router", OPENWRT),
    pair("gateway-tar", Group::Main, Shape::Plain, "gateway", Pack::Tar),
    pair("gateway-ext4", Group::Main, Shape::Plain, "gateway", EXT4),
    pair("gateway-erofs", Group::Main, Shape::Plain, "gateway", Pack::Erofs(&[])),
    pair("kernel-arm64", Group::Main, Shape::Plain, "kernel-arm64", VMLINUZ),
    pair("kernel-armmp", Group::Main, Shape::SelfExtracting, "kernel-armmp", VMLINUZ),
    pair("kernel-mipsel", Group::Main, Shape::SelfExtracting, "kernel-mipsel", VMLINUZ),
    pair("kernel-amd64", Group::Main, Shape::SelfExtracting, "kernel-amd64", VMLINUZ),
    pair(
        "uboot",
        Group::Main,
        Shape::Plain,
        "uboot",
        Pack::One("usr/lib/u-boot/qemu_arm64/u-boot.bin"),
    ),
    pair(
        "edk2-arm64",
        Group::Main,
        Shape::Plain,
        "edk2",
        Pack::One("usr/share/AAVMF/AAVMF_CODE.fd"),
    ),
    pair("edk2-amd64", Group::Main, Shape::Any, "ovmf", Pack::One("usr/share/OVMF/OVMF_CODE.fd")),
    // Nothing changes.
    Pair {
        new: image("gateway", Side::Old, squashfs(&["-comp", "xz"])),
        ..pair("same", Group::Main, Shape::Any, "gateway", squashfs(&["-comp", "xz"]))
    },
    // Nothing stays.
    Pair {
        old: image("kernel-armmp", Side::Old, VMLINUZ),
        ..pair("unrelated", Group::Main, Shape::Any, "tiny", squashfs(&["-comp", "xz"]))
    },
    pair("feature-squashfs-xz", Group::Main, Shape::Any, "next", squashfs(&["-comp", "xz"])),
    pair(
        "gib-ext4",
        Group::Main,
        Shape::Plain,
        "office",
        Pack::Ext4(&["-b", "4096", "-O", "^has_journal"], 1024),
    ),
    // Each file has the date of its release, as in builds with SOURCE_DATE_EPOCH.
    Pair {
        dates: (THEN, LATER),
        ..pair(
            "held-squashfs-xz-64k",
            Group::HeldOut,
            Shape::SquashfsXz,
            "web",
            squashfs(&["-comp", "xz", "-b", "64K", "-Xbcj", "x86"]),
        )
    },
    pair(
        "held-squashfs-xz-1m",
        Group::HeldOut,
        Shape::SquashfsXz,
        "web",
        squashfs(&["-comp", "xz", "-b", "1M", "-no-xattrs", "-nopad"]),
    ),
    pair(
        "held-squashfs-zstd-22",
        Group::HeldOut,
        Shape::SquashfsOther,
        "router",
        squashfs(&["-comp", "zstd", "-Xcompression-level", "22", "-b", "1M"]),
    ),
    pair(
        "held-squashfs-zstd-19",
        Group::HeldOut,
        Shape::SquashfsOther,
        "web",
        squashfs(&["-comp", "zstd", "-Xcompression-level", "19", "-b", "256K"]),
    ),
    pair(
        "held-squashfs-gzip-options",
        Group::HeldOut,
        Shape::SquashfsOther,
        "router",
        squashfs(&[
            "-comp",
            "gzip",
            "-b",
            "64K",
            "-Xcompression-level",
            "7",
            "-Xwindow-size",
            "14",
            "-Xstrategy",
            "default,fixed,filtered",
        ]),
    ),
    pair(
        "held-fit",
        Group::HeldOut,
        Shape::SquashfsOther,
        "kernel-cloud",
        Pack::Fit("boot/vmlinuz*", &["-comp", "xz"]),
    ),
    pair(
        "held-initrd-zstd",
        Group::HeldOut,
        Shape::SquashfsOther,
        "kernel-cloud",
        Pack::Initrd(&["zstd", "-q", "-19", "-T1", "-c"]),
    ),
    pair("held-ext4-modules", Group::HeldOut, Shape::Any, "kernel-mips32r2el", EXT4),
    pair(
        "held-legacy-mipsel",
        Group::HeldOut,
        Shape::SelfExtracting,
        "kernel-mips32r2el",
        Pack::Legacy("boot/vmlinuz*", &["gzip", "-9", "-n"]),
    ),
    pair("held-erofs-lz4hc", Group::HeldOut, Shape::Any, "router", Pack::Erofs(&["-zlz4hc,12"])),
];

const VMLINUZ: Pack = Pack::One("boot/vmlinuz*");
const OPENWRT: Pack =
    squashfs(&["-comp", "xz", "-b", "256K", "-Xbcj", "arm", "-no-xattrs", "-nopad"]);
// As large as a small kernel, and code as one.
const FIT_TINY: Pack = Pack::Fit("usr/lib/*/libcrypto.so.3", &["-comp", "zstd"]);

const fn material(name: &'static str, architecture: &'static str, from: From) -> Material {
    Material { name, architecture, from }
}

const fn squashfs(options: &'static [&'static str]) -> Pack {
    Pack::Squashfs(options)
}

const fn image(material: &'static str, side: Side, pack: Pack) -> Image {
    Image { material, side, pack }
}

const fn pair(
    name: &'static str,
    group: Group,
    shape: Shape,
    material: &'static str,
    pack: Pack,
) -> Pair {
    let (old, new) = (image(material, Side::Old, pack), image(material, Side::New, pack));
    Pair { name, group, shape, old, new, dates: (THEN, THEN) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_have_names_of_their_own_and_materials() {
        let mut names: Vec<_> = PAIRS.iter().map(|pair| pair.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), PAIRS.len());
        for image in PAIRS.iter().flat_map(|pair| [pair.old, pair.new]) {
            assert!(MATERIALS.iter().any(|m| m.name == image.material), "{}", image.material);
        }
    }

    #[test]
    fn three_pairs_are_for_every_day() {
        let count = |group| PAIRS.iter().filter(|pair| pair.group == group).count();
        assert_eq!(count(Group::Small), 3);
        assert!(count(Group::HeldOut) >= 6);
    }
}
