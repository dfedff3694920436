//! Makes the pairs: each step leaves something that the next run takes, and an image
//! appears whole or not at all.

use super::choice::{self, Choice, RELEASES};
use super::index::Package;
use super::manifest::{Made, Manifest, Sum};
use super::pairs::{From, Image, MATERIALS, Material, Modules, PAIRS, Pair, Side};
use super::registry::Registry;
use super::{Wanted, tree};
use crate::entry::digest_of;
use crate::process::{said, system};
use anyhow::{Context, Result, ensure};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use types::Digest;

/// What packs, with the Debian package that has it.
const TOOLS: [&str; 10] = [
    "cpio",
    "dpkg",
    "e2fsprogs",
    "erofs-utils",
    "gzip",
    "squashfs-tools",
    "tar",
    "u-boot-tools",
    "xz-utils",
    "zstd",
];

/// A material's packages, fetched.
struct Fetched {
    suites: Vec<String>,
    same: usize,
    changed: Vec<[String; 3]>,
    packages: String,
    old: Vec<PathBuf>,
    new: Vec<PathBuf>,
}

struct Builder {
    folder: PathBuf,
    registries: BTreeMap<&'static str, Registry>,
    fetched: BTreeMap<&'static str, Fetched>,
}

/// Makes what is wanted and not there yet.
///
/// # Errors
/// The mirror has a release no more, a tool is missing, or the storage is full.
pub fn build(wanted: &Wanted) -> Result<Manifest> {
    fs::create_dir_all(&wanted.folder)?;
    let folder = wanted.folder.canonicalize()?;
    let mut builder =
        Builder { folder: folder.clone(), registries: BTreeMap::new(), fetched: BTreeMap::new() };
    let names = wanted.names()?;
    let mut manifest = Manifest::read(&folder)?;
    let tools = tools()?;
    if manifest.tools != tools {
        // Other tools make other bytes.
        manifest = Manifest { tools, ..Manifest::default() };
    }
    for (at, pair) in PAIRS.iter().filter(|pair| names.contains(&pair.name)).enumerate() {
        if builder.there(pair, &manifest) {
            continue;
        }
        println!("pair {} of {}: {}", at + 1, names.len(), pair.name);
        let made = builder.pair(pair).with_context(|| format!("cannot make `{}`", pair.name))?;
        manifest.put(made);
        manifest.write(&folder)?;
    }
    manifest.pairs.retain(|pair| names.contains(&pair.name.as_str()));
    Ok(manifest)
}

