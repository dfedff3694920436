//! Who has a device open that only one program can have, as `/proc` tells.

use agent::platform::places::same_place;
use std::fs;
use std::path::{Path, PathBuf};

/// What the agent is called.
const AGENT: &str = "refit-agent";

/// The first program that has what is at `path` open, as `name (PID)`; the agent itself
/// does not count. Those of others are seen by root only.
pub(super) fn by_another(path: &Path) -> Option<String> {
    fs::read_dir("/proc").ok()?.filter_map(Result::ok).find_map(|entry| {
        let folder = entry.path();
        let number: u32 = entry.file_name().to_str()?.parse().ok()?;
        let name = fs::read_to_string(folder.join("comm")).ok()?;
        let is_other = name.trim() != AGENT && number != std::process::id();
        let holds = is_other && opened(&folder).iter().any(|file| same_place(file, path));
        holds.then(|| format!("{} ({number})", name.trim()))
    })
}

/// What the process in this folder has open.
fn opened(process: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(process.join("fd"));
    let entries = listed.into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path()).collect()
}
