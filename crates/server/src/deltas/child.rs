//! `refit-server make-delta`: makes one delta, in a process of its own.
//!
//! The server starts it, writes a [`Request`] as one line of JSON to its standard input
//! and reads a line per [`Said`] from its standard output. It limits its own memory,
//! takes the lowest part of the processors, gives up all that it does not need (`contain`)
//! before it looks at an image, and ends when its standard input does: so it never
//! outlives the server, however that ends.

use super::contain;
use super::options::Effort;
use anyhow::{Context as _, Result, bail};
use delta::{DiffOptions, FrameDecoder, PatchHeader, Progress, Stage};
use rustix::process::{Resource, Rlimit, setrlimit};
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead as _, Read as _, Write as _, stdin, stdout};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use types::{Hasher, Image};

/// The command that the server calls itself by.
pub(crate) const COMMAND: &str = "make-delta";
/// How far down the priority goes: the processors are for those who ask.
const NICE: i32 = 5;
/// Bytes that a delta may have beyond twice its image: it would not be kept anyway.
const ROOM: u64 = 16 << 20;
/// Bytes of a payload that are read at once.
const PIECE: usize = 1 << 20;
/// How often it is said how far a stage is: so many times from its start to its end.
const STEPS: u64 = 50;

/// How much it may take.
#[derive(Debug, clap::Args)]
pub(crate) struct MakeDelta {
    /// MiB of memory
    #[arg(long)]
    memory_mib: u32,
}

/// What is to be made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Request {
    /// What terminals run.
    pub(crate) old: Payload,
    /// What they shall run.
    pub(crate) new: Payload,
    /// The file that the delta goes to.
    pub(crate) output: PathBuf,
    /// Bytes of memory that applying it may take.
    pub(crate) max_heap: u64,
    /// How hard to look.
    pub(crate) effort: Effort,
}

/// Where a full payload is, and the image that it holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Payload {
    /// The file.
    pub(crate) file: PathBuf,
    /// Where the payload starts there.
    pub(crate) at: u64,
    /// Its bytes.
    pub(crate) size: u64,
    /// What it decodes to.
    pub(crate) image: Image,
}

/// What it says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Said {
    /// How far it is.
    Far {
        /// With what.
        words: String,
        /// Bytes.
        done: u64,
        /// Of so many.
        total: u64,
    },
    /// It is made, and takes so many bytes of memory.
    Made {
        /// Bytes.
        heap: u64,
    },
    /// It cannot be made, now or ever.
    Refused {
        /// Why.
        why: String,
    },
}

/// Makes what standard input asks for.
pub(crate) fn make(args: &MakeDelta) -> Result<()> {
    let memory = u64::from(args.memory_mib) << 20;
    let limit = Rlimit { current: Some(memory), maximum: Some(memory) };
    setrlimit(Resource::As, limit).context("cannot limit the memory")?;
    // With a higher priority than wished it is as right.
    let _as_it_is = rustix::process::nice(NICE);
    let mut line = String::new();
    stdin().lock().read_line(&mut line).context("cannot read what is to be made")?;
    let request: Request = serde_json::from_str(&line).context("cannot read what is to be made")?;
    let files = Files::open(&request)?;
    let largest = request.new.image.size.saturating_mul(2).saturating_add(ROOM);
    contain::contain(largest).context("cannot give up what it does not need")?;
    let watch = std::thread::Builder::new().stack_size(64 << 10);
    watch.spawn(end_with_the_server).context("there is no memory for a thread")?;
    let said = made(&request, files, memory)?;
    say(&said)
}

/// Standard input ends with the server.
fn end_with_the_server() {
    let mut nothing = [0];
    while stdin().lock().read(&mut nothing).is_ok_and(|read| read > 0) {}
    std::process::exit(1);
}

/// The files of a request, opened before that is given up.
struct Files {
    old: File,
    new: File,
    output: File,
}

