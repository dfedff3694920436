//! `refit pack`: images become a package.

use super::config::{Bytes, Config, Document, Part};
use super::date::{Date, or_years};
use super::encode::{Settings, encode};
use super::hooks::PackedHook;
use super::keys::read_keys;
use super::sign::{YEARS, fresh_targets, sign_all};
use super::zip::{ZipFile, copy, folder_of, progress, replace};
use anyhow::{Context, ensure};
use clap::Parser;
use indicatif::{HumanBytes, ProgressBar};
use package::{Codec, Component, Crc32, Manifest, Payload, ROOTS, chunks_entry, payload_entry};
use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::available_parallelism;
use trust::{Root, Targets};
use types::{Digest, Hasher, Image, Sealed, Timestamp};

/// Packs images into a package, and signs it if keys are given
///
/// Encodes on all cores, in memory that does not grow with the images. The same
/// images and the same description give the same manifest.
#[derive(Parser)]
#[command(after_help = "\
Examples:
  refit pack                               release.toml → update.zip, not signed
  refit pack --config r7000.toml -o r7000-2.4.zip --level 19
  refit pack --key keys/key-1.json --key keys/key-2.json

A release.toml, with paths relative to it:
  product = \"acme-r7000\"
  version = \"2.4.1\"                        # for people
  rollback_index = 7                       # for machines; never goes down
  class = \"security\"                       # or \"feature\"
  hardware = [\"r7000-rev-a\", \"r7000-rev-b\"]
  variants = [\"telco-x\"]                   # optional: brands or carriers
  regions = [\"DE\", \"AT\"]                  # optional: ISO 3166 codes, or your own words
  support_until = \"2031-12-31\"             # optional
  roots = [\"2.root.json\"]                 # optional: for terminals with an older root
  sbom = { url = \"https://acme.example/2.4.1.spdx.json\", file = \"sbom.json\" }
  release_notes = { url = \"https://acme.example/2.4.1\" }

  [notes]                                  # optional, per language
  en = \"Closes a hole in the web interface.\"

  [[components]]                           # in the order in which they are written
  name = \"rootfs\"
  kind = \"rootfs\"     # bootloader kernel rootfs modem application configuration opaque
  effect = \"slot\"     # slot (second bank), live (no boot), direct (no second copy)
  file = \"build/rootfs.ext4\"
  # chunk_size = \"256 KiB\"  version = \"5.1\"   works_with_both = true

  [[hooks]]                                # optional
  phase = \"health\"    # before-install before-activate after-boot health after-commit
                        # after-rollback
  command = [\"/usr/bin/selftest\", \"--quick\"]
  limit_seconds = 60
  [[hooks]]                                # a program that the package brings
  phase = \"before-install\"
  file = \"hooks/fits.sh\"
  limit_seconds = 10")]
pub(crate) struct Args {
    /// What the release is
    #[arg(short, long, value_name = "FILE", default_value = "release.toml")]
    config: PathBuf,
    /// Where the package goes; replaced at once when it is complete
    #[arg(short, long, value_name = "FILE", default_value = "update.zip")]
    output: PathBuf,
    /// Zstandard level: 1 is fast, 12 sensible, 19 and more slow and a little smaller
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(i32).range(1..=22))]
    level: i32,
    /// Signs with this key file; repeat it for each key
    #[arg(short, long = "key", value_name = "FILE")]
    keys: Vec<PathBuf>,
    /// Until when the signatures count; 2 years from now if not given
    #[arg(long, value_name = "DATE", requires = "keys")]
    expires: Option<Date>,
}

pub(crate) fn run(args: &Args, now: Timestamp) -> anyhow::Result<ExitCode> {
    // First what fails fast: half an hour of encoding is a long way to a typing error.
    let keys = read_keys(&args.keys)?;
    let config = Config::read(&args.config)?;
    let mut payloads = Payloads::new(folder_of(&args.output))?;
    let folder = folder_of(&args.config);
    let mut packed = Vec::new();
    for part in &config.components {
        packed.push(pack_part(part, folder, args.level, &mut payloads)?);
    }
    let components = packed.iter().map(|part| part.component.clone()).collect();
    let hooks = config.hooks.iter().map(|hook| hook.pack(folder));
    let hooks = hooks.collect::<anyhow::Result<Vec<_>>>()?;
    let manifest = describe(&config, folder, components, &hooks)?;
    let exact = serde_json::to_vec(&manifest).context("cannot write the manifest")?;
    let draft = || fresh_targets(&manifest, &exact, or_years(args.expires, now, YEARS));
    let targets = match keys.as_slice() {
        [] => None,
        keys => Some(sign_all(draft(), keys)?),
    };
    let roots = read_roots(&config.roots, folder)?;
    let targets = targets.as_ref();
    let documents = Documents { manifest: &manifest, exact: &exact, targets, roots };
    write_package(&args.output, &documents, &packed, &hooks, &payloads.finish()?)?;
    tell(args, &manifest, &exact);
    Ok(ExitCode::SUCCESS)
}

/// What comes before the payloads.
struct Documents<'a> {
    manifest: &'a Manifest,
    exact: &'a [u8],
    targets: Option<&'a Sealed>,
    /// Entries and bytes.
    roots: Vec<(String, Vec<u8>)>,
}

/// Roots that follow each other, each signed by the holders of the one before.
fn read_roots(files: &[PathBuf], folder: &Path) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut roots: Vec<(String, Vec<u8>)> = Vec::new();
    let mut last: Option<Root> = None;
    for file in files {
        let what = || format!("cannot use the root {}", file.display());
        let bytes = std::fs::read(folder.join(file)).with_context(what)?;
        let sealed = Sealed::from(bytes.as_slice());
        let root = match &last {
            None => Root::open(&sealed),
            Some(last) => last.successor(&sealed),
        };
        let root = root.with_context(what)?;
        roots.push((format!("{ROOTS}{}.root.json", root.version()), bytes));
        last = Some(root);
    }
    Ok(roots)
}

fn write_package(
    output: &Path,
    documents: &Documents<'_>,
    packed: &[Packed],
    hooks: &[PackedHook],
    payloads: &ZipFile,
) -> anyhow::Result<()> {
    replace(output, |zip| {
        zip.entry(Manifest::ENTRY, documents.exact)?;
        if let Some(targets) = documents.targets {
            zip.entry(Targets::ENTRY, targets.bytes())?;
        }
        for (name, bytes) in &documents.roots {
            zip.entry(name, bytes)?;
        }
        for Packed { component, list, .. } in packed {
            zip.entry(&chunks_entry(&component.name), list)?;
        }
        for program in documents.manifest.programs() {
            let with = |packed: &&PackedHook| packed.hook.program.as_ref() == Some(program);
            let bytes = hooks.iter().find(with).map_or(&[][..], |packed| &packed.bytes);
            zip.entry(&program.entry, bytes)?;
        }
        for Packed { component, at, size, crc32, .. } in packed {
            zip.start(&payload_entry(&component.name), *size, *crc32)?;
            copy(payloads, *at, *size, zip)?;
        }
        Ok(())
    })
}

/// A component, and where its payload waits.
struct Packed {
    component: Component,
    list: Vec<u8>,
    at: u64,
    size: u64,
    crc32: u32,
}

/// Payloads that wait for the manifest, which comes before them and knows their
/// digests: one file without a name, beside the package.
struct Payloads {
    file: BufWriter<File>,
    end: u64,
}

impl Payloads {
    fn new(folder: &Path) -> anyhow::Result<Self> {
        let file = tempfile::tempfile_in(folder)
            .with_context(|| format!("cannot write into {}", folder.display()))?;
        Ok(Self { file: BufWriter::new(file), end: 0 })
    }

    fn finish(self) -> anyhow::Result<ZipFile> {
        let file = self.file.into_inner().context("cannot write the payloads")?;
        Ok(ZipFile::new(file, self.end))
    }
}

fn pack_part(
    part: &Part,
    folder: &Path,
    level: i32,
    payloads: &mut Payloads,
) -> anyhow::Result<Packed> {
    let path = folder.join(&part.file);
    let what = || format!("cannot pack `{}` from {}", part.name, path.display());
    let file = File::open(&path).with_context(what)?;
    let bar = progress("packing");
    bar.set_length(file.metadata().with_context(what)?.len());
    let workers = available_parallelism().map_or(1, usize::from);
    let Bytes(chunk_size) = part.chunk_size;
    let settings = Settings { level, chunk_size, workers };
    // A wrong chunk size is found before it is used.
    check_chunk_size(chunk_size).with_context(what)?;
    let packed = encode_part(part, file, settings, payloads, &bar).with_context(what)?;
    bar.finish_and_clear();
    Ok(packed)
}

fn encode_part(
    part: &Part,
    file: impl Read + Send,
    settings: Settings,
    payloads: &mut Payloads,
    bar: &ProgressBar,
) -> anyhow::Result<Packed> {
    let (at, mut list) = (payloads.end, Vec::new());
    let (mut crc, mut sha256) = (Crc32::default(), Hasher::default());
    let whole = encode(file, settings, |frame| {
        list.extend(frame.digest.0);
        crc.update(&frame.bytes);
        sha256.update(&frame.bytes);
        payloads.file.write_all(&frame.bytes).context("cannot write the payload")?;
        payloads.end += u64::try_from(frame.bytes.len())?;
        bar.inc(frame.chunk_len);
        Ok(())
    })?;
    ensure!(whole.size > 0, "the file is empty");
    let size = payloads.end - at;
    let payload = Payload {
        codec: Codec::ZstdFrames,
        entry: payload_entry(&part.name),
        size,
        sha256: sha256.finish(),
        encryption: None,
    };
    let image = Image {
        size: whole.size,
        sha256: whole.sha256,
        chunk_size: settings.chunk_size,
        chunks: Digest::of(&list),
    };
    let component = Component {
        name: part.name.clone(),
        kind: part.kind,
        effect: part.effect,
        version: part.version.clone(),
        image,
        payloads: vec![payload],
        works_with_both: part.works_with_both,
    };
    Ok(Packed { component, list, at, size, crc32: crc.finish() })
}

fn check_chunk_size(chunk_size: u32) -> anyhow::Result<()> {
    let (size, digest) = (1, Digest::default());
    let image = Image { size, sha256: digest, chunk_size, chunks: digest };
    match image.fault() {
        Some(fault) => Err(anyhow::anyhow!("{fault}")),
        None => Ok(()),
    }
}

fn describe(
    config: &Config,
    folder: &Path,
    components: Vec<Component>,
    hooks: &[PackedHook],
) -> anyhow::Result<Manifest> {
    let link = |document: &Option<Document>| {
        document.as_ref().map(|document| document.link(folder)).transpose()
    };
    let manifest = Manifest {
        format: Manifest::FORMAT,
        product: config.product.clone(),
        variants: config.variants.clone(),
        regions: config.regions.clone(),
        hardware: config.hardware.clone(),
        version: config.version.clone(),
        rollback_index: config.rollback_index,
        class: config.class,
        components,
        notes: config.notes.clone(),
        hooks: hooks.iter().map(|packed| packed.hook.clone()).collect(),
        configuration: config.configuration,
        support_until: config.support_until.map(|date| date.0),
        release_notes: link(&config.release_notes)?,
        sbom: link(&config.sbom)?,
    };
    manifest.check().context("the release cannot be packed")?;
    Ok(manifest)
}

fn tell(args: &Args, manifest: &Manifest, exact: &[u8]) {
    let images: u64 = manifest.components.iter().map(|c| c.image.size).sum();
    println!(
        "{}: {} {}, {} of images in {}",
        args.output.display(),
        manifest.product,
        manifest.version,
        HumanBytes(images),
        HumanBytes(manifest.download_size()),
    );
    println!("release {}", Digest::of(exact));
    match args.keys.len() {
        0 => println!("not signed yet: `refit sign {} --key …`", args.output.display()),
        1 => println!("signed by 1 key"),
        n => println!("signed by {n} keys"),
    }
}
