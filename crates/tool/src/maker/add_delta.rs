//! `refit add-delta`: a package gets deltas from older packages.

use super::config::Bytes;
use super::diff::Bars;
use super::zip::{ZipFile, copy, progress, replace};
use anyhow::{Context, ensure};
use clap::Parser;
use delta::{DiffOptions, Effort, PatchHeader};
use engine::examine::{Examined, examine, extract};
use indicatif::HumanBytes;
use package::{Component, Delta, Deltas, Entry, Manifest, delta_entry};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use trust::Targets;
use types::{Effect, Timestamp};

/// Adds deltas from older packages to a package
///
/// A terminal that runs an older release takes its delta, and the full payload where it
/// has not the memory for it or the delta fails. Deltas are not under the signatures and
/// need no key: what they make is checked against the signed digests, chunk by chunk.
/// Those that the package has already are kept.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit add-delta update.zip --from r7000-2.3.zip --from r7000-2.2.zip
  refit add-delta update.zip --from r7000-2.3.zip --max-heap \"8 MiB\" -o card/update.zip")]
pub(crate) struct Args {
    /// The package of the new release
    package: PathBuf,
    /// A package of an older release; repeat it for each
    #[arg(long = "from", value_name = "PACKAGE", required = true)]
    from: Vec<PathBuf>,
    /// Where the package goes; the one that was read is replaced if not given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// The most memory that applying a delta may take, as in 8M
    #[arg(long, value_name = "BYTES", default_value = "64 MiB")]
    max_heap: Bytes,
    /// In less time, for deltas that are a little larger
    #[arg(long)]
    fast: bool,
}

/// A package, read and found sound.
struct Sound {
    file: ZipFile,
    examined: Examined,
}

/// A delta that is to be added.
struct Made {
    described: Delta,
    bytes: Vec<u8>,
}

pub(crate) fn run(args: &Args, now: Timestamp) -> anyhow::Result<ExitCode> {
    let new = Sound::read(&args.package, now)?;
    let mut made: Vec<Made> = Vec::new();
    for path in &args.from {
        let old = Sound::read(path, now)?;
        let (product, other) = (&new.examined.manifest.product, &old.examined.manifest.product);
        ensure!(product == other, "{} is a package of {other}, not of {product}", path.display());
        for component in &new.examined.manifest.components {
            let added = made_for(args, &new, &old, component, &made)?;
            made.extend(added);
        }
    }
    write(args.output.as_ref().unwrap_or(&args.package), &new, &made)?;
    Ok(ExitCode::SUCCESS)
}

impl Sound {
    fn read(path: &Path, now: Timestamp) -> anyhow::Result<Self> {
        let bar = progress("reading");
        let file = ZipFile::open(path, bar.clone())?;
        let examined = examine(&file, None, now);
        bar.finish_and_clear();
        Ok(Self { file, examined: examined.with_context(|| format!("{}", path.display()))? })
    }

    fn image(&self, component: &Component) -> anyhow::Result<Vec<u8>> {
        let mut image = Vec::new();
        let mut take = |chunk: &[u8]| image.extend_from_slice(chunk);
        extract(&self.file, &self.examined.package, component, &mut take)?;
        Ok(image)
    }

    /// The image that a delta of `component` could start from.
    fn source_for(&self, component: &Component) -> Option<&Component> {
        let mut all = self.examined.manifest.components.iter();
        all.find(|old| old.name == component.name && old.image.sha256 != component.image.sha256)
    }
}

/// The delta of `component`, where there can be one, there is none yet, and it pays.
fn made_for(
    args: &Args,
    new: &Sound,
    old: &Sound,
    component: &Component,
    made: &[Made],
) -> anyhow::Result<Option<Made>> {
    let Some(source) = old.source_for(component) else { return Ok(None) };
    let known =
        new.examined.package.deltas().deltas.iter().chain(made.iter().map(|m| &m.described));
    let same = |d: &Delta| d.component == component.name && d.source == source.image.sha256;
    let count = known.clone().count();
    if component.effect != Effect::Slot || known.clone().any(same) {
        return Ok(None);
    }
    let Bytes(max_heap) = args.max_heap;
    let effort = if args.fast { Effort::Fast } else { Effort::Best };
    let options = DiffOptions { max_heap: max_heap.into(), effort, ..DiffOptions::default() };
    let bars = Bars(progress("sorting"));
    let patch = delta::diff(old.image(source)?, &new.image(component)?, &options, &bars);
    bars.0.finish_and_clear();
    let bytes =
        patch.with_context(|| format!("cannot compare images of {}", component.name))?.bytes;
    let header = PatchHeader::read(&bytes)?.context("the patch has no header")?.0;
    let size = u64::try_from(bytes.len())?;
    let full = component.payloads.iter().map(|payload| payload.size).min().unwrap_or(u64::MAX);
    let from = &old.examined.manifest.version;
    if size >= full {
        println!("{} from {from}: a delta would not be smaller; left out", component.name);
        return Ok(None);
    }
    let share = size as f64 * 100.0 / full as f64;
    let (bytes_for_people, heap) = (HumanBytes(size), HumanBytes(header.heap));
    println!(
        "{} from {from}: {bytes_for_people}, {share:.1} % of the full payload, in {heap} of memory",
        component.name
    );
    let described = Delta {
        component: component.name.clone(),
        source: source.image.sha256,
        entry: delta_entry(count),
        size,
        heap: header.heap,
    };
    Ok(Some(Made { described, bytes }))
}

/// Writes the package again, with its old deltas and the new ones.
fn write(output: &Path, new: &Sound, made: &[Made]) -> anyhow::Result<()> {
    let sound = &new.examined.package;
    let mut list = sound.deltas().clone();
    list.deltas.extend(made.iter().map(|made| made.described.clone()));
    let list = serde_json::to_vec(&list).context("cannot write the list of deltas")?;
    let documents = [Manifest::ENTRY, Targets::ENTRY, package::PROOF];
    let head = |entry: &&Entry| documents.contains(&entry.name.as_str());
    let source = &new.file;
    replace(output, |zip| {
        let entries = sound.archive().entries();
        let rest = |entry: &&Entry| !head(entry) && entry.name != Deltas::ENTRY;
        for entry in entries.iter().filter(head) {
            zip.start(&entry.name, entry.size, entry.crc32)?;
            copy(source, entry.at, entry.size, zip)?;
        }
        zip.entry(Deltas::ENTRY, &list)?;
        for entry in entries.iter().filter(rest) {
            zip.start(&entry.name, entry.size, entry.crc32)?;
            copy(source, entry.at, entry.size, zip)?;
        }
        for Made { described, bytes } in made {
            zip.entry(&described.entry, bytes)?;
        }
        Ok(())
    })
}
