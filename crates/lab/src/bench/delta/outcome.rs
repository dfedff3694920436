//! What came of measuring a pair.

use super::cost::Cost;
use super::peers::Tool;
use crate::corpus::Shape;
use serde::Deserialize;

/// What one tool did with one pair.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) tool: Tool,
    pub(super) done: Result<Done, String>,
}

/// A round trip.
#[derive(Debug, Clone, Default)]
pub(super) struct Done {
    /// Bytes of the patch.
    pub(super) size: u64,
    pub(super) diff: Cost,
    pub(super) patch: Cost,
    pub(super) said: Said,
    /// Another run measured it.
    pub(super) earlier: bool,
}

/// What `refit diff --json` says.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
pub(super) struct Said {
    /// Bytes of heap that applying needs.
    pub(super) heap: u64,
}

/// One pair, all tools.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) pair: String,
    pub(super) shape: Shape,
    pub(super) old: u64,
    pub(super) new: u64,
    /// Bytes of the full payload.
    pub(super) full: u64,
    /// Seconds that SHA-256 of both images takes.
    pub(super) hashing: f64,
    pub(super) rows: Vec<Row>,
}

impl Outcome {
    pub(super) fn of(&self, tool: Tool) -> Option<&Done> {
        self.rows.iter().find(|row| row.tool == tool)?.done.as_ref().ok()
    }

    /// The peer with the smallest patch, when all had their turn; some may not have
    /// come through.
    pub(super) fn best(&self) -> Option<(Tool, u64)> {
        let peers = self.rows.iter().filter(|row| row.tool.is_peer());
        let all = super::TOOLS.iter().filter(|tool| tool.is_peer()).count();
        if peers.clone().count() < all {
            return None;
        }
        let sizes = peers.filter_map(|row| Some((row.tool, row.done.as_ref().ok()?.size)));
        sizes.min_by_key(|(_, size)| *size)
    }

    /// Our own that did not come back right.
    pub(super) fn failures(&self) -> Vec<String> {
        let ours = self.rows.iter().filter(|row| !row.tool.is_peer());
        let failed = ours.filter_map(|row| Some((row.tool, row.done.as_ref().err()?)));
        failed.map(|(tool, why)| format!("{}: {tool}: {why}", self.pair)).collect()
    }
}

impl Done {
    pub(super) fn line(&self) -> String {
        let Self { size, diff, patch, .. } = self;
        let when = if self.earlier { "; measured by an earlier run" } else { "" };
        format!(
            "{size} bytes; diff {:.2} s CPU, {:.2} s, {:.0} MiB; patch {:.2} s CPU, {:.1} MiB{when}",
            diff.cpu, diff.wall, diff.rss, patch.cpu, patch.rss
        )
    }
}
