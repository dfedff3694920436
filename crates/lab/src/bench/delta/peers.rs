//! Those who make deltas: how each is asked for its best, and what it needs.

use super::venv::Venv;
use crate::process::{Programs, said, system};
use anyhow::Result;
use std::fmt;
use std::fs;
use std::path::Path;
use std::process::Command;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(super) enum Tool {
    Refit,
    /// With `--fast`.
    RefitFast,
    Bsdiff,
    Xdelta3,
    Zstd,
    Hdiffpatch,
    Detools,
}

/// All of them, in the order of the table.
pub(super) const TOOLS: [Tool; 7] = [
    Tool::Refit,
    Tool::RefitFast,
    Tool::Bsdiff,
    Tool::Xdelta3,
    Tool::Zstd,
    Tool::Hdiffpatch,
    Tool::Detools,
];

/// The largest window of xdelta3's source, in bytes.
const XDELTA_SOURCE_MAX: u64 = (1 << 31) - 1;

/// What applying may take of memory: enough for every codec. How much a patch takes
/// then, it declares.
const HEAP: &str = "1 GiB";

/// Where the programs are.
pub(super) struct Peers<'a> {
    pub(super) programs: &'a Programs,
    pub(super) venv: &'a Venv,
}

impl Tool {
    /// Whether it is one of the others.
    pub(super) fn is_peer(self) -> bool {
        !matches!(self, Self::Refit | Self::RefitFast)
    }

    /// Whether it runs in the interpreter, whose start is not its work.
    pub(super) fn is_python(self) -> bool {
        matches!(self, Self::Hdiffpatch | Self::Detools)
    }

    /// Its release, and how it is asked: what figures of it belong to.
    pub(super) fn version(self) -> Result<String> {
        let debian = |package| {
            let mut dpkg = system("dpkg-query", "dpkg")?;
            said(dpkg.args(["--show", "--showformat=${Version}", package]))
        };
        Ok(match self {
            Self::Bsdiff => debian("bsdiff")?,
            Self::Xdelta3 => debian("xdelta3")?,
            Self::Zstd => debian("zstd")?,
            Self::Hdiffpatch => Venv::version("hdiffpatch").to_owned(),
            Self::Detools => Venv::version("detools").to_owned(),
            Self::Refit | Self::RefitFast => String::new(),
        })
    }

    /// Bytes that it needs for two images of these sizes, about.
    fn appetite(self, old: u64, new: u64) -> u64 {
        match self {
            // Two arrays of 8 bytes for each byte of the old image.
            Self::Bsdiff => 17 * old + new,
            Self::Xdelta3 => 11 * old,
            Self::Zstd => 5 * (old + new),
            Self::Detools => 10 * old + 2 * new,
            Self::Hdiffpatch => 6 * old + 3 * new,
            Self::Refit | Self::RefitFast => 0,
        }
    }

    /// Why it is not even tried.
    pub(super) fn declines(self, old: u64, new: u64) -> Result<Option<String>> {
        let (needs, there) = (self.appetite(old, new), available()?);
        let mib = |bytes: u64| bytes >> 20;
        let text = || format!("needs {} MiB of memory, {} are free", mib(needs), mib(there));
        Ok((needs > there).then(text))
    }
}

/// Bytes of memory that are free.
fn available() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    Ok(kib.unwrap_or(0) << 10)
}

