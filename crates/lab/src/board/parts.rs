//! What a board is made of that is not ours: a kernel, its modules, BusyBox and e2fsck,
//! all as Debian ships them.

use super::chain::Chain;
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};

/// Modules that the guest needs, in the order in which they are loaded.
const MODULES: [&str; 16] = [
    "crc16",
    "crc32c_generic",
    "mbcache",
    "jbd2",
    "ext4",
    "fat",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "virtio_blk",
    "failover",
    "net_failover",
    "virtio_net",
];

/// Where everything is.
#[derive(Debug, Clone)]
pub struct Parts {
    /// The kernel.
    pub kernel: PathBuf,
    /// Modules, in the order in which they are loaded.
    pub modules: Vec<PathBuf>,
    /// BusyBox, static.
    pub busybox: PathBuf,
    /// e2fsck, static.
    pub e2fsck: PathBuf,
    /// The agent, static, for the board's processor.
    pub agent: PathBuf,
    /// How the board starts.
    pub chain: Chain,
}

impl Parts {
    /// Finds the parts in `folder`, which holds unpacked packages of the board's
    /// architecture, and `agent`.
    ///
    /// # Errors
    /// One is missing.
    pub fn find(folder: &Path, agent: &Path, chain: Chain) -> Result<Self> {
        let mut files = Vec::new();
        list(folder, &mut files)?;
        let named = |wanted: &str| {
            let is = |file: &&PathBuf| file.file_name().is_some_and(|name| name == wanted);
            files.iter().find(is).cloned()
        };
        let kernel = files.iter().find(|file| {
            file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("vmlinuz-"))
        });
        let ending = |end: &str| files.iter().find(|file| file.ends_with(end)).cloned();
        let missing = |what: &str| format!("there is no {what} in {}", folder.display());
        let mut modules = Vec::new();
        let (first, last) = chain.modules();
        for module in first.iter().chain(&MODULES).chain(last) {
            match named(&format!("{module}.ko")) {
                Some(file) => modules.push(file),
                None => bail!("{}", missing(&format!("module {module}"))),
            }
        }
        anyhow::ensure!(agent.is_file(), "there is no {}", agent.display());
        Ok(Self {
            kernel: kernel.cloned().with_context(|| missing("kernel"))?,
            modules,
            busybox: ending("bin/busybox").with_context(|| missing("bin/busybox"))?,
            e2fsck: ending("sbin/e2fsck.static").with_context(|| missing("e2fsck.static"))?,
            agent: agent.into(),
            chain,
        })
    }
}

pub(crate) fn list(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let inside = std::fs::read_dir(folder);
    let inside = inside.with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in inside {
        let path = entry?.path();
        let kind = path.symlink_metadata()?.file_type();
        if kind.is_dir() {
            list(&path, files)?;
        } else if kind.is_file() {
            files.push(path);
        }
    }
    Ok(())
}