impl Files {
    fn open(request: &Request) -> Result<Self> {
        let package =
            |payload: &Payload| File::open(&payload.file).context("cannot open a package");
        let output = File::options().write(true).truncate(true).open(&request.output);
        let output = output.context("cannot open the delta's file")?;
        Ok(Self { old: package(&request.old)?, new: package(&request.new)?, output })
    }
}

fn made(request: &Request, mut files: Files, memory: u64) -> Result<Said> {
    let images = request.old.image.size.saturating_add(request.new.image.size);
    let limit = memory >> 20;
    // Both images, and what their streams hold, which is seldom less.
    if images.saturating_mul(2) > memory {
        let why = format!("its images have {} MiB; making it may take {limit} MiB", images >> 20);
        return Ok(Said::Refused { why });
    }
    let (old, new) = (image(&files.old, &request.old)?, image(&files.new, &request.new)?);
    let memory = memory.saturating_sub(images.saturating_mul(2));
    let effort = match request.effort {
        Effort::Best => delta::Effort::Best,
        Effort::Fast => delta::Effort::Fast,
    };
    let max_heap = request.max_heap;
    let options = DiffOptions { max_heap, effort, memory, ..DiffOptions::default() };
    let delta = match delta::diff(old, &new, &options, &Aloud::default()) {
        Ok(delta) => delta,
        Err(error) => return Ok(Said::Refused { why: error.to_string() }),
    };
    let header = PatchHeader::read(&delta.bytes)?.context("the delta has no header")?.0;
    let written = files.output.write_all(&delta.bytes);
    written.and_then(|()| files.output.sync_all()).context("cannot write the delta")?;
    Ok(Said::Made { heap: header.heap })
}

/// Decodes a payload to the image that the manifest speaks of.
fn image(file: &File, payload: &Payload) -> Result<Vec<u8>> {
    let size = usize::try_from(payload.image.size)?;
    let mut image = Vec::new();
    image.try_reserve_exact(size).context("there is no memory for an image")?;
    image.resize(size, 0);
    let mut decoder = FrameDecoder::new(payload.image.chunk_size);
    let mut chunks = image.chunks_mut(usize::try_from(payload.image.chunk_size)?);
    let mut chunk = chunks.next();
    let (mut piece, mut at) = (vec![0; PIECE], 0);
    while at < payload.size {
        let left = usize::try_from(payload.size - at).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..left).unwrap_or_default();
        file.read_exact_at(part, payload.at + at).context("cannot read a package")?;
        at += u64::try_from(left)?;
        let mut input: &[u8] = part;
        while !input.is_empty() {
            let Some(into) = chunk.as_deref_mut() else { bail!("a payload goes on") };
            let step = decoder.decode(input, into).context("cannot decode a payload")?;
            input = input.get(step.consumed..).unwrap_or_default();
            if step.done {
                chunk = chunks.next();
            }
        }
    }
    let mut hasher = Hasher::default();
    hasher.update(&image);
    if hasher.finish() != payload.image.sha256 {
        bail!("a payload does not hold the image that its manifest speaks of");
    }
    Ok(image)
}

fn say(said: &Said) -> Result<()> {
    let mut out = stdout().lock();
    writeln!(out, "{}", serde_json::to_string(said)?)?;
    Ok(out.flush()?)
}

/// Says how far it is, but not at every step.
#[derive(Default)]
struct Aloud {
    last: Mutex<Option<(Stage, u64)>>,
}

impl Progress for Aloud {
    fn reached(&self, stage: Stage, done: u64, all: u64) {
        let step = (done.saturating_mul(STEPS)).checked_div(all).unwrap_or(0);
        let Ok(mut last) = self.last.lock() else { return };
        if *last == Some((stage, step)) {
            return;
        }
        *last = Some((stage, step));
        let words = match stage {
            Stage::OpeningOld => "opening what terminals run",
            Stage::OpeningNew => "opening the release",
            Stage::Sorting => "sorting",
            Stage::Comparing => "comparing",
            Stage::Writing => "writing",
        };
        // Nobody listens any more: then standard input ends, too.
        let _ = say(&Said::Far { words: words.into(), done, total: all });
    }
}
