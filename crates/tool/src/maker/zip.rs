//! Packages on disk: read at any place, and written beside before they appear.

pub(crate) use super::appear::folder_of;

use super::appear::appear;
use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use package::{Source, Writer};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Bytes that are copied at once.
const PIECE: usize = 256 << 10;

/// A package in a file; what is read moves a progress bar.
pub(crate) struct ZipFile {
    file: File,
    size: u64,
    progress: ProgressBar,
}

impl ZipFile {
    /// Opens the file.
    ///
    /// # Errors
    /// It is not there, or is no file.
    pub(crate) fn open(file: &Path, progress: ProgressBar) -> anyhow::Result<Self> {
        let opened = File::open(file).and_then(|file| Ok((file.metadata()?, file)));
        let (facts, opened) = opened.with_context(|| format!("cannot open {}", file.display()))?;
        anyhow::ensure!(facts.is_file(), "{} is not a file", file.display());
        progress.set_length(facts.len());
        Ok(Self { file: opened, size: facts.len(), progress })
    }

    /// `size` bytes of a file that is open already.
    pub(crate) fn new(file: File, size: u64) -> Self {
        Self { file, size, progress: ProgressBar::hidden() }
    }
}

impl Source for ZipFile {
    type Error = io::Error;

    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)?;
        self.progress.inc(u64::try_from(into.len()).unwrap_or(0));
        Ok(())
    }
}

/// A bar for people; nothing is drawn where the error output is no terminal.
pub(crate) fn progress(what: &'static str) -> ProgressBar {
    let style = "{msg:>10} [{bar:32}] {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    let style = ProgressStyle::with_template(style).map(|style| style.progress_chars("=> "));
    let bar = ProgressBar::new(0).with_message(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Writes a package through `fill` into a file beside `output`, flushes it, and
/// lets it appear at once: nobody ever sees half a package.
///
/// # Errors
/// The folder cannot be written, or `fill` failed; nothing is left behind then.
pub(crate) fn replace(
    output: &Path,
    fill: impl FnOnce(&mut ZipWriter<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    appear(output, |file| fill_file(file, fill))
}

/// A writer of packages into a file.
pub(crate) type ZipWriter<'a> = Writer<&'a mut dyn FnMut(&[u8]) -> io::Result<()>>;

fn fill_file(
    file: &mut File,
    fill: impl FnOnce(&mut ZipWriter<'_>) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(PIECE, file);
    let mut write = |bytes: &[u8]| out.write_all(bytes);
    let mut writer: ZipWriter<'_> = Writer::new(&mut write);
    fill(&mut writer)?;
    writer.finish()?;
    out.flush()?;
    Ok(())
}

/// Copies `size` bytes of `from`, from `at` on, into the open entry.
///
/// # Errors
/// Reading or writing failed.
pub(crate) fn copy<S: Source<Error = io::Error>>(
    from: &S,
    mut at: u64,
    size: u64,
    writer: &mut ZipWriter<'_>,
) -> anyhow::Result<()> {
    let (end, mut piece) = (at.saturating_add(size), vec![0; PIECE]);
    while at < end {
        let len = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
        let part = piece.get_mut(..len).unwrap_or_default();
        from.read_at(at, part).context("cannot read the package")?;
        writer.data(part)?;
        at += u64::try_from(len)?;
    }
    Ok(())
}
