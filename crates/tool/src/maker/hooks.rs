//! The hooks of a release: what a maker writes about them, and the programs that the
//! package brings for them.

use anyhow::Context;
use package::{Hook, Phase, Program, Step};
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};
use types::Digest;

/// One hook in `release.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct HookPart {
    phase: Phase,
    /// Program and arguments; only arguments where `file` is the program.
    #[serde(default)]
    command: Vec<String>,
    limit_seconds: u32,
    /// The program, where the package brings it.
    file: Option<PathBuf>,
    /// Of a migration: the version of the configuration's form that it begins with.
    from: Option<u32>,
    /// The version that it makes.
    to: Option<u32>,
}

/// A hook as the manifest has it, and its program.
pub(crate) struct PackedHook {
    pub(crate) hook: Hook,
    pub(crate) bytes: Vec<u8>,
}

impl HookPart {
    /// Reads the program; `folder` is where the configuration is.
    ///
    /// # Errors
    /// It cannot be read, or is larger than a package may bring.
    pub(crate) fn pack(&self, folder: &Path) -> anyhow::Result<PackedHook> {
        let step = match (self.from, self.to) {
            (Some(from), Some(to)) => Some(Step { from, to }),
            (None, None) => None,
            _ => anyhow::bail!("a migration has both `from` and `to`"),
        };
        let (program, bytes) = match &self.file {
            None => (None, Vec::new()),
            Some(file) => {
                let (program, bytes) = read(&folder.join(file))?;
                (Some(program), bytes)
            }
        };
        let called = program.iter().map(|program| program.entry.clone());
        let command = called.chain(self.command.iter().cloned()).collect();
        let (phase, limit_seconds) = (self.phase, self.limit_seconds);
        Ok(PackedHook { hook: Hook { phase, command, limit_seconds, program, step }, bytes })
    }
}

fn read(path: &Path) -> anyhow::Result<(Program, Vec<u8>)> {
    let what = || format!("cannot pack the hook {}", path.display());
    let bytes = fs::read(path).with_context(what)?;
    let name = path.file_name().and_then(|name| name.to_str()).with_context(what)?;
    let size = u32::try_from(bytes.len()).with_context(what)?;
    let program = Program { entry: format!("hooks/{name}"), size, sha256: Digest::of(&bytes) };
    Ok((program, bytes))
}
