//! One pair through all tools: each makes a patch, applies it, and what comes out is
//! compared with the new image.

use super::cost::{Cost, FREE, Ran, measure};
use super::kept::Kept;
use super::outcome::{Done, Outcome, Row, Said};
use super::peers::{Peers, Tool};
use crate::clock::now;
use crate::corpus::{Group, Made};
use crate::entry::digest_of;
use anyhow::{Context, Result};
use delta::FrameEncoder;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::Command;
use types::Hasher;

/// Bytes of a chunk, and the level, of a full payload as `refit pack` makes it.
const CHUNK: u64 = 256 << 10;
const LEVEL: i32 = 12;

/// What all pairs share.
pub(super) struct Runner<'a> {
    pub(super) peers: Peers<'a>,
    /// The corpus.
    pub(super) folder: &'a Path,
    pub(super) scratch: &'a Path,
    /// What the interpreter costs before any work.
    pub(super) start: Cost,
    /// What peers did before.
    pub(super) kept: Kept,
    /// Peers are measured however often they were.
    pub(super) again: bool,
    /// After how many seconds of the CPU a peer is ended.
    pub(super) limit: u32,
}

impl Runner<'_> {
    pub(super) fn pair(&self, pair: &Made, tools: &[Tool]) -> Result<Outcome> {
        let (old, new) = (self.image(pair, "old"), self.image(pair, "new"));
        println!("{}: {} → {} bytes", pair.name, pair.old.size, pair.new.size);
        let mut rows = Vec::new();
        for &tool in tools {
            let done = self.tool_or_kept(tool, pair, &old, &new);
            let done = done.with_context(|| format!("cannot measure {tool} on {}", pair.name))?;
            match &done {
                Ok(done) => println!("  {tool}: {}", done.line()),
                Err(why) => println!("  {tool}: {why}"),
            }
            rows.push(Row { tool, done });
        }
        let full = full_payload(&new)?;
        let hashing = hashing(&old)? + hashing(&new)?;
        println!("  full payload: {full} bytes; SHA-256 of both images: {hashing:.2} s");
        let (pair, shape, old, new) = (pair.name.clone(), pair.shape, pair.old.size, pair.new.size);
        Ok(Outcome { pair, shape, old, new, full, hashing, rows })
    }

    fn image(&self, pair: &Made, side: &str) -> std::path::PathBuf {
        self.folder.join(&pair.name).join(side)
    }

    /// What was kept of a peer, or a round trip that is kept.
    fn tool_or_kept(
        &self,
        tool: Tool,
        pair: &Made,
        old: &Path,
        new: &Path,
    ) -> Result<Result<Done, String>> {
        if !tool.is_peer() {
            return self.tool(tool, pair, old, new);
        }
        let itself = tool.version()?;
        // The small pairs take seconds: there all figures are of one run.
        let earlier = if self.again || pair.group == Group::Small {
            None
        } else {
            self.kept.find(tool, &itself, pair)
        };
        if let Some(done) = earlier {
            return Ok(done);
        }
        let done = self.tool(tool, pair, old, new)?;
        self.kept.keep(tool, &itself, pair, &done)?;
        Ok(done)
    }

    /// One round trip; the reason where it is skipped or fails.
    fn tool(
        &self,
        tool: Tool,
        pair: &Made,
        old: &Path,
        new: &Path,
    ) -> Result<Result<Done, String>> {
        if let Some(why) = tool.declines(pair.old.size, pair.new.size)? {
            return Ok(Err(format!("skipped: {why}")));
        }
        let (patch, out) = (self.scratch.join("patch"), self.scratch.join("out"));
        for file in [&patch, &out].into_iter().filter(|file| file.exists()) {
            fs::remove_file(file)?;
        }
        let limit = if tool.is_peer() { self.limit } else { FREE };
        let run = |command: &Command| measure(command, self.scratch, limit);
        let diff = run(&self.peers.diff(tool, old, new, &patch)?)?;
        let (diff, said) = match diff {
            Ran::Well(cost, said) => (cost, said),
            Ran::Not(why) => return Ok(Err(format!("diff {why}"))),
        };
        let size = fs::metadata(&patch)?.len();
        let applied = match run(&self.peers.patch(tool, old, &patch, &out)?)? {
            Ran::Well(cost, _) => cost,
            Ran::Not(why) => return Ok(Err(format!("{size} bytes, patch {why}"))),
        };
        if digest_of(&mut File::open(&out)?)?.to_string() != pair.new.sha256 {
            return Ok(Err(format!("{size} bytes, gives another image")));
        }
        fs::remove_file(&out)?;
        let said = if tool.is_peer() { Said::default() } else { serde_json::from_str(&said)? };
        let (diff, patch) = (self.own_part(tool, diff), self.own_part(tool, applied));
        Ok(Ok(Done { size, diff, patch, said, earlier: false }))
    }

    /// Without the start of an interpreter, which is not the tool's.
    fn own_part(&self, tool: Tool, cost: Cost) -> Cost {
        let start = if tool.is_python() { self.start } else { Cost::default() };
        let less = |all: f64, part: f64| (all - part).max(0.0);
        Cost { cpu: less(cost.cpu, start.cpu), wall: less(cost.wall, start.wall), rss: cost.rss }
    }
}

/// Bytes of what is sent without a delta.
fn full_payload(image: &Path) -> Result<u64> {
    let mut file = File::open(image)?;
    let mut encoder = FrameEncoder::new(LEVEL).map_err(anyhow::Error::msg)?;
    let mut total = 0;
    loop {
        let mut chunk = Vec::new();
        file.by_ref().take(CHUNK).read_to_end(&mut chunk)?;
        if chunk.is_empty() {
            return Ok(total);
        }
        total += encoder.encode(&chunk).map_err(anyhow::Error::msg)?.len() as u64;
    }
}

/// Seconds for SHA-256 of a file that is in memory already.
fn hashing(image: &Path) -> Result<f64> {
    let bytes = fs::read(image)?;
    let began = now();
    let mut hasher = Hasher::default();
    hasher.update(&bytes);
    // The digest itself is known; the time is what is wanted.
    let _ = hasher.finish();
    Ok((now() - began).as_secs_f64())
}
