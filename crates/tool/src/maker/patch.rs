//! `refit patch`: an image and a patch become the new image, in the memory that the
//! patch declares.

use super::appear::{appear, say};
use super::config::Bytes;
use super::zip::progress;
use anyhow::{Context, ensure};
use clap::Parser;
use delta::{Applier, HEADER_MAX, Limits, PatchHeader, ReadAt, ReadFault};
use indicatif::{HumanBytes, ProgressBar};
use serde_json::json;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, stdin};
use std::os::unix::fs::{FileExt, FileTypeExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use types::{Digest, Hasher};

/// Bytes that are read, or made, at once.
const PIECE: usize = 32 << 10;

/// Makes the new image of the old one and a patch
///
/// Nothing appears unless it is exactly the image that the patch was made for. Who
/// made the patch is not asked: signatures are on packages (`refit verify`).
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit patch old.squashfs update.patch -o new.squashfs
  refit patch old.ext4 update.patch -o new.ext4 --max-heap \"8 MiB\"
  ssh build cat update.patch | refit patch old.img - -o - | md5sum
  refit patch /dev/mmcblk0p2 update.patch -o new.img --json | jq -r .new.sha256")]
pub(crate) struct Args {
    /// The image that the patch was made for, or a block device that begins with it
    old: PathBuf,
    /// The patch; `-` is the input
    patch: PathBuf,
    /// Where the new image goes; replaced at once when it is complete. `-` is the output
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    /// Refuses patches that take more memory, as in "8 MiB"
    #[arg(long, value_name = "BYTES", default_value = "1 GiB")]
    max_heap: Bytes,
    /// For scripts
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let old = open(&args.old)?;
    let file: Box<dyn Read> = match args.patch.to_str() {
        Some("-") => Box::new(stdin().lock()),
        _ => Box::new(open(&args.patch)?),
    };
    let mut patch = Patch { file, bytes: Vec::with_capacity(PIECE), at: 0 };
    let what = || format!("cannot apply {}", args.patch.display());
    let header = patch.header().with_context(what)?;
    let bar = progress("checking");
    check_source(&old, &header, &bar)
        .with_context(|| format!("{} is not the image of this patch", args.old.display()))?;
    bar.set_message("patching");
    let Bytes(heap) = args.max_heap;
    let limits = Limits { heap: heap.into() };
    let (new, heap) = (header.target, header.heap);
    appear(&args.output, |new| apply(header, &limits, patch, &old, new, &bar).with_context(what))?;
    bar.finish_and_clear();
    say(
        &args.output,
        &if args.json {
            let new = json!({"size": new.size, "sha256": Digest(new.digest)});
            format!("{:#}\n", json!({"new": new, "heap": heap}))
        } else {
            format!("{}: {}\n", args.output.display(), HumanBytes(new.size))
        },
    );
    Ok(ExitCode::SUCCESS)
}

fn open(path: &Path) -> anyhow::Result<File> {
    let what = || format!("cannot open {}", path.display());
    let file = File::open(path).with_context(what)?;
    let kind = file.metadata().with_context(what)?.file_type();
    ensure!(
        kind.is_file() || kind.is_block_device(),
        "{} is neither a file nor a block device",
        path.display()
    );
    Ok(file)
}

/// A patch that is read in pieces.
struct Patch {
    file: Box<dyn Read>,
    bytes: Vec<u8>,
    at: usize,
}

impl Patch {
    fn header(&mut self) -> anyhow::Result<PatchHeader> {
        let mut start = Vec::new();
        self.file.by_ref().take(HEADER_MAX as u64).read_to_end(&mut start)?;
        let header = PatchHeader::read(&start)?.context("it is cut short")?;
        let rest = start.get(header.1..).unwrap_or_default();
        self.bytes.extend_from_slice(rest);
        Ok(header.0)
    }

    /// What was read and is not used yet; reads more when that is nothing.
    fn next(&mut self) -> std::io::Result<&[u8]> {
        if self.at == self.bytes.len() {
            self.bytes.resize(PIECE, 0);
            let read = self.file.read(&mut self.bytes)?;
            self.bytes.truncate(read);
            self.at = 0;
        }
        Ok(self.bytes.get(self.at..).unwrap_or_default())
    }
}

/// An image on disk.
struct Image<'a> {
    file: &'a File,
    size: u64,
}

impl ReadAt for Image<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> Result<(), ReadFault> {
        self.file.read_exact_at(into, at).map_err(|_| ReadFault)
    }
}

fn check_source(mut old: &File, header: &PatchHeader, bar: &ProgressBar) -> anyhow::Result<()> {
    let want = header.source;
    let longer = old.metadata()?.file_type().is_block_device();
    let size = old.seek(SeekFrom::End(0))?;
    ensure!(
        size == want.size || (longer && size > want.size),
        "it has {size} bytes, the patch wants {}",
        want.size
    );
    old.rewind()?;
    bar.set_length(want.size);
    let (mut old, mut hasher, mut piece) = (old.take(want.size), Hasher::default(), vec![0; PIECE]);
    loop {
        let read = old.read(&mut piece)?;
        let Some(read) = piece.get(..read).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
        bar.inc(u64::try_from(read.len())?);
    }
    let got = hasher.finish();
    ensure!(
        got == Digest(want.digest),
        "its SHA-256 is {got}, the patch wants {}",
        Digest(want.digest)
    );
    Ok(())
}

/// Writes the new image into `new`.
fn apply(
    header: PatchHeader,
    limits: &Limits,
    mut patch: Patch,
    old: &File,
    new: &File,
    bar: &ProgressBar,
) -> anyhow::Result<()> {
    let (source, target) = (header.source, header.target);
    bar.set_length(target.size);
    bar.set_position(0);
    let mut applier = Applier::new(header, limits)?;
    let mut old = Image { file: old, size: source.size };
    let (mut hasher, mut out, mut at) = (Hasher::default(), vec![0; PIECE], 0);
    loop {
        let input = patch.next().context("cannot read it")?;
        let over = input.is_empty();
        let mut made = Image { file: new, size: at };
        let step = applier.step(input, &mut out, &mut old, &mut made)?;
        patch.at += step.consumed;
        let filled = out.get(..step.filled).unwrap_or_default();
        new.write_all_at(filled, at)?;
        hasher.update(filled);
        at += u64::try_from(filled.len())?;
        bar.set_position(at);
        if step.end {
            break;
        }
        ensure!(!over || step.filled > 0, "it is cut short");
    }
    let (got, want) = (hasher.finish(), Digest(target.digest));
    ensure!(got == want, "it gives an image with SHA-256 {got} in place of {want}");
    Ok(())
}