impl Peers<'_> {
    /// Makes `patch`.
    pub(super) fn diff(&self, tool: Tool, old: &Path, new: &Path, patch: &Path) -> Result<Command> {
        let size = fs::metadata(old)?.len();
        let mut command = self.program(tool, Work::Diff)?;
        match tool {
            Tool::Refit | Tool::RefitFast => {
                if tool == Tool::RefitFast {
                    command.arg("--fast");
                }
                command.args(["--json", "--max-heap", HEAP]).arg(old).arg(new).arg("-o").arg(patch)
            }
            Tool::Bsdiff => command.arg(old).arg(new).arg(patch),
            Tool::Xdelta3 => {
                let window = size.clamp(1 << 20, XDELTA_SOURCE_MAX).to_string();
                command.args(["-e", "-f", "-9", "-S", "lzma", "-B", &window, "-s"]);
                command.arg(old).arg(new).arg(patch)
            }
            Tool::Zstd => {
                command.args(["-q", "-f", "-19", "--long=31", "-T1", "--patch-from"]);
                command.arg(old).arg(new).arg("-o").arg(patch)
            }
            Tool::Hdiffpatch => command.args(["-c", HDIFF]).arg(old).arg(new).arg(patch),
            Tool::Detools => {
                command.args(["create_patch", "-c", "lzma"]).arg(old).arg(new).arg(patch)
            }
        };
        Ok(command)
    }

    /// Makes `new` of `old` and `patch`.
    pub(super) fn patch(
        &self,
        tool: Tool,
        old: &Path,
        patch: &Path,
        new: &Path,
    ) -> Result<Command> {
        let mut command = self.program(tool, Work::Patch)?;
        match tool {
            Tool::Refit | Tool::RefitFast => command.arg(old).arg(patch).arg("-o").arg(new),
            Tool::Bsdiff => command.arg(old).arg(new).arg(patch),
            Tool::Xdelta3 => {
                let window = fs::metadata(old)?.len().clamp(1 << 20, XDELTA_SOURCE_MAX).to_string();
                command.args(["-d", "-f", "-B", &window, "-s"]).arg(old).arg(patch).arg(new)
            }
            Tool::Zstd => {
                command.args(["-q", "-f", "-d", "--long=31", "--memory=2048MB", "--patch-from"]);
                command.arg(old).arg(patch).arg("-o").arg(new)
            }
            Tool::Hdiffpatch => command.args(["-c", HPATCH]).arg(old).arg(patch).arg(new),
            Tool::Detools => command.arg("apply_patch").arg(old).arg(patch).arg(new),
        };
        Ok(command)
    }

    fn program(&self, tool: Tool, work: Work) -> Result<Command> {
        let refit = |verb| {
            let mut command = self.programs.refit();
            command.arg(verb);
            command
        };
        Ok(match (tool, work) {
            (Tool::Refit | Tool::RefitFast, Work::Diff) => refit("diff"),
            (Tool::Refit | Tool::RefitFast, Work::Patch) => refit("patch"),
            (Tool::Bsdiff, Work::Diff) => system("bsdiff", "bsdiff")?,
            (Tool::Bsdiff, Work::Patch) => system("bspatch", "bsdiff")?,
            (Tool::Xdelta3, _) => system("xdelta3", "xdelta3")?,
            (Tool::Zstd, _) => system("zstd", "zstd")?,
            (Tool::Hdiffpatch, _) => self.venv.program("python"),
            (Tool::Detools, _) => self.venv.program("detools"),
        })
    }
}

#[derive(Debug, Clone, Copy)]
enum Work {
    Diff,
    Patch,
}

/// `hdiffz` by its Python binding: LZMA2 at its best, with a window of the new image.
const HDIFF: &str = "\
import hdiffpatch, sys
old, new = (open(name, 'rb').read() for name in sys.argv[1:3])
window = min(max(len(new).bit_length(), 12), 27)
best = hdiffpatch.Lzma2Config(level=9, window=window)
open(sys.argv[3], 'wb').write(hdiffpatch.diff(old, new, best, validate=False))";
/// `hpatchz` by the same.
const HPATCH: &str = "\
import hdiffpatch, sys
old, patch = (open(name, 'rb').read() for name in sys.argv[1:3])
open(sys.argv[3], 'wb').write(hdiffpatch.apply(old, patch))";

impl fmt::Display for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refit => "Refit",
            Self::RefitFast => "Refit --fast",
            Self::Bsdiff => "bsdiff",
            Self::Xdelta3 => "xdelta3 -9 -S lzma",
            Self::Zstd => "zstd -19 --long=31 --patch-from",
            Self::Hdiffpatch => "HDiffPatch lzma2",
            Self::Detools => "detools lzma",
        })
    }
}
