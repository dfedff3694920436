//! A guest without a disk: Debian's kernel, BusyBox and scripts in a RAM disk, which try
//! something and say how each went.

use crate::board::machine::Machine;
use crate::board::parts::list;
use crate::board::slot::archive;
use crate::process::Running;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What all guests begin with, and end with.
const BEGIN: &str = include_str!("guest.sh");

/// What a guest is made of.
pub(crate) struct Guest<'a> {
    /// The folder with unpacked packages for its processor.
    pub(crate) parts: &'a Path,
    /// Where it is made.
    pub(crate) folder: &'a Path,
}

impl Guest<'_> {
    /// The folder of its file system.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.join("root")
    }

    /// Makes its file system: scripts, of which `init` is the first program, modules of its
    /// kernel, BusyBox, and whom it knows.
    ///
    /// # Errors
    /// A part is missing.
    pub(crate) fn make(&self, scripts: &[(&str, &str)], modules: &[&str]) -> Result<()> {
        let root = self.root();
        for place in ["bin", "dev", "etc", "lib", "proc", "run", "sys", "tools"] {
            fs::create_dir_all(root.join(place))?;
        }
        for (name, text) in scripts.iter().chain(&[("begin", BEGIN)]) {
            fs::write(root.join(name), text)?;
        }
        fs::set_permissions(root.join("init"), fs::Permissions::from_mode(0o755))?;
        self.program(&self.part(|file| file.ends_with("bin/busybox"))?, "bin/busybox")?;
        for module in modules {
            let name = format!("{module}.ko");
            fs::copy(self.part(|file| named(file) == name)?, root.join("lib").join(&name))?;
        }
        let users = "root:x:0:0::/:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n";
        Ok(fs::write(root.join("etc/passwd"), users)?)
    }

    /// Copies a program into it.
    ///
    /// # Errors
    /// It cannot be copied.
    pub(crate) fn program(&self, from: &Path, to: &str) -> Result<()> {
        let to = self.root().join(to);
        fs::copy(from, &to).with_context(|| format!("cannot copy {}", from.display()))?;
        Ok(fs::set_permissions(to, fs::Permissions::from_mode(0o755))?)
    }

    /// The first file of its packages that is `wanted`.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn part(&self, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
        let mut files = Vec::new();
        list(self.parts, &mut files)?;
        let found = files.into_iter().find(|file| wanted(file));
        found.with_context(|| format!("a part is missing in {}", self.parts.display()))
    }

    /// Runs it to its end in `emulator`, which has all but kernel and RAM disk, and prints
    /// what it said; whether all that it tried went well.
    ///
    /// # Errors
    /// A part is missing, or it does not come to its end.
    pub(crate) fn run(&self, emulator: &mut Command) -> Result<bool> {
        let (initrd, console) = (self.folder.join("initrd"), self.folder.join("console"));
        fs::write(&initrd, archive(&self.root())?)?;
        let kernel = self.part(|file| named(file).starts_with("vmlinuz-"))?;
        emulator.args(["-nographic", "-monitor", "none", "-serial", "stdio", "-no-reboot"]);
        emulator.arg("-kernel").arg(kernel).arg("-initrd").arg(&initrd);
        let transcript = Machine::of(Running::of(emulator, &console)?, &console).end()?;
        let ended = transcript.count("guest: the end") == 1;
        ensure!(ended, "the guest did not come to its end:\n{}", transcript.end());
        println!("{}", transcript.text());
        Ok(transcript.count("test result: ok. ") == 1)
    }
}

/// The name of a file.
pub(crate) fn named(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