/// Forgets what the mirror had, and what was unpacked.
pub(super) fn forget(folder: &Path) -> Result<()> {
    let Ok(inside) = fs::read_dir(folder) else { return Ok(()) };
    for entry in inside.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("apt-") || name == "trees" {
            fs::remove_dir_all(entry.path())?;
        } else if name == "manifest.json" {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn tools() -> Result<Vec<String>> {
    let mut dpkg = system("dpkg-query", "dpkg")?;
    dpkg.args(["--show", "--showformat=${Package} ${Version}\n"]).args(TOOLS);
    Ok(said(&mut dpkg)?.lines().map(str::to_owned).collect())
}

fn recipe(pair: &Pair) -> String {
    let words = |image: &Image| {
        let from = MATERIALS.iter().find(|material| material.name == image.material);
        let from = from.map(Material::words).unwrap_or_default();
        format!("{}, {from}: {}", image.side.word(), image.pack.recipe())
    };
    let (old, new) = pair.dates;
    format!("{}; {}; times {old}, {new}", words(&pair.old), words(&pair.new))
}

impl Builder {
    /// Whether the images are what the manifest says.
    fn there(&self, pair: &Pair, manifest: &Manifest) -> bool {
        let Some(made) = manifest.find(pair.name) else { return false };
        let size = |side: &str| fs::metadata(self.folder.join(pair.name).join(side));
        let right = |side, sum: &Sum| size(side).is_ok_and(|found| found.len() == sum.size);
        made.recipe == recipe(pair) && right("old", &made.old) && right("new", &made.new)
    }

    fn pair(&mut self, pair: &Pair) -> Result<Made> {
        let place = self.folder.join(pair.name);
        fs::create_dir_all(&place)?;
        let (before, after) = pair.dates;
        let old = self.image(&pair.old, before, &place.join("old"))?;
        let new = self.image(&pair.new, after, &place.join("new"))?;
        let fetched = self.fetched.get(pair.new.material).context("nothing was fetched")?;
        Ok(Made {
            name: pair.name.to_owned(),
            group: pair.group,
            shape: pair.shape,
            recipe: recipe(pair),
            old,
            new,
            suites: fetched.suites.clone(),
            same: fetched.same,
            changed: fetched.changed.clone(),
            packages: fetched.packages.clone(),
        })
    }

    fn image(&mut self, image: &Image, date: u64, out: &Path) -> Result<Sum> {
        let tree = self.tree(image.material, image.side)?;
        let other = self.tree(image.material, image.side.other())?;
        println!("  packing {}: {}", image.side.word(), image.pack.recipe());
        tree::date_all(&tree, date)?;
        let part = out.with_extension("part");
        if part.exists() {
            fs::remove_file(&part)?;
        }
        image.pack.make(&tree, &other, date, &part)?;
        let size = fs::metadata(&part)?.len();
        ensure!(size > 0, "the image is empty");
        let sha256 = digest_of(&mut File::open(&part)?)?.to_string();
        fs::rename(&part, out)?;
        Ok(Sum { size, sha256 })
    }

    /// The unpacked side of a material.
    fn tree(&mut self, name: &'static str, side: Side) -> Result<PathBuf> {
        let material = MATERIALS.iter().find(|material| material.name == name);
        let material = material.with_context(|| format!("there is no material `{name}`"))?;
        self.fetch(material)?;
        let fetched = self.fetched.get(name).context("nothing was fetched")?;
        let trees = self.folder.join("trees");
        // By the packages' digest: another choice is another tree.
        let digest = fetched.packages.get(..12).unwrap_or_default();
        let tree = trees.join(format!("{name}-{digest}")).join(side.word());
        if tree.exists() {
            return Ok(tree);
        }
        let files = match side {
            Side::Old => &fetched.old,
            Side::New => &fetched.new,
        };
        println!("  unpacking {} {name}, {} packages", side.word(), files.len());
        let part = tree.with_extension("part");
        unpack(material, files, &part)?;
        fs::rename(&part, &tree)?;
        Ok(tree)
    }

    fn fetch(&mut self, material: &'static Material) -> Result<()> {
        if self.fetched.contains_key(material.name) {
            return Ok(());
        }
        let releases = releases(material);
        let architecture = material.architecture;
        if !self.registries.contains_key(architecture) {
            let all = releases_of(architecture);
            let registry = Registry::open(&self.folder, architecture, all)?;
            self.registries.insert(architecture, registry);
        }
        let registry = self.registries.get(architecture).context("no registry")?;
        let choices = choose(material, registry)?;
        let fetched = fetch(registry, &choices, releases)?;
        self.fetched.insert(material.name, fetched);
        Ok(())
    }
}

fn unpack(material: &Material, files: &[PathBuf], tree: &Path) -> Result<()> {
    match &material.from {
        From::Closure(_, _, documents) | From::Listed(_, _, documents) => {
            tree::unpack(files, tree, *documents, 0)
        }
        From::Kernel(_, modules) => {
            let file = files.first().context("no kernel was fetched")?;
            let network = "./lib/modules/*/kernel/drivers/net/*";
            match modules {
                Modules::Without => tree::take(file, &["./boot/vmlinuz*"], tree, 0),
                Modules::Network => {
                    tree::take(file, &["./boot/vmlinuz*", network], tree, 0)?;
                    tree::compress_modules(tree)
                }
            }
        }
    }
}

fn choose<'a>(material: &Material, registry: &'a Registry) -> Result<Vec<Choice<'a>>> {
    match &material.from {
        From::Closure(roots, step, _) => choice::closure(&registry.index, roots, *step),
        From::Listed(names, step, _) => choice::listed(&registry.index, names, *step),
        From::Kernel(flavour, _) => Ok(vec![choice::kernel(&registry.index, flavour)?]),
    }
}

/// The releases that a material is made of.
fn releases(material: &Material) -> &'static [&'static str] {
    match &material.from {
        From::Closure(_, choice::Step::Feature, _) | From::Listed(_, choice::Step::Feature, _) => {
            &RELEASES
        }
        _ => RELEASES.get(..1).unwrap_or_default(),
    }
}

/// The releases that some material of this architecture needs.
fn releases_of(architecture: &str) -> &'static [&'static str] {
    let of = MATERIALS.iter().filter(|material| material.architecture == architecture);
    of.map(releases).max_by_key(|releases| releases.len()).unwrap_or_default()
}

fn fetch(registry: &Registry, choices: &[Choice], releases: &[&str]) -> Result<Fetched> {
    let wanted: Vec<&Package> = choices.iter().flat_map(|c| [c.old, c.new]).flatten().collect();
    registry.fetch(&wanted)?;
    // What the mirror did not give is left out on both sides.
    let there = |side: Option<&Package>| side.is_none_or(|package| registry.file(package).exists());
    let kept: Vec<&Choice> = choices.iter().filter(|c| there(c.old) && there(c.new)).collect();
    ensure!(!kept.is_empty(), "the mirror gave none of the packages");
    let files = |side: fn(&Choice) -> Option<Package>| -> Vec<PathBuf> {
        kept.iter().filter_map(|c| side(c)).map(|package| registry.file(&package)).collect()
    };
    let sums: String =
        kept.iter().flat_map(|c| [c.old, c.new]).flatten().map(|p| p.sha256.as_str()).collect();
    let differing = kept.iter().filter(|choice| choice.differs());
    let changed: Vec<_> = differing.map(|choice| row(choice)).collect();
    Ok(Fetched {
        suites: registry.suites(releases),
        same: kept.len() - changed.len(),
        changed,
        packages: Digest::of(sums.as_bytes()).to_string(),
        old: files(|choice| choice.old.cloned()),
        new: files(|choice| choice.new.cloned()),
    })
}

fn row(choice: &Choice) -> [String; 3] {
    let version =
        |side: Option<&Package>| side.map_or_else(|| "-".to_owned(), |p| p.version.clone());
    [choice.name().to_owned(), version(choice.old), version(choice.new)]
}
